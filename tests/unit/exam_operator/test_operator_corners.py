"""Corners that the stories do not reach: torn statuses, half-done clean-ups, odd receipts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exam_contract.delivery import ExamDeliveryStatus, Phase
from exam_operator.core import commands as c
from exam_operator.core import phases, planning, receipts, recovery
from exam_operator.core.world import Observed, Secret, SecretState, Volume, VolumeState
from tests.support import deliveries
from tests.support.receipts import signer
from tests.support.simulated_world import SimulatedWorld


def validated_world() -> tuple[SimulatedWorld, Observed]:
    world = SimulatedWorld(stored=deliveries.delivery(storage={"retention": "1h"}))
    world.until(Phase.RUNNING)
    world.edit(desiredState="Finalised")
    world.until(Phase.VALIDATED)
    observed = world.look()
    assert observed is not None
    return world, observed


@pytest.mark.parametrize("phase", [Phase.CLEANED_UP, Phase.ABORTED, Phase.FAILED, Phase.ASSIGNED])
def test_there_is_nothing_to_desire_without_an_exam_client(phase: Phase) -> None:
    observed = Observed(deliveries.delivery())
    assert phases.mode_for(phase, observed, deliveries.NOON) is None


def test_retention_is_never_over_before_validation() -> None:
    stored = deliveries.delivery()
    assert not phases.retention_over(stored, deliveries.NOON + timedelta(days=9))


def test_recovering_without_a_phase_to_resume_takes_most_care_of_the_data() -> None:
    torn = ExamDeliveryStatus(phase=Phase.RECOVERING, epoch=3, delivery_id=1)
    stored = deliveries.delivery().model_copy(update={"status": torn})
    plan = planning.plan(Observed(stored), deliveries.NOON)
    kinds = {type(command) for command in plan.commands}
    assert not kinds & {c.EnsureVolume, c.EnsureSecret, c.StartClient}
    assert plan.status.resume_phase is Phase.RUNNING


def test_an_abort_while_preparing_ends_the_exam_client() -> None:
    world = SimulatedWorld(stored=deliveries.delivery())
    world.coordinator_up = True
    while world.child is None:
        world.turn()
    world.child.exam.content_ready = False
    world.edit(desiredState="Aborted")
    world.coordinator_up = False
    world.settle(30)
    assert world.phases[-1] is Phase.ABORTED
    assert world.child is None


def test_no_rollback_while_a_receipt_is_shown_even_an_unbelieved_one() -> None:
    world = SimulatedWorld(stored=deliveries.delivery())
    world.until(Phase.RUNNING)
    honest = signer(world.authority)
    world.forged = lambda receipt: honest(receipt.model_copy(update={"delivery_uid": "other"}))
    world.edit(desiredState="Finalised")
    world.settle(30)
    world.edit(desiredState="Running")
    world.settle(30)
    assert world.phases[-1] is Phase.TRANSFERRING


def test_an_exam_client_of_an_older_epoch_is_not_back() -> None:
    world = SimulatedWorld(stored=deliveries.delivery())
    world.until(Phase.RUNNING)
    world.crash()
    world.turn()
    observed = world.look()
    assert observed is not None
    assert observed.client is not None
    ghost = replace(observed, client=observed.client.model_copy(update={"epoch": 1}))
    assert planning.plan(ghost, world.now).status.phase is Phase.RECOVERING


@pytest.mark.parametrize(
    ("secret", "volume", "wanted"),
    [
        (SecretState.PRESENT, VolumeState.PRESENT, [c.DeleteSecret, c.DeleteVolume]),
        (SecretState.ABSENT, VolumeState.PRESENT, [c.DeleteVolume]),
        (SecretState.PRESENT, VolumeState.ABSENT, [c.DeleteSecret]),
        (SecretState.DAMAGED, VolumeState.ABSENT, [c.DeleteSecret]),
    ],
)
def test_a_half_done_clean_up_is_finished(
    secret: SecretState, volume: VolumeState, wanted: list[type]
) -> None:
    world, observed = validated_world()
    gone = replace(observed, child=None, client=None, secret=Secret(secret), volume=Volume(volume))
    later = world.now + timedelta(hours=2)
    kinds = [type(command) for command in planning.plan(gone, later).commands]
    assert [kind for kind in kinds if kind in (c.DeleteSecret, c.DeleteVolume)] == wanted


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"last_seq": -1}, "no last event"), ({"delivery_uid": "x"}, "another delivery")],
)
def test_what_a_receipt_can_lack(change: dict[str, object], problem: str) -> None:
    _, observed = validated_world()
    assert observed.client is not None
    assert observed.receipt is not None
    assert observed.receipt.receipt is not None
    receipt = observed.receipt.receipt.model_copy(update=change)
    found = receipts.receipt_problem(observed.object, 1, observed.client, receipt)
    assert found is not None
    assert problem in found


def test_a_receipt_without_a_sealed_manifest_covers_nothing() -> None:
    _, observed = validated_world()
    assert observed.client is not None
    assert observed.receipt is not None
    assert observed.receipt.receipt is not None
    unsealed = observed.client.transfer.model_copy(update={"manifest_digest": None})
    client = observed.client.model_copy(update={"transfer": unsealed})
    found = receipts.receipt_problem(observed.object, 1, client, observed.receipt.receipt)
    assert found == "the exam-client has not sealed a manifest"


def test_one_signal_is_no_proof_of_a_hang() -> None:
    world = SimulatedWorld(stored=deliveries.delivery())
    world.until(Phase.RUNNING)
    observed = world.look()
    assert observed is not None
    assert observed.child is not None
    silent = replace(observed.child, unanswered_since=world.now - timedelta(hours=1))
    assert not recovery.proven_hung(silent, world.now)
    assert recovery.proven_hung(replace(silent, live_probe_failed=True), world.now)
