"""ExamDelivery objects as the coordinator writes them: creation and the few edits it makes."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from coordinator.errors import Conflict, RuleViolated
from exam_contract.base import rfc3339
from exam_contract.delivery import (
    API_VERSION,
    KIND,
    RESTART_ANNOTATION,
    DesiredState,
    ExamDelivery,
)
from exam_contract.registration import DeliveryRegistration

Edit = Literal["finalise", "rollback", "abort", "restart"]
_NAME = re.compile(r"[^a-z0-9]+")
_IMAGE_REFUSED = (
    "spec.client.image can't be chosen here; apply the ExamDelivery with rights in its namespace"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an admin asks for; ``spec``: optional parts of the object's spec, as on the wire."""

    name: str
    namespace: str
    exam_id: str
    exam_version: str
    content_digest: str
    roster_id: str
    participants: int
    opens_at: datetime
    closes_at: datetime
    grace_seconds: int
    time_limit_seconds: int
    spec: dict[str, Any]


def build_object(wanted: Wanted) -> ExamDelivery:
    """The whole object. Raises pydantic's ValidationError for wrong optional parts, RuleViolated
    for one that is not an admin's to choose: an image would run with the delivery's keys.
    """
    made = ExamDelivery.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": wanted.name, "namespace": wanted.namespace},
            "spec": {
                **wanted.spec,
                "exam": {
                    "id": wanted.exam_id,
                    "version": wanted.exam_version,
                    "contentDigest": wanted.content_digest,
                },
                "window": {
                    "opensAt": rfc3339(wanted.opens_at),
                    "closesAt": rfc3339(wanted.closes_at),
                    "graceSeconds": wanted.grace_seconds,
                },
                "timeLimitSeconds": wanted.time_limit_seconds,
                "participants": {
                    "maxCount": wanted.participants,
                    "rosterRef": wanted.roster_id,
                },
            },
        }
    )
    if made.spec.client.image is not None:
        fault = {"path": "spec.client.image", "message": _IMAGE_REFUSED}
        raise RuleViolated(_IMAGE_REFUSED, errors=[fault])
    return made


def first_registration(made: ExamDelivery) -> DeliveryRegistration:
    """What the operator will say first, so that the delivery has its id at once."""
    spec = made.spec
    return DeliveryRegistration.model_validate(
        {
            "name": made.metadata.name,
            "namespace": made.metadata.namespace,
            "generation": made.metadata.generation,
            "exam_id": spec.exam.id,
            "exam_version": spec.exam.version,
            "content_digest": spec.exam.content_digest,
            "roster_ref": spec.participants.roster_ref,
            "max_participants": spec.participants.max_count,
            "window": {
                "opens_at": spec.window.opens_at,
                "closes_at": spec.window.closes_at,
                "grace_seconds": spec.window.grace_seconds,
            },
            "time_limit_seconds": spec.time_limit_seconds,
            "phase": made.status.phase,
            "desired_state": spec.desired_state,
            "epoch": 0,
        }
    )


def extended(stored: ExamDelivery, closes_at: datetime) -> ExamDelivery:
    """The object with a later close."""
    window = stored.spec.window.model_copy(update={"closes_at": closes_at})
    return stored.model_copy(update={"spec": stored.spec.model_copy(update={"window": window})})


def edited(stored: ExamDelivery, edit: Edit, now: datetime) -> ExamDelivery:
    """The object after an edit; the object's own rules decide whether it is allowed."""
    match edit:
        case "finalise":
            return _desired(stored, DesiredState.FINALISED)
        case "rollback":
            return _rolled_back(stored)
        case "abort":
            return _desired(stored, DesiredState.ABORTED)
        case "restart":
            notes = {**stored.metadata.annotations, RESTART_ANNOTATION: rfc3339(now)}
            metadata = stored.metadata.model_copy(update={"annotations": notes})
            return stored.model_copy(update={"metadata": metadata})


def _rolled_back(stored: ExamDelivery) -> ExamDelivery:
    """Running again. Saying done where nothing changes would be a lie, so that is refused."""
    if stored.spec.desired_state is DesiredState.RUNNING:
        raise Conflict(
            "nothing to roll back: nobody closed this delivery; extend its window to let it run on"
        )
    return _desired(stored, DesiredState.RUNNING)


def object_name(name: str) -> str:
    """The Kubernetes name that a title asks for."""
    return _NAME.sub("-", name.lower()).strip("-")[:50].strip("-") or "delivery"


def _desired(stored: ExamDelivery, state: DesiredState) -> ExamDelivery:
    return stored.model_copy(
        update={"spec": stored.spec.model_copy(update={"desired_state": state})}
    )
