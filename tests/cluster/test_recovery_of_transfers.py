"""The final transfer, interrupted in each of its states by killing either side.

It is held in the state by PostgreSQL itself, the exam-client is killed and comes back to the same
state, then all coordinators are killed and it comes back again. In the end all is stored, once.
"""

from pathlib import Path

import pytest

from exam_contract.delivery import Phase
from examctl.simulation.sitting import Behaviour
from tests.support.cluster import coordinators, counts, exam_day, faults
from tests.support.cluster.ending import assert_ends_whole
from tests.support.cluster.exam_day import ExamDay
from tests.support.cluster.held_transfers import HeldTransfer, State, held
from tests.support.cluster.installation import Installation
from tests.support.cluster.proof import Proof, Scenario

PARTICIPANTS = 4
NAME = "transfer"
SPEC = {"recovery": {"maxRestarts": 1000}}
FEW = [State.ROWS, State.COMMIT]
QUICK = Behaviour(think_seconds=0.1, arrival_seconds=1, item_limit=6)

pytestmark = pytest.mark.timeout(900, method="signal")


def test_a_transfer_that_is_cut_off_anywhere_stores_everything_once(
    installed: Installation, namespace: str, tmp_path: Path, proof: Proof
) -> None:
    day = exam_day.begin(installed, namespace, tmp_path, NAME, participants=PARTICIPANTS, spec=SPEC)
    number = day.delivery.read().status.delivery_id or 0
    states = list(State) if counts.every_transfer_state() else FEW

    with installed.database() as dsn, held(dsn, number, states) as transfer:
        day.sit(QUICK)
        for state in states:
            _interrupt(day, transfer, state)
        day.delivery.wait_phase(Phase.CLEANED_UP, seconds=240)

    killed = [(side, state) for state in states for side in ("exam-client", "both coordinators")]
    told = [Scenario(f"{side} killed while {state}", NAME, 1) for side, state in killed]
    assert_ends_whole(day, [], proof, *told)


def _interrupt(day: ExamDay, transfer: HeldTransfer, state: State) -> None:
    """Each side dies in that state, and comes back to it."""
    transfer.wait_reached(state)
    faults.kill(day.delivery)
    if state is State.ERASURE:
        # What was erased is over for the exam-client; its word still waits at a coordinator.
        transfer.wait_held(state)
    else:
        transfer.wait_reached(state)
    coordinators.kill_all(day.delivery.api)
    coordinators.wait_up()
    if state is not State.ERASURE:
        transfer.wait_reached(state)
    transfer.release(state)
