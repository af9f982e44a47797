"""Crashes: the first restart is immediate, loops are slowed and never stopped, nobody guesses."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from coordinator.core.deliveries import edited
from exam_contract.delivery import Phase
from exam_operator.core import commands as c
from exam_operator.core import planning, recovery
from exam_operator.core.world import Exit, Observed, Secret, SecretState, Volume, VolumeState
from tests.support import deliveries
from tests.support.simulated_world import SimulatedWorld

NOON = deliveries.NOON


def running_world(**spec: Any) -> SimulatedWorld:
    found = SimulatedWorld(stored=deliveries.delivery(**spec))
    found.until(Phase.RUNNING)
    found.settle(1)
    return found


def kinds(observed: Observed) -> set[type[c.Command]]:
    return {type(command) for command in planning.plan(observed, NOON).commands}


def ends(count: int, *, ready: bool, every: float, asked: bool = False) -> list[Exit]:
    """The last of them is now."""
    return [
        Exit(NOON - timedelta(seconds=every * back), ready, asked)
        for back in reversed(range(count))
    ]


@pytest.mark.parametrize(
    ("exits", "delay"),
    [
        ([], 0.0),
        (ends(1, ready=True, every=1), 0.0),
        (ends(1, ready=False, every=1), 0.0),
        (ends(6, ready=True, every=5), 0.0),
        (ends(2, ready=False, every=1), 0.5),
        (ends(3, ready=False, every=1), 1.0),
        (ends(5, ready=False, every=100), 4.0),
        (ends(16, ready=False, every=100), 30.0),
        (ends(7, ready=True, every=5), 0.5),
        (ends(12, ready=True, every=1), 5.0),
        (ends(16, ready=True, every=61), 0.0),
        (ends(16, ready=False, every=1, asked=True), 0.0),
    ],
)
def test_the_delay_before_a_successor(exits: list[Exit], delay: float) -> None:
    assert recovery.start_delay(exits, NOON) == delay


def test_the_delay_runs_out() -> None:
    exits = ends(3, ready=False, every=1)
    assert recovery.start_delay(exits, NOON + timedelta(seconds=0.75)) == 0.25
    assert recovery.start_delay(exits, NOON + timedelta(seconds=2)) == 0.0


def test_a_crashed_exam_client_is_replaced_in_the_very_plan_that_sees_it() -> None:
    found = running_world()
    found.crash()
    found.applied.clear()
    found.turn()
    kinds = [type(command) for command in found.applied]
    assert kinds[:2] == [c.WriteStatus, c.StartClient], "the epoch is written before it is used"
    assert found.stored is not None
    assert found.stored.status.phase is Phase.RECOVERING
    assert found.stored.status.resume_phase is Phase.RUNNING


def test_the_replaced_phase_is_resumed_and_the_time_told() -> None:
    found = running_world()
    found.crash(reason="Signal:SIGKILL")
    found.settle(5)
    assert found.stored is not None
    status = found.stored.status
    assert (status.phase, status.resume_phase) == (Phase.RUNNING, None)
    assert status.restarts.count == 1
    assert status.restarts.last_reason == "Signal:SIGKILL"
    assert float(status.restarts.last_recovery_seconds or "99") < 3


@pytest.mark.parametrize("phase", [Phase.PREPARED, Phase.FINALISING, Phase.TRANSFERRING])
def test_recovery_in_every_phase_that_needs_the_exam_client(phase: Phase) -> None:
    found = SimulatedWorld(stored=deliveries.delivery(desiredState="Prepared"))
    found.signs = False
    found.until(Phase.PREPARED)
    if phase is not Phase.PREPARED:
        found.edit(desiredState="Finalised")
        found.until(phase)
    found.crash()
    found.turn()
    assert found.stored is not None
    assert found.stored.status.resume_phase in (phase, Phase.TRANSFERRING)
    found.settle(5)
    assert found.stored.status.phase is not Phase.RECOVERING


def test_recovery_never_stops_while_running() -> None:
    found = running_world(recovery={"maxRestarts": 2})
    for _ in range(40):
        found.crash()
        found.settle(35)
    assert found.stored is not None
    assert found.stored.status.restarts.count == 40
    assert found.stored.status.phase is Phase.RUNNING
    degraded = next(c for c in found.stored.status.conditions if c.type == "Degraded")
    assert (degraded.status, degraded.reason) == ("True", "TooManyRestarts")


def test_the_next_epoch_is_above_everything_anybody_has_seen() -> None:
    found = running_world()
    assert found.registered.reply is not None
    seen = found.registered.reply.model_copy(update={"epoch": 17})
    found.registered = type(found.registered)(
        sent=found.registered.sent, sent_at=found.now, reply=seen, answers=True
    )
    found.crash()
    found.turn()
    assert found.last_epoch == 18


def test_a_silent_exam_client_is_never_killed_on_a_guess() -> None:
    found = running_world()
    assert found.child is not None
    found.child.silent_since = found.now
    found.settle(3600)
    assert not [one for one in found.applied if isinstance(one, c.StopClient | c.KillClient)]
    assert found.stored is not None
    healthy = next(c for c in found.stored.status.conditions if c.type == "ClientHealthy")
    assert (healthy.status, healthy.reason) == ("False", "NotAnswering")


def test_a_hung_exam_client_is_killed_only_when_a_person_asked_for_a_restart() -> None:
    found = running_world()
    assert found.child is not None
    found.child.silent_since = found.now
    found.annotate(restart_requested_at="10:00")
    found.settle(100)
    assert [type(one) for one in found.applied if isinstance(one, c.StopClient | c.KillClient)] == [
        c.StopClient
    ]
    found.settle(60)
    assert found.stored is not None
    assert found.stored.status.phase is Phase.RUNNING
    assert found.last_epoch == 2


def test_a_requested_restart_is_graceful_and_happens_once_per_value() -> None:
    found = running_world()
    found.annotate(restart_requested_at="10:00")
    found.settle(120)
    assert found.stored is not None
    assert found.last_epoch == 2
    assert found.stored.status.restarts.last_requested_at == "10:00"
    assert found.stored.status.restarts.last_reason == "RestartRequested"
    assert found.exits[-1].asked
    found.annotate(restart_requested_at="11:00")
    found.settle(120)
    assert found.last_epoch == 3


@pytest.mark.parametrize(
    "lost",
    [
        {"volume": Volume(VolumeState.PENDING_DELETION, "v")},
        {"volume": Volume()},
        {"secret": Secret()},
        {"secret": Secret(SecretState.DAMAGED)},
    ],
    ids=["claim-being-deleted", "claim-gone", "keys-gone", "keys-altered"],
)
def test_nobody_is_ended_who_could_have_no_successor(lost: dict[str, Any]) -> None:
    """A restart waits, and so does the replacement of one on a lost node."""
    found = running_world(recovery={"nodeLossPolicy": "Replace"})
    found.annotate(restart_requested_at="10:00")
    whole = found.look()
    assert whole is not None
    assert whole.child is not None
    on_lost_node = replace(whole, child=replace(whole.child, node_lost=True))
    for observed in (whole, on_lost_node):
        assert c.StopClient in kinds(observed)
        assert c.StopClient not in kinds(replace(observed, **lost))


def test_what_the_coordinator_writes_is_carried_out_once() -> None:
    """The coordinator's own edit of the object, for an exam-client that hangs."""
    found = running_world()
    assert found.child is not None
    assert found.stored is not None
    found.child.silent_since = found.now
    found.stored = edited(found.stored, "restart", found.now)
    found.settle(200)
    assert found.stored.status.phase is Phase.RUNNING
    assert found.last_epoch == 2
    assert found.stored.status.restarts.last_reason == "RestartRequested"
    found.settle(600)
    assert found.last_epoch == 2


