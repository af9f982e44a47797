"""What a condition means, for those whose message says nothing further."""

from exam_contract.delivery import Condition, ConditionType

_WORDS: dict[ConditionType, tuple[str, str, str]] = {
    "Ready": (
        "participants are served",
        "participants are not served now",
        "it is not known whether participants are served",
    ),
    "ContentReady": (
        "the exam lies whole in its encrypted file",
        "the exam is not in its encrypted file",
        "",
    ),
    "StorageReady": ("the volume is there and the file is open", "the file is not open", ""),
    "ClientHealthy": (
        "the exam-client answers",
        "there is no exam-client that answers",
        "the exam-client did not answer just now",
    ),
    "Recovering": ("the exam-client is being brought back", "nothing has to be recovered", ""),
    "WriterFenced": (
        "no answer is accepted: the writer is stopped on purpose",
        "the writer is not stopped",
        "",
    ),
    "PendingTemplate": (
        "a changed image or size waits for the next start",
        "the exam-client runs what the spec asks for",
        "",
    ),
    "TransferComplete": (
        "the coordinator holds the results",
        "the results are not at the coordinator",
        "",
    ),
    "DataValidated": (
        "the receipt was checked: signature and digest",
        "there is no checked receipt for the results",
        "",
    ),
    "CleanupComplete": (
        "file, keys and volume are erased",
        "file, keys and volume are not erased",
        "",
    ),
    "Degraded": ("something needs a person", "nothing needs a person", ""),
}


def words(condition: Condition) -> str:
    """Its own message, else what its status means."""
    if condition.message:
        return condition.message
    true, false, unknown = _WORDS[condition.type]
    return {"True": true, "False": false, "Unknown": unknown}[condition.status]
