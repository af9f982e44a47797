"""Conditions by what is seen: a table, and how their times change."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exam_contract.delivery import Condition, Phase
from exam_operator.core import planning
from exam_operator.core.world import (
    Exit,
    Observed,
    Registered,
    Secret,
    SecretState,
    Volume,
    VolumeState,
)
from tests.support import deliveries
from tests.support.simulated_world import SimulatedWorld


def seen(phase: Phase = Phase.RUNNING) -> tuple[SimulatedWorld, Observed]:
    world = SimulatedWorld(stored=deliveries.delivery())
    if phase is not Phase.ASSIGNED:
        world.until(phase)
        world.settle(1)
    observed = world.look()
    assert observed is not None
    return world, observed


def condition(observed: Observed, world: SimulatedWorld, type_: str) -> Condition:
    status = planning.plan(observed, world.now).status
    return next(one for one in status.conditions if one.type == type_)


@pytest.mark.parametrize(
    ("change", "type_", "status", "reason"),
    [
        ({}, "Ready", "True", "Serving"),
        ({}, "Degraded", "False", "AllWell"),
        ({}, "ContentReady", "True", "BundleStored"),
        ({"client": None}, "Ready", "Unknown", "NoAnswer"),
        ({"client": None}, "ClientHealthy", "Unknown", "NoAnswer"),
        ({"client": None}, "ContentReady", "True", "BundleStored"),
        ({"child": None, "client": None}, "ClientHealthy", "False", "NoClient"),
        ({"child": None, "client": None}, "Ready", "False", "Recovering"),
        ({"child": None, "client": None}, "Recovering", "True", "ClientLost"),
        (
            {"secret": Secret(SecretState.DAMAGED, problem="missing: control.key")},
            "Degraded",
            "True",
            "SecretDamaged",
        ),
        (
            {"secret": Secret(SecretState.PRESENT, problem="readable by others")},
            "Degraded",
            "True",
            "SecretNotReady",
        ),
        (
            {"volume": Volume(VolumeState.PENDING_DELETION, "v", True)},
            "Degraded",
            "True",
            "VolumeDeletionPending",
        ),
        ({"volume": Volume(VolumeState.FOREIGN, "v")}, "StorageReady", "False", "OrphanedVolume"),
        ({"volume": Volume(VolumeState.FOREIGN, "v")}, "Degraded", "True", "StorageNotReady"),
        (
            {"volume": Volume(VolumeState.PRESENT, "v", True, "no RWOP here")},
            "StorageReady",
            "False",
            "ProvisioningFailed",
        ),
    ],
)
def test_a_running_delivery(change: dict[str, Any], type_: str, status: str, reason: str) -> None:
    world, observed = seen()
    found = condition(replace(observed, **change), world, type_)
    assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize(
    ("storage", "reason"), [("full", "StorageFull"), ("opening", "Opening"), ("ok", "Open")]
)
def test_the_storage_as_the_exam_client_sees_it(storage: str, reason: str) -> None:
    world, observed = seen()
    assert observed.client is not None
    said = observed.client.storage.model_copy(update={"state": storage})
    client = observed.client.model_copy(update={"storage": said})
    assert condition(replace(observed, client=client), world, "StorageReady").reason == reason


def test_an_exam_client_that_is_not_ready() -> None:
    world, observed = seen()
    assert observed.client is not None
    client = observed.client.model_copy(update={"ready": False})
    found = condition(replace(observed, client=client), world, "Ready")
    assert (found.status, found.reason) == ("False", "ClientNotReady")


def test_other_content_than_the_spec_asks_for_is_never_prepared() -> None:
    world, _ = seen(Phase.PREPARING)
    world.settle(1)
    world, observed = seen(Phase.PREPARED)
    assert observed.client is not None
    other = observed.client.content.model_copy(update={"content_digest": "sha256:" + "f" * 64})
    client = observed.client.model_copy(update={"content": other})
    found = condition(replace(observed, client=client), world, "ContentReady")
    assert (found.status, found.reason) == ("False", "ContentMismatch")


def test_a_crash_loop_is_told() -> None:
    world, observed = seen()
    ends = tuple(Exit(world.now, was_ready=False) for _ in range(4))
    gone = replace(observed, child=None, client=None, exits=ends)
    assert condition(gone, world, "Recovering").reason == "CrashLoop"


def test_a_refused_registration_is_told_while_it_matters() -> None:
    world, observed = seen(Phase.ASSIGNED)
    refused = Registered(answers=True, refusal="exam sample 1 is not imported")
    found = condition(replace(observed, registered=refused), world, "Degraded")
    assert (found.reason, found.message) == (
        "RegistrationRefused",
        "exam sample 1 is not imported",
    )
    world, observed = seen()
    running = replace(observed, registered=replace(observed.registered, refusal="no"))
    assert condition(running, world, "Degraded").reason == "AllWell"


def test_a_time_changes_only_with_the_status() -> None:
    world, observed = seen()
    before = condition(observed, world, "Ready")
    world.settle(120)
    observed = world.look() or observed
    assert condition(observed, world, "Ready").last_transition_time == before.last_transition_time
    gone = condition(replace(observed, child=None, client=None), world, "Ready")
    assert gone.last_transition_time == world.now


def test_a_long_message_is_cut_to_what_the_schema_takes() -> None:
    world, observed = seen()
    secret = Secret(SecretState.DAMAGED, problem="x" * 5000)
    assert len(condition(replace(observed, secret=secret), world, "Degraded").message) == 1024


def test_counts_are_coarse_but_for_the_first_start() -> None:
    world, _ = seen()
    assert world.child is not None
    assert world.stored is not None
    world.settle(31)
    world.child.exam.begin_attempt()
    world.settle(3)
    assert world.stored.status.counts.started == 1, "a deletion reads it"
    noted = world.stored.status.counts.as_of
    world.child.exam.begin_attempt()
    world.settle(3)
    assert world.stored.status.counts.as_of == noted
    world.settle(31)
    assert world.stored.status.counts.started == 2


def test_the_coordinator_is_told_at_once_of_a_change_and_else_every_five_seconds() -> None:
    world, _ = seen()
    world.settle(20)
    sent = len([one for one in world.applied if type(one).__name__ == "RegisterDelivery"])
    world.settle(60)
    beats = len([one for one in world.applied if type(one).__name__ == "RegisterDelivery"]) - sent
    assert 9 <= beats <= 13
    world.crash()
    world.turn()
    told = world.registered.sent
    assert told is not None
    assert told.phase is Phase.RECOVERING


def test_an_ended_delivery_is_told_of_until_it_was_heard() -> None:
    world, _ = seen()
    assert world.child is not None
    for _ in range(3):
        world.child.exam.begin_attempt()
        world.child.exam.close_attempt()
    world.until(Phase.VALIDATED)
    world.coordinator_up = False
    world.until(Phase.CLEANED_UP)
    world.settle(600)
    world.coordinator_up = True
    world.settle(120)
    assert world.registered.answers
    assert world.registered.sent is not None
    assert world.registered.sent.phase is Phase.CLEANED_UP
    world.applied.clear()
    world.settle(timedelta(minutes=10).total_seconds())
    assert world.applied == []
