"""The life of a delivery over a simulated world: each phase, each way out, each way back."""

from datetime import timedelta
from typing import Any

import pytest

from exam_contract.base import rfc3339
from exam_contract.delivery import DesiredState, Phase
from exam_contract.delivery_rules import data_validated
from exam_operator.core import commands as c
from tests.support import deliveries
from tests.support.authority import Authority
from tests.support.pretend_exam import ENROLLED, PretendExam
from tests.support.receipts import signer
from tests.support.simulated_world import SimulatedWorld

NOON = deliveries.NOON


def world(**spec: Any) -> SimulatedWorld:
    return SimulatedWorld(stored=deliveries.delivery(**spec))


def running_world(**spec: Any) -> SimulatedWorld:
    found = world(**spec)
    found.until(Phase.RUNNING)
    found.settle(1)
    return found


def exam(found: SimulatedWorld) -> PretendExam:
    assert found.child is not None
    return found.child.exam


def phase(found: SimulatedWorld) -> Phase:
    assert found.stored is not None
    return found.stored.status.phase


def condition(found: SimulatedWorld, type_: str) -> tuple[str, str]:
    assert found.stored is not None
    return next((c.status, c.reason) for c in found.stored.status.conditions if c.type == type_)


def commands(found: SimulatedWorld, kind: type) -> list[c.Command]:
    return [command for command in found.applied if isinstance(command, kind)]


def sit_all(found: SimulatedWorld) -> None:
    for _ in range(ENROLLED):
        exam(found).begin_attempt()
        exam(found).close_attempt()


def test_a_delivery_goes_through_every_phase_in_order() -> None:
    found = running_world()
    sit_all(found)
    found.until(Phase.CLEANED_UP)
    assert found.phases == [
        Phase.ASSIGNED,
        Phase.PREPARING,
        Phase.PREPARED,
        Phase.RUNNING,
        Phase.FINALISING,
        Phase.TRANSFERRING,
        Phase.VALIDATED,
        Phase.CLEANED_UP,
    ]
    assert (found.secret, found.volume, found.child) == (False, False, None)
    assert condition(found, "CleanupComplete") == ("True", "Erased")


def test_the_first_assign_waits_for_the_coordinator() -> None:
    found = world()
    found.coordinator_up = False
    found.settle(60)
    assert phase(found) is Phase.ASSIGNED
    assert commands(found, c.StartClient) == []
    found.coordinator_up = True
    found.until(Phase.RUNNING)


def test_a_successor_never_waits_for_the_coordinator() -> None:
    found = running_world()
    found.coordinator_up = False
    found.crash()
    found.settle(1)
    assert phase(found) is Phase.RUNNING
    assert len(commands(found, c.StartClient)) == 2


@pytest.mark.parametrize(
    ("bound", "stays"),
    [(DesiredState.ASSIGNED, Phase.ASSIGNED), (DesiredState.PREPARED, Phase.PREPARED)],
)
def test_the_desired_state_is_an_upper_bound(bound: DesiredState, stays: Phase) -> None:
    found = world(desiredState=bound)
    found.settle(120)
    assert phase(found) is stays
    found.edit(desiredState="Running")
    found.until(Phase.RUNNING)


def test_prepared_becomes_running_at_the_opening() -> None:
    opens = NOON + timedelta(minutes=10)
    found = world(
        window={"opensAt": rfc3339(opens), "closesAt": rfc3339(NOON + timedelta(hours=3))}
    )
    found.until(Phase.PREPARED)
    found.until(Phase.RUNNING, seconds=660)
    assert opens <= found.now < opens + timedelta(seconds=2)


def test_the_exam_client_is_told_to_run_before_the_opening() -> None:
    # It opens by its own clock, so that nobody waits for an operator that is down.
    window = {
        "opensAt": rfc3339(NOON + timedelta(minutes=10)),
        "closesAt": rfc3339(NOON + timedelta(hours=3)),
    }
    found = world(window=window)
    found.until(Phase.PREPARED)
    found.settle(5)
    assert exam(found).file.mode == "run"


def test_an_open_attempt_keeps_the_delivery_running_past_the_close() -> None:
    found = running_world()
    exam(found).begin_attempt()
    found.now = NOON + timedelta(hours=3)
    found.settle(30)
    assert phase(found) is Phase.RUNNING
    exam(found).close_attempt()
    found.until(Phase.CLEANED_UP)
    assert condition(found, "TransferComplete")[1] == "WindowClosed"


def test_running_goes_on_while_somebody_has_not_sat() -> None:
    found = running_world()
    exam(found).begin_attempt()
    exam(found).close_attempt()
    found.settle(600)
    assert phase(found) is Phase.RUNNING


def test_finalised_closes_early() -> None:
    found = running_world()
    exam(found).begin_attempt()
    found.edit(desiredState="Finalised")
    found.until(Phase.CLEANED_UP)
    assert condition(found, "TransferComplete") == ("True", "FinaliseRequested")


