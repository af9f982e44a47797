"""Since when a delivery is in its phase, as its object tells it to any operator."""

from datetime import datetime

from exam_contract.delivery import ConditionType, ExamDelivery, Phase
from exam_operator.core.phases import Closing, closing_of


def entered_at(stored: ExamDelivery) -> datetime | None:
    """When the object's phase began; None where nothing on it says so.

    Preparing, Transferring and what a rollback brought back leave no time of their own.
    """
    status = stored.status
    match status.phase:
        case Phase.ASSIGNED:
            return stored.metadata.creation_timestamp
        case Phase.PREPARED:
            return _serving_since(stored)
        case Phase.RUNNING if closing_of(status) is not Closing.ROLLED_BACK:
            since = _serving_since(stored)
            return since and max(since, stored.spec.window.opens_at)
        case Phase.RECOVERING:
            return status.restarts.recovery_started_at
        case Phase.FINALISING:
            return status.transfer.started_at
        case Phase.VALIDATED:
            return status.transfer.validated_at
        case _:
            return None


def _serving_since(stored: ExamDelivery) -> datetime | None:
    """The exam came into the file, and the last recovery ended."""
    content = _turned(stored, "ContentReady", "True")
    recovered = _turned(stored, "Recovering", "False")
    return content and max(content, recovered or content)


def _turned(stored: ExamDelivery, kind: ConditionType, status: str) -> datetime | None:
    for one in stored.status.conditions:
        if one.type == kind and one.status == status:
            return one.last_transition_time
    return None
