"""The conditions of a delivery, computed whole each time; times change only with the status.

Where the exam-client is silent, what it alone can tell keeps its last word.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from exam_contract.delivery import (
    Condition,
    ConditionType,
    ExamDeliveryStatus,
    Phase,
)
from exam_contract.delivery_rules import data_validated
from exam_operator.core import recovery
from exam_operator.core.phases import Closing, Step, data_lost
from exam_operator.core.receipts import receipt_rejection
from exam_operator.core.troubles import LOST, troubles
from exam_operator.core.world import Observed, SecretState, VolumeState

_MESSAGE_LENGTH = 1024
_SILENT_SECONDS = 10.0
_NO_TRANSFER = (Closing.NOT_CLOSED, Closing.ROLLED_BACK, Closing.DATA_DISCARDED)


@dataclass(frozen=True, slots=True)
class Fact:
    """A condition without its times."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""


def conditions(
    observed: Observed, step: Step, status: ExamDeliveryStatus, template: str, now: datetime
) -> list[Condition]:
    """Every condition, in a fixed order."""
    facts = (
        _ready(observed, step),
        _content(observed, step),
        _storage(observed, step, now),
        _client_healthy(observed, step, now),
        _recovering(observed, step, now),
        _fenced(observed),
        _pending_template(observed, template),
        _transfer_complete(observed, step),
        _data_validated(observed, step),
        _cleanup(observed, step),
        _degraded(observed, step, status, now),
    )
    return _timed(facts, observed, now)


def _timed(facts: Iterable[Fact | None], observed: Observed, now: datetime) -> list[Condition]:
    before = {condition.type: condition for condition in observed.object.status.conditions}
    timed = []
    for type_, fact in zip(_ORDER, facts, strict=True):
        old = before.get(type_)
        if fact is None:
            timed += [old] if old is not None else []
            continue
        same = old is not None and old.status == fact.status
        timed.append(
            Condition(
                type=fact.type,
                status=fact.status,
                reason=fact.reason,
                message=fact.message[:_MESSAGE_LENGTH],
                last_transition_time=old.last_transition_time if same and old else now,
                observed_generation=observed.object.metadata.generation,
            )
        )
    return timed


_ORDER: tuple[ConditionType, ...] = (
    "Ready",
    "ContentReady",
    "StorageReady",
    "ClientHealthy",
    "Recovering",
    "WriterFenced",
    "PendingTemplate",
    "TransferComplete",
    "DataValidated",
    "CleanupComplete",
    "Degraded",
)


def _ready(observed: Observed, step: Step) -> Fact:
    if step.recovering:
        return Fact("Ready", "False", "Recovering", "the exam-client is being brought back")
    if step.phase not in (Phase.PREPARED, Phase.RUNNING):
        return Fact("Ready", "False", str(step.phase))
    client = observed.client
    if client is None:
        return Fact("Ready", "Unknown", "NoAnswer", "the exam-client did not answer just now")
    if client.ready:
        return Fact("Ready", "True", "Serving")
    return Fact("Ready", "False", "ClientNotReady", client.storage.reason or "")


def _content(observed: Observed, step: Step) -> Fact | None:
    client = observed.client
    if client is None:
        waiting = step.phase in (Phase.ASSIGNED, Phase.PREPARING)
        return Fact("ContentReady", "False", "Waiting") if waiting else None
    if client.storage.state == "erased":
        return Fact("ContentReady", "False", "Erased")
    wanted = observed.object.spec.exam.content_digest
    if client.content.content_digest not in (None, wanted):
        message = f"the exam-client holds {client.content.content_digest}, the spec asks {wanted}"
        return Fact("ContentReady", "False", "ContentMismatch", message)
    if client.content.ready:
        return Fact("ContentReady", "True", "BundleStored")
    return Fact("ContentReady", "False", "Fetching", client.content.reason or "")


def _storage(observed: Observed, step: Step, now: datetime) -> Fact | None:
    volume, client = observed.volume, observed.client
    if volume.state is VolumeState.FOREIGN:
        message = volume.problem or "a volume of another object has this name; move it away"
        return Fact("StorageReady", "False", "OrphanedVolume", message)
    if volume.problem:
        return Fact("StorageReady", "False", "ProvisioningFailed", volume.problem)
    if data_lost(observed, step.phase, now):
        return Fact("StorageReady", "False", "StorageLost", LOST)
    if client is None:
        fresh = step.phase in (Phase.ASSIGNED, Phase.PREPARING)
        return Fact("StorageReady", "False", "Opening") if fresh else None
    match client.storage.state:
        case "ok":
            return Fact("StorageReady", "True", "Open")
        case "full":
            return Fact("StorageReady", "False", "StorageFull", client.storage.reason or "")
        case state:
            return Fact("StorageReady", "False", state.capitalize(), client.storage.reason or "")