def test_a_changed_template_never_touches_a_running_exam() -> None:
    found = running_world()
    found.edit(client={"image": "exam-client:2"})
    found.settle(600)
    assert found.last_epoch == 1
    assert found.stored is not None
    pending = next(c for c in found.stored.status.conditions if c.type == "PendingTemplate")
    assert pending.status == "True"
    found.crash()
    found.settle(5)
    pending = next(c for c in found.stored.status.conditions if c.type == "PendingTemplate")
    assert pending.status == "False"


def test_a_lost_volume_is_never_replaced_by_a_blank_one() -> None:
    found = running_world()
    assert found.child is not None
    found.child.exam.begin_attempt()
    found.settle(5)
    found.crash()
    found.lose_volume()
    found.applied.clear()
    found.settle(600)
    assert not [one for one in found.applied if isinstance(one, c.EnsureVolume | c.StartClient)]
    assert found.stored is not None
    degraded = next(c for c in found.stored.status.conditions if c.type == "Degraded")
    assert (degraded.status, degraded.reason) == ("True", "StorageLost")


def test_lost_data_ends_in_failed_only_when_a_person_gives_it_up() -> None:
    found = running_world()
    found.crash()
    found.lose_volume()
    found.settle(60)
    assert Phase.FAILED not in found.phases
    found.annotate(discard_untransferred_data=deliveries.UID)
    found.settle(60)
    assert Phase.FAILED in found.phases


def test_an_exam_client_with_lost_storage_is_left_alone() -> None:
    # Its open files still hold what a person may save.
    found = running_world()
    assert found.child is not None
    found.child.exam.storage = "lost"
    found.settle(600)
    assert found.last_epoch == 1
    assert found.child is not None
    assert found.stored is not None
    storage = next(c for c in found.stored.status.conditions if c.type == "StorageReady")
    assert (storage.status, storage.reason) == ("False", "StorageLost")


def test_a_fenced_exam_client_stays_up_and_is_told() -> None:
    found = running_world()
    found.annotate(fenced="true")
    found.settle(5)
    assert found.child is not None
    assert found.child.exam.file.fenced
    assert found.stored is not None
    fenced = next(c for c in found.stored.status.conditions if c.type == "WriterFenced")
    assert fenced.status == "True"
    found.annotate(fenced="false")
    found.settle(5)
    assert not found.child.exam.file.fenced
