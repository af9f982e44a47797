"""The phase machine: which phase follows from what is seen now. One step at a time, level-based.

Phases move forward only, but for the rollback out of Finalising and Transferring. Recovering is no
step of its own: it stands in for a phase whose exam-client is not there.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from exam_contract.control import ClientStatus, Mode
from exam_contract.delivery import (
    DISCARD_ANNOTATION,
    DesiredState,
    ExamDelivery,
    ExamDeliveryStatus,
    Phase,
    duration_seconds,
)
from exam_contract.delivery_rules import data_validated, effective_phase
from exam_operator.core.receipts import verified_receipt
from exam_operator.core.world import Observed, SecretState, VolumeState

NEEDS_CLIENT = frozenset(
    {Phase.PREPARING, Phase.PREPARED, Phase.RUNNING, Phase.FINALISING, Phase.TRANSFERRING}
)
RECOVERABLE = NEEDS_CLIENT - {Phase.PREPARING}
_CLOSING = frozenset({DesiredState.FINALISED, DesiredState.ABORTED})
FROZEN_STATES = frozenset({"frozen", "sealed", "uploading", "committed", "receipted", "erased"})


class Closing(StrEnum):
    """Why a delivery was closed; kept as the reason of condition TransferComplete.

    It outlives a restart of the operator, so that a rollback is known from a natural end.
    """

    NOT_CLOSED = "NotClosed"
    FINALISE_REQUESTED = "FinaliseRequested"
    ABORT_REQUESTED = "AbortRequested"
    WINDOW_CLOSED = "WindowClosed"
    ALL_SAT = "AllSat"
    ROLLED_BACK = "RolledBack"
    DATA_DISCARDED = "DataDiscarded"
    """Nothing was transferred, since a person gave the data up."""


@dataclass(frozen=True, slots=True)
class Step:
    """``phase``: the effective one; ``recovering``: its exam-client is not there (yet again)."""

    phase: Phase
    recovering: bool
    closing: Closing


def next_step(observed: Observed, now: datetime) -> Step:
    """The phase that what is seen now leads to."""
    phase, closing = _advance(observed, now)
    return Step(phase, phase in RECOVERABLE and not _client_is_there(observed), closing)


def mode_for(phase: Phase, observed: Observed, now: datetime) -> Mode | None:
    """What the exam-client is to do in a phase; None where there is none to tell.

    RUN is given ahead of time: the exam-client opens at opensAt by its own clock, even when the
    operator is down at that moment.
    """
    match phase:
        case Phase.PREPARING:
            return Mode.PREPARE
        case Phase.PREPARED:
            bounded = observed.object.spec.desired_state is DesiredState.PREPARED
            return Mode.PREPARE if bounded else Mode.RUN
        case Phase.RUNNING:
            return Mode.RUN
        case Phase.FINALISING:
            return Mode.FINALISE
        case Phase.TRANSFERRING:
            return Mode.TRANSFER
        case Phase.VALIDATED:
            return Mode.ERASE if retention_over(observed.object, now) else Mode.TRANSFER
        case Phase.ASSIGNED | Phase.CLEANED_UP | Phase.ABORTED | Phase.FAILED | Phase.RECOVERING:
            return None
        case _:
            assert_never(phase)


def retention_over(stored: ExamDelivery, now: datetime) -> bool:
    """Whether the data may be destroyed: validated, and held for as long as was asked."""
    validated_at = stored.status.transfer.validated_at
    if validated_at is None or not data_validated(stored):
        return False
    hold = timedelta(seconds=duration_seconds(stored.spec.storage.retention))
    return now >= validated_at + hold


def data_matters(stored: ExamDelivery, phase: Phase, now: datetime) -> bool:
    """Whether answers may lie on the volume, so that a blank one must never take its place."""
    if phase is Phase.PREPARED:
        return now >= stored.spec.window.opens_at or stored.status.counts.started > 0
    return phase in RECOVERABLE


def data_lost(observed: Observed, phase: Phase, now: datetime) -> bool:
    """Whether answers that may have existed can't be read again by any successor."""
    if not data_matters(observed.object, phase, now):
        return False
    client = observed.client
    if client is not None and (client.storage.state == "lost" or started_anew(observed)):
        return True
    if observed.child is not None and not observed.child.gone:
        return False
    volume = observed.volume
    gone = volume.state in (VolumeState.ABSENT, VolumeState.FOREIGN) or volume.holds_data is False
    return gone or observed.secret.state is not SecretState.PRESENT


def started_anew(observed: Observed) -> bool:
    """Whether the exam-client holds fewer attempts than were begun: its file is another one.

    One that erases knows of none any more, as it should.
    """
    client = observed.client
    if client is None or client.storage.state != "ok" or client.mode is Mode.ERASE:
        return False
    return client.counts.started < observed.object.status.counts.started


def closing_of(status: ExamDeliveryStatus) -> Closing:
    """Why it was closed, as the status remembers it."""
    for condition in status.conditions:
        if condition.type == "TransferComplete" and condition.reason in list(Closing):
            return Closing(condition.reason)
    return Closing.NOT_CLOSED


def discarded(status: ExamDeliveryStatus) -> bool:
    """Whether the delivery ended with its data given up."""
    return status.phase is Phase.FAILED and closing_of(status) is Closing.DATA_DISCARDED


