"""Deleting an object: what may go, in which order, and what the last status says."""

from datetime import datetime

from exam_contract.delivery import (
    DISCARD_ANNOTATION,
    END_PHASES,
    ExamDeliveryStatus,
    Phase,
)
from exam_contract.delivery_rules import data_validated, delete_allowed, effective_phase
from exam_operator.core import commands as c
from exam_operator.core.phases import NEEDS_CLIENT, data_matters
from exam_operator.core.world import Observed, SecretState, VolumeState


def allowed(observed: Observed, now: datetime) -> bool:
    """The rule of every door, read again with fresher eyes: a race may have let a delete through.

    A door sees counts that are seconds old. Once attempts may have begun, the exam-client itself
    must say that none has; until it does, the object is held and the exam goes on.
    """
    stored = observed.object
    discard = stored.metadata.annotations.get(DISCARD_ANNOTATION)
    if not delete_allowed(stored, discard):
        return False
    phase = effective_phase(stored)
    given_up = discard is not None and discard == stored.metadata.uid
    if given_up or phase not in NEEDS_CLIENT or not data_matters(stored, phase, now):
        return True
    return observed.client is not None and observed.client.counts.started == 0


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


def final_status(observed: Observed) -> ExamDeliveryStatus:
    """Aborted before anybody began, Failed where data was given up, CleanedUp after validation."""
    status = observed.object.status
    if status.phase in END_PHASES:
        return status
    if data_validated(observed.object):
        phase = Phase.CLEANED_UP
    else:
        phase = Phase.FAILED if status.counts.started else Phase.ABORTED
    return status.model_copy(update={"phase": phase, "resume_phase": None})
