"""Deleting an object: what may go when, in which order, and what the coordinator hears last."""

import pytest

from exam_contract.delivery import Phase
from exam_contract.delivery_rules import delete_allowed
from exam_operator.core import commands as c
from tests.support import deliveries
from tests.support.simulated_world import SimulatedWorld


def world_in(phase: Phase, **changes: str) -> SimulatedWorld:
    found = SimulatedWorld(stored=deliveries.delivery(**changes))
    if phase is not Phase.ASSIGNED:
        found.until(phase)
    return found


@pytest.mark.parametrize("phase", [Phase.ASSIGNED, Phase.PREPARING, Phase.PREPARED, Phase.RUNNING])
def test_before_anybody_began_everything_goes(phase: Phase) -> None:
    found = world_in(phase)
    found.delete()
    found.settle(60)
    assert found.stored is None
    assert found.registered.sent is None or found.registered.sent.phase is Phase.ABORTED


def test_with_answers_the_delivery_goes_on_as_if_nothing_was_said() -> None:
    # The doors refuse such a delete; a race may still let one through.
    found = world_in(Phase.RUNNING)
    assert found.child is not None
    found.child.exam.begin_attempt()
    found.settle(5)
    found.delete()
    found.settle(60)
    assert found.stored is not None
    assert found.stored.status.phase is Phase.RUNNING
    assert found.child is not None


def test_an_attempt_that_no_count_tells_of_yet_holds_the_object() -> None:
    found = world_in(Phase.RUNNING)
    found.settle(5)
    assert found.stored is not None
    assert found.child is not None
    found.child.exam.begin_attempt()
    assert found.stored.status.counts.started == 0
    found.delete()
    found.settle(60)
    assert found.stored is not None
    assert found.stored.status.phase is Phase.RUNNING


def test_an_exam_client_that_can_not_be_asked_holds_the_object() -> None:
    found = world_in(Phase.RUNNING)
    assert found.child is not None
    found.child.silent_since = found.now
    found.delete()
    found.settle(30)
    assert found.stored is not None
    found.child.silent_since = None
    found.settle(60)
    assert found.stored is None


def test_the_released_object_waits_for_transfer_and_clean_up() -> None:
    found = world_in(Phase.RUNNING)
    assert found.child is not None
    found.child.exam.begin_attempt()
    found.settle(5)
    found.delete()
    found.edit(desiredState="Finalised")
    found.settle(60)
    assert found.stored is None
    assert Phase.VALIDATED in found.phases
    assert found.registered.sent is not None
    assert found.registered.sent.phase is Phase.CLEANED_UP


def test_given_up_data_goes_and_the_delivery_has_failed() -> None:
    found = world_in(Phase.RUNNING)
    assert found.child is not None
    found.child.exam.begin_attempt()
    found.settle(5)
    found.annotate(discard_untransferred_data=deliveries.UID)
    found.delete()
    found.settle(60)
    assert found.stored is None
    assert found.registered.sent is not None
    assert found.registered.sent.phase is Phase.FAILED


def test_the_order_is_client_then_keys_and_data_then_object() -> None:
    found = world_in(Phase.RUNNING)
    found.delete()
    found.applied.clear()
    found.settle(60)
    order = [
        type(one)
        for one in found.applied
        if not isinstance(one, c.WriteStatus | c.RegisterDelivery)
    ]
    assert order == [c.StopClient, c.DeleteSecret, c.DeleteVolume, c.ReleaseObject]


def test_an_exam_client_that_is_still_saving_is_waited_for() -> None:
    found = world_in(Phase.RUNNING)
    assert found.child is not None
    found.child.silent_since = found.now
    found.delete()
    found.settle(600)
    assert found.stored is not None
    assert found.volume


@pytest.mark.parametrize(
    ("annotation", "allowed"), [(None, False), ("yes", False), (deliveries.UID, True)]
)
def test_only_its_own_uid_gives_the_data_up(annotation: str | None, allowed: bool) -> None:
    found = world_in(Phase.RUNNING)
    assert found.child is not None
    found.child.exam.begin_attempt()
    found.settle(5)
    assert found.stored is not None
    assert delete_allowed(found.stored, annotation) is allowed
