"""Deleting an object: what may go when, in which order, and what the coordinator hears last."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exam_contract.delivery import Phase
from exam_contract.delivery_rules import delete_allowed
from exam_contract.registration import DeliveryRegistration
from exam_operator.core import commands as c
from tests.support import deliveries
from tests.support.simulated_world import SimulatedWorld


def world_in(phase: Phase, **changes: str) -> SimulatedWorld:
    found = SimulatedWorld(stored=deliveries.delivery(**changes))
    if phase is not Phase.ASSIGNED:
        found.until(phase)
    return found


def given_up() -> SimulatedWorld:
    """Two have begun, one of whom no count tells yet; a person gives their data up."""
    found = world_in(Phase.RUNNING)
    assert found.child is not None
    found.child.exam.begin_attempt()
    found.settle(5)
    found.child.exam.begin_attempt()
    found.annotate(discard_untransferred_data=deliveries.UID)
    found.applied.clear()
    found.delete()
    return found


def registrations(found: SimulatedWorld) -> list[DeliveryRegistration]:
    return [one.body for one in found.applied if isinstance(one, c.RegisterDelivery)]


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
    found = given_up()
    found.settle(60)
    assert found.stored is None
    assert found.registered.sent is not None
    assert found.registered.sent.phase is Phase.FAILED


def test_a_discard_is_told_from_the_first_step_with_the_newest_counts() -> None:
    found = given_up()
    found.turn()
    assert found.stored is not None, "the exam-client still ends"
    discards = [body.discarded for body in registrations(found)]
    assert [one.started for one in discards if one is not None] == [2]
    found.settle(60)
    assert all(body.discarded is not None for body in registrations(found))


def test_a_discard_survives_the_operators_memory() -> None:
    found = given_up()
    found.turn()
    found.applied.clear()
    found.forget()
    found.settle(60)
    assert found.stored is None
    assert registrations(found)[-1].discarded is not None


def test_a_discard_does_not_wait_for_the_coordinator_and_tries_it_each_second() -> None:
    found = given_up()
    assert found.child is not None
    found.coordinator_up = False
    found.registered = replace(found.registered, answers=False)
    before = found.now
    found.child.silent_since = found.now  # it goes on saving for a while
    found.settle(10)
    assert 9 <= len(registrations(found)) <= 11
    found.child.silent_since = None
    found.settle(5)
    assert found.stored is None
    assert found.now - before <= timedelta(seconds=15)


def test_what_was_never_begun_is_not_discarded() -> None:
    found = world_in(Phase.RUNNING)
    found.annotate(discard_untransferred_data=deliveries.UID)
    found.delete()
    found.settle(60)
    assert found.registered.sent is not None
    assert found.registered.sent.phase is Phase.ABORTED
    assert found.registered.sent.discarded is None


def test_a_loss_that_a_person_acknowledged_is_told_as_a_discard() -> None:
    found = world_in(Phase.RUNNING)
    assert found.child is not None
    found.child.exam.begin_attempt()
    found.settle(5)
    found.crash()
    found.lose_volume()
    found.settle(5)
    found.annotate(discard_untransferred_data=deliveries.UID)
    found.settle(5)
    assert found.stored is not None
    assert found.stored.status.phase is Phase.FAILED
    assert found.registered.sent is not None
    assert found.registered.sent.discarded is not None
    assert found.registered.sent.discarded.started == 1
    told = next(one for one in found.stored.status.conditions if one.type == "TransferComplete")
    assert (told.status, told.reason) == ("False", "DataDiscarded")


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