def test_a_frozen_delivery_is_rolled_back_and_runs_until_it_is_finalised_again() -> None:
    found = running_world()
    sit_all(found)
    found.signs = False
    found.edit(desiredState="Finalised")
    found.until(Phase.TRANSFERRING)
    found.edit(desiredState="Running")
    found.until(Phase.RUNNING)
    found.settle(60)
    assert phase(found) is Phase.RUNNING, "everyone has sat, and yet people wanted it open again"
    assert exam(found).file.transfer == "none"
    found.signs = True
    found.edit(desiredState="Finalised")
    found.until(Phase.CLEANED_UP)


def test_a_window_extended_while_closing_opens_the_exam_again() -> None:
    found = running_world()
    exam(found).begin_attempt()
    exam(found).close_attempt()
    found.signs = False
    found.now = NOON + timedelta(hours=2, minutes=2)
    found.until(Phase.TRANSFERRING)
    window = {
        "opensAt": rfc3339(NOON - timedelta(minutes=1)),
        "closesAt": rfc3339(NOON + timedelta(hours=4)),
    }
    found.edit(window=window)
    found.until(Phase.RUNNING)


def test_no_rollback_once_a_receipt_is_held() -> None:
    found = running_world()
    found.edit(desiredState="Finalised", storage={"retention": "1h"})
    found.until(Phase.VALIDATED)
    found.edit(desiredState="Running")
    found.settle(60)
    assert phase(found) is Phase.VALIDATED


def test_aborted_transfers_what_exists_and_ends_in_aborted() -> None:
    found = running_world()
    exam(found).begin_attempt()
    file = exam(found).file
    found.edit(desiredState="Aborted")
    found.until(Phase.ABORTED)
    assert file.aborted
    assert Phase.VALIDATED in found.phases
    assert not found.volume


def test_aborted_before_anything_was_made_ends_at_once() -> None:
    found = world(desiredState="Aborted")
    found.settle(5)
    assert found.phases == [Phase.ABORTED]
    assert commands(found, c.StartClient) == []


def test_a_window_that_passes_before_it_was_prepared_fails() -> None:
    found = world(desiredState="Assigned")
    found.now = NOON + timedelta(hours=3)
    found.settle(5)
    assert phase(found) is Phase.FAILED


def test_the_data_is_held_for_the_retention_time() -> None:
    found = running_world(storage={"retention": "10m"})
    found.edit(desiredState="Finalised")
    found.until(Phase.VALIDATED)
    found.settle(9 * 60)
    assert found.volume
    assert phase(found) is Phase.VALIDATED
    found.settle(2 * 60)
    assert phase(found) is Phase.CLEANED_UP
    assert not found.volume


def test_a_receipt_signed_by_another_key_is_not_believed() -> None:
    found = running_world()
    found.forged = signer(Authority())  # the same kid, another key
    found.edit(desiredState="Finalised")
    found.settle(60)
    assert phase(found) is Phase.TRANSFERRING
    assert condition(found, "DataValidated") == ("False", "ReceiptRejected")
    assert condition(found, "Degraded") == ("True", "ReceiptRejected")
    assert found.volume


@pytest.mark.parametrize(
    "change",
    [
        {"delivery_uid": "another"},
        {"delivery_id": 2},
        {"manifest_digest": "sha256:" + "1" * 64},
        {"tables": {}},
    ],
)
def test_a_receipt_that_says_something_else_is_not_believed(change: dict[str, object]) -> None:
    found = running_world()
    honest = signer(found.authority)
    found.forged = lambda receipt: honest(receipt.model_copy(update=change))
    found.edit(desiredState="Finalised")
    found.settle(60)
    assert phase(found) is Phase.TRANSFERRING
    assert not data_validated(found.stored) if found.stored else False


def test_a_late_transfer_is_told_and_nothing_is_given_up() -> None:
    found = running_world(transfer={"deadline": "10m"})
    found.signs = False
    found.edit(desiredState="Finalised")
    found.settle(601)
    assert condition(found, "Degraded") == ("True", "TransferLate")
    found.signs = True
    found.until(Phase.CLEANED_UP)
    assert condition(found, "Degraded") == ("False", "AllWell")


def test_a_paused_object_gets_no_write_at_all() -> None:
    found = running_world()
    found.edit(paused=True)
    found.crash()
    found.applied.clear()
    found.settle(300)
    assert found.applied == []
    found.edit(paused=False)
    found.settle(5)
    assert phase(found) is Phase.RUNNING


def test_a_validated_delivery_without_its_exam_client_is_cleaned_up_all_the_same() -> None:
    found = running_world(storage={"retention": "10m"})
    found.edit(desiredState="Finalised")
    found.until(Phase.VALIDATED)
    found.crash()
    found.settle(700)
    assert phase(found) is Phase.CLEANED_UP
