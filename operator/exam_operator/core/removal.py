"""Deleting an object: what may go, in which order, and what the last status says."""

from datetime import datetime

from exam_contract.delivery import (
    DISCARD_ANNOTATION,
    END_PHASES,
    Condition,
    ExamDelivery,
    ExamDeliveryStatus,
    Phase,
)
from exam_contract.delivery_rules import data_validated, delete_allowed, effective_phase
from exam_operator.core import commands as c
from exam_operator.core.phases import NEEDS_CLIENT, Closing, data_matters
from exam_operator.core.statuses import newest_counts
from exam_operator.core.world import Observed, SecretState, VolumeState


def allowed(observed: Observed, now: datetime) -> bool:
    """The rule of every door, read again with fresher eyes: a race may have let a delete through.

    A door sees counts that are seconds old. Once attempts may have begun, the exam-client itself
    must say that none has; until it does, the object is held and the exam goes on.
    """
    stored = observed.object
    if not delete_allowed(stored, stored.metadata.annotations.get(DISCARD_ANNOTATION)):
        return False
    return _given_up(stored) or not _may_hold_answers(observed, now)


def _given_up(stored: ExamDelivery) -> bool:
    discard = stored.metadata.annotations.get(DISCARD_ANNOTATION)
    return discard is not None and discard == stored.metadata.uid


def _may_hold_answers(observed: Observed, now: datetime) -> bool:
    """Whether untransferred answers exist, or nobody can say that there are none."""
    stored, client = observed.object, observed.client
    phase = effective_phase(stored)
    if phase not in NEEDS_CLIENT or not data_matters(stored, phase, now):
        return False
    return client is None or max(client.counts.started, stored.status.counts.started) > 0


def actions(observed: Observed) -> tuple[c.Command, ...]:
    """End the exam-client, then delete what it wrote, then let the object go."""
    child = observed.child
    if child is not None and not child.gone:
        return () if child.stopping_since else (c.StopClient("the delivery is deleted"),)
    gone: list[c.Command] = []
    if observed.secret.state is not SecretState.ABSENT:
        gone.append(c.DeleteSecret("the delivery is deleted"))
    if observed.volume.state in (VolumeState.PRESENT, VolumeState.PENDING_DELETION):
        gone.append(c.DeleteVolume("the delivery is deleted"))
    return tuple(gone) or (c.ReleaseObject(),)


def final_status(observed: Observed, now: datetime) -> ExamDeliveryStatus:
    """Aborted before anybody began, Failed where data was given up, CleanedUp after validation."""
    status = observed.object.status
    if status.phase in END_PHASES:
        return status
    if data_validated(observed.object):
        return status.model_copy(update={"phase": Phase.CLEANED_UP, "resume_phase": None})
    if not _may_hold_answers(observed, now):
        return status.model_copy(update={"phase": Phase.ABORTED, "resume_phase": None})
    return status.model_copy(
        update={
            "phase": Phase.FAILED,
            "resume_phase": None,
            "counts": newest_counts(observed, now),
            "conditions": _told_discarded(observed.object, now),
        }
    )


def _told_discarded(stored: ExamDelivery, now: datetime) -> list[Condition]:
    """So that the end of the removal, and the operator's successor, still know what it was."""
    kept = [one for one in stored.status.conditions if one.type != "TransferComplete"]
    return [
        *kept,
        Condition(
            type="TransferComplete",
            status="False",
            reason=Closing.DATA_DISCARDED,
            message="the data was given up on request",
            last_transition_time=now,
            observed_generation=stored.metadata.generation,
        ),
    ]