def _advance(observed: Observed, now: datetime) -> tuple[Phase, Closing]:
    stored = observed.object
    phase, closing = effective_phase(stored), closing_of(stored.status)
    if _given_up(observed, phase, now):
        return Phase.FAILED, Closing.DATA_DISCARDED
    match phase:
        case Phase.ASSIGNED:
            return _from_assigned(observed, now), closing
        case Phase.PREPARING:
            return _from_preparing(observed, now), closing
        case Phase.PREPARED | Phase.RUNNING:
            return _from_live(observed, phase, closing, now)
        case Phase.FINALISING | Phase.TRANSFERRING:
            return _from_closing(observed, phase, closing, now)
        case Phase.VALIDATED:
            return _from_validated(observed), closing
        case Phase.CLEANED_UP | Phase.ABORTED | Phase.FAILED:
            return phase, closing
        case Phase.RECOVERING:  # without a phase to resume: what takes most care of the data
            return Phase.RUNNING, closing
        case _:
            assert_never(phase)


def _from_assigned(observed: Observed, now: datetime) -> Phase:
    spec = observed.object.spec
    if spec.desired_state is DesiredState.ABORTED:
        return Phase.ABORTED
    if _window_over(observed.object, now):
        return Phase.FAILED
    known = observed.registered.reply is not None or observed.object.status.delivery_id is not None
    return (
        Phase.PREPARING
        if known and spec.desired_state is not DesiredState.ASSIGNED
        else (Phase.ASSIGNED)
    )


def _from_preparing(observed: Observed, now: datetime) -> Phase:
    if observed.object.spec.desired_state is DesiredState.ABORTED:
        return Phase.ABORTED
    client = observed.client
    if client is not None and is_prepared(observed.object, client):
        return Phase.PREPARED
    return Phase.FAILED if _window_over(observed.object, now) else Phase.PREPARING


def is_prepared(stored: ExamDelivery, client: ClientStatus) -> bool:
    """The right exam is in the exam-client's file, and the file is writable."""
    wanted = stored.spec.exam.content_digest
    return (
        client.content.ready
        and client.content.content_digest in (None, wanted)
        and client.storage.state in ("ok", "full")
    )


def _from_live(
    observed: Observed, phase: Phase, closing: Closing, now: datetime
) -> tuple[Phase, Closing]:
    spec = observed.object.spec
    if spec.desired_state is DesiredState.ABORTED:
        return Phase.FINALISING, Closing.ABORT_REQUESTED
    if spec.desired_state is DesiredState.FINALISED:
        return Phase.FINALISING, Closing.FINALISE_REQUESTED
    if phase is Phase.PREPARED:
        opened = spec.desired_state is DesiredState.RUNNING and now >= spec.window.opens_at
        return (Phase.RUNNING if opened else Phase.PREPARED), closing
    reason = _end_of_exam(observed, closing, now)
    return (Phase.FINALISING, reason) if reason else (Phase.RUNNING, closing)


def _end_of_exam(observed: Observed, closing: Closing, now: datetime) -> Closing | None:
    """Why the exam is over by itself: nobody is writing, and nobody may or will begin."""
    client = observed.client
    if client is None or client.mode is not Mode.RUN or not client.content.ready:
        return None
    if client.counts.open > 0:
        return None
    if _window_over(observed.object, now):
        return Closing.WINDOW_CLOSED
    # After a rollback everyone has sat already: the people who rolled it back say when it ends.
    sat = client.all_sat and client.counts.enrolled > 0 and closing is not Closing.ROLLED_BACK
    return Closing.ALL_SAT if sat else None


def _from_closing(
    observed: Observed, phase: Phase, closing: Closing, now: datetime
) -> tuple[Phase, Closing]:
    if verified_receipt(observed) is not None:
        return Phase.VALIDATED, closing
    if _rolled_back(observed, closing, now):
        return Phase.RUNNING, Closing.ROLLED_BACK
    if observed.object.spec.desired_state is DesiredState.FINALISED:
        closing = Closing.FINALISE_REQUESTED
    return (Phase.TRANSFERRING if _is_frozen(observed) else phase), closing


def _rolled_back(observed: Observed, closing: Closing, now: datetime) -> bool:
    if observed.object.spec.desired_state is not DesiredState.RUNNING:
        return False
    if observed.client is not None and observed.client.transfer.receipt is not None:
        return False
    if closing is Closing.FINALISE_REQUESTED:
        return True
    return closing is Closing.WINDOW_CLOSED and not _window_over(observed.object, now)


def _is_frozen(observed: Observed) -> bool:
    client = observed.client
    return client is not None and client.transfer.state in FROZEN_STATES


def _from_validated(observed: Observed) -> Phase:
    child_gone = observed.child is None or observed.child.gone
    erased = (
        observed.volume.state in (VolumeState.ABSENT, VolumeState.FOREIGN)
        and observed.secret.state is SecretState.ABSENT
    )
    if not (child_gone and erased):
        return Phase.VALIDATED
    aborted = observed.object.spec.desired_state is DesiredState.ABORTED
    return Phase.ABORTED if aborted else Phase.CLEANED_UP


def _given_up(observed: Observed, phase: Phase, now: datetime) -> bool:
    """The data is gone for good and a person acknowledged that."""
    stored = observed.object
    acknowledged = stored.metadata.annotations.get(DISCARD_ANNOTATION) == stored.metadata.uid
    return acknowledged and data_lost(observed, phase, now) and not data_validated(stored)


def _window_over(stored: ExamDelivery, now: datetime) -> bool:
    window = stored.spec.window
    return now > window.closes_at + timedelta(seconds=window.grace_seconds)


def _client_is_there(observed: Observed) -> bool:
    """A dead one is not there; one that was lost is back when its file is open again."""
    child, client = observed.child, observed.client
    if child is None or not child.alive:
        return False
    if observed.object.status.phase is not Phase.RECOVERING:
        return True
    if client is None or client.epoch != child.epoch:
        return False
    return client.content.ready and client.storage.state != "opening"
