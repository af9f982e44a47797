"""Which stored status is believed: none that gives data away while the exam-client still has it.

Whoever may write a status may write anything into it. What the exam-client says of its own file
weighs more, so that such a status is put right and neither data nor keys go with it.
"""

from dataclasses import replace

from exam_contract.control import ClientStatus, Mode
from exam_contract.delivery import (
    DISCARD_ANNOTATION,
    Condition,
    ExamDelivery,
    ExamDeliveryStatus,
    Phase,
    TransferStatus,
)
from exam_contract.delivery_rules import effective_phase
from exam_operator.core.phases import FROZEN_STATES, RECOVERABLE, Closing, closing_of
from exam_operator.core.world import Observed

_HANDED_OVER = frozenset({"receipted", "erased"})
_NO_REASON = frozenset({Closing.NOT_CLOSED, Closing.DATA_DISCARDED})
_OF_A_RECEIPT = frozenset({"TransferComplete", "DataValidated"})


def believed(observed: Observed) -> Observed:
    """As it was seen, with the status that the exam-client's word leaves standing."""
    client, stored = observed.client, observed.object
    if client is None or not _contradicted(stored, client):
        return observed
    status = _put_right(stored, client)
    return replace(observed, object=stored.model_copy(update={"status": status}))


def _contradicted(stored: ExamDelivery, client: ClientStatus) -> bool:
    """Attempts were begun and nobody has received them, but the phase says: not yet, or over."""
    if stored.metadata.annotations.get(DISCARD_ANNOTATION) == stored.metadata.uid:
        return False
    received = client.transfer.receipt is not None or client.transfer.state in _HANDED_OVER
    return client.counts.started > 0 and not received and effective_phase(stored) not in RECOVERABLE


def _put_right(stored: ExamDelivery, client: ClientStatus) -> ExamDeliveryStatus:
    phase = _phase(client)
    return stored.status.model_copy(
        update={
            "phase": phase,
            "resume_phase": None,
            "transfer": TransferStatus(),
            "conditions": _conditions(stored, client, phase),
        }
    )


def _conditions(stored: ExamDelivery, client: ClientStatus, phase: Phase) -> list[Condition]:
    """All but those that tell of a receipt; why it was closed is not forgotten."""
    told = [one for one in stored.status.conditions if one.type not in _OF_A_RECEIPT]
    if phase is Phase.RUNNING:
        return told
    known = closing_of(stored.status)
    # A reason that nobody remembers, or is no more true, must be none that a rollback would follow.
    closing = Closing.ALL_SAT if known in _NO_REASON else known
    closed = Condition(
        type="TransferComplete",
        status="False",
        reason=closing,
        last_transition_time=client.reported_at,
    )
    return [*told, closed]


def _phase(client: ClientStatus) -> Phase:
    if client.transfer.state in FROZEN_STATES:
        return Phase.TRANSFERRING
    closing = client.mode in (Mode.FINALISE, Mode.TRANSFER)
    return Phase.FINALISING if closing else Phase.RUNNING