def _client_healthy(observed: Observed, step: Step, now: datetime) -> Fact:
    child = observed.child
    if child is None:
        return Fact("ClientHealthy", "False", "NoClient")
    if child.never_ran and child.trouble is not None:
        return Fact("ClientHealthy", "False", child.trouble.reason, child.trouble.message)
    if not child.alive:
        reason = observed.exits[-1].reason if observed.exits else "Exited"
        return Fact("ClientHealthy", "False", "ClientEnded", reason)
    if observed.client is not None:
        return Fact("ClientHealthy", "True", "Answering")
    if child.node_trouble is not None:
        return Fact("ClientHealthy", "False", "NodeNotReady", child.node_trouble)
    since = child.unanswered_since
    if since is None or (now - since).total_seconds() < _SILENT_SECONDS:
        return Fact("ClientHealthy", "Unknown", "NoAnswer")
    message = (
        f"no answer since {since:%H:%M:%S} UTC; it is left alone, since it may be saving answers."
        " A person may ask for a restart"
    )
    return Fact("ClientHealthy", "False", "NotAnswering", message)


def _recovering(observed: Observed, step: Step, now: datetime) -> Fact:
    if not step.recovering:
        return Fact("Recovering", "False", "NotNeeded")
    if recovery.crash_looping(observed.exits, now):
        return Fact("Recovering", "True", "CrashLoop", "it ends again and again; trying on")
    return Fact("Recovering", "True", "ClientLost", f"resumes {step.phase}")


def _fenced(observed: Observed) -> Fact | None:
    if observed.client is None:
        return None
    if observed.client.fenced:
        return Fact("WriterFenced", "True", "Fenced", "the exam-client acknowledges nothing")
    return Fact("WriterFenced", "False", "NotFenced")


def _pending_template(observed: Observed, template: str) -> Fact:
    child = observed.child
    if child is not None and child.alive and child.template != template:
        message = "spec.client changed; it applies from the next start, never to a running exam"
        return Fact("PendingTemplate", "True", "AppliesAtNextStart", message)
    if child is not None and child.alive and child.outdated:
        message = "the installation gives another image by now; it applies from the next start"
        return Fact("PendingTemplate", "True", "AppliesAtNextStart", message)
    return Fact("PendingTemplate", "False", "UpToDate")


def _transfer_complete(observed: Observed, step: Step) -> Fact | None:
    if data_validated(observed.object) or step.phase is Phase.VALIDATED:
        return Fact("TransferComplete", "True", str(step.closing), "receipt held")
    client = observed.client
    said = "" if client is None else client.transfer.error or client.transfer.state
    return Fact("TransferComplete", "False", str(step.closing), said)


def _data_validated(observed: Observed, step: Step) -> Fact:
    if data_validated(observed.object) or step.phase is Phase.VALIDATED:
        return Fact("DataValidated", "True", "ReceiptVerified", "signature and digest checked")
    rejection = receipt_rejection(observed)
    if rejection is not None:
        return Fact("DataValidated", "False", "ReceiptRejected", rejection)
    closed = step.closing not in _NO_TRANSFER
    return Fact("DataValidated", "False", "AwaitingReceipt" if closed else "NotTransferred")


def _cleanup(observed: Observed, step: Step) -> Fact:
    ended = step.phase in (Phase.CLEANED_UP, Phase.ABORTED)
    secret_gone = observed.secret.state is SecretState.ABSENT
    done = ended and secret_gone and observed.volume.state is VolumeState.ABSENT
    return Fact("CleanupComplete", "True" if done else "False", "Erased" if done else "NotYet")


def _degraded(observed: Observed, step: Step, status: ExamDeliveryStatus, now: datetime) -> Fact:
    for reason, message in troubles(observed, step, status, now):
        return Fact("Degraded", "True", reason, message)
    return Fact("Degraded", "False", "AllWell")
