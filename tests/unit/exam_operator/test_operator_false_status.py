"""A status that somebody else wrote gives no data away while the exam-client says otherwise."""

from typing import Any

import pytest

from exam_contract.delivery import Condition, ExamDeliveryStatus, Phase, TransferStatus
from exam_contract.delivery_rules import data_validated
from exam_operator.core import commands as c
from tests.support import deliveries
from tests.support.pretend_exam import ENROLLED
from tests.support.simulated_world import SimulatedWorld

VALIDATED = Condition(
    type="DataValidated",
    status="True",
    reason="ReceiptVerified",
    last_transition_time=deliveries.NOON,
)
FALSE: list[dict[str, Any]] = [
    {
        "phase": Phase.VALIDATED,
        "conditions": [VALIDATED],
        "transfer": TransferStatus(state="receipted", validated_at=deliveries.NOON),
    },
    {"phase": Phase.CLEANED_UP, "conditions": [VALIDATED]},
    {"phase": Phase.ABORTED},
    {"phase": Phase.FAILED},
    {"phase": Phase.RECOVERING, "resume_phase": Phase.VALIDATED},
    {"phase": Phase.PREPARING},
    {"phase": Phase.ASSIGNED},
]


def sitting() -> SimulatedWorld:
    found = SimulatedWorld(stored=deliveries.delivery())
    found.until(Phase.RUNNING)
    assert found.child is not None
    found.child.exam.begin_attempt()
    found.settle(5)
    found.applied.clear()
    return found


def sit_all(found: SimulatedWorld) -> None:
    assert found.child is not None
    for _ in range(ENROLLED):
        found.child.exam.begin_attempt()
        found.child.exam.close_attempt()


def falsify(found: SimulatedWorld, **status: Any) -> None:
    assert found.stored is not None
    epoch = found.stored.status.epoch
    false = ExamDeliveryStatus(**{"epoch": epoch, "delivery_id": 1, **status})
    found.stored = found.stored.model_copy(update={"status": false})


@pytest.mark.parametrize("status", FALSE, ids=lambda status: str(status["phase"]))
@pytest.mark.parametrize("deleted", [False, True])
def test_it_is_put_right_and_nothing_is_stopped(status: dict[str, Any], deleted: bool) -> None:
    found = sitting()
    falsify(found, **status)
    if deleted:
        found.delete()
    found.settle(60)
    assert found.stored is not None
    assert found.stored.status.phase is Phase.RUNNING
    assert not data_validated(found.stored)
    assert found.stored.status.transfer.validated_at is None
    taken = (c.StopClient, c.DeleteSecret, c.DeleteVolume, c.LiftProtection, c.ReleaseObject)
    assert not [one for one in found.applied if isinstance(one, taken)]


@pytest.mark.parametrize("asked", [False, True])
def test_a_closed_delivery_goes_on_being_transferred(asked: bool) -> None:
    found = sitting()
    found.coordinator_up = False
    if asked:
        found.edit(desiredState="Finalised")
    else:
        sit_all(found)
    found.until(Phase.TRANSFERRING)
    falsify(found, **FALSE[0])
    found.settle(10)
    assert found.stored is not None
    assert found.stored.status.phase is Phase.TRANSFERRING
    found.coordinator_up = True
    found.until(Phase.CLEANED_UP)


def test_who_gave_the_data_up_is_believed() -> None:
    found = sitting()
    found.annotate(discard_untransferred_data=deliveries.UID)
    falsify(found, phase=Phase.FAILED)
    found.settle(60)
    assert found.stored is not None
    assert found.stored.status.phase is Phase.FAILED
