"""Plans for what only a cluster shows: pods that linger, refusals, lost nodes, protection."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exam_contract.control import Mode
from exam_contract.delivery import Condition, ExamDeliveryStatus, Phase, PodStatus
from exam_contract.delivery_rules import delete_allowed
from exam_operator.core import commands as c
from exam_operator.core import planning
from exam_operator.core.announcements import announcements
from exam_operator.core.world import (
    Access,
    Child,
    Observed,
    Registered,
    Remains,
    Secret,
    Trouble,
    Volume,
    VolumeState,
)
from tests.support import deliveries
from tests.support.simulated_world import SimulatedWorld

NOW = deliveries.NOON
REFUSED = Trouble("QuotaExceeded", "raise the quota")


def seen(phase: Phase, **spec: Any) -> tuple[SimulatedWorld, Observed, Child]:
    world = SimulatedWorld(stored=deliveries.delivery(**spec))
    world.until(phase)
    world.settle(1)
    observed = world.look()
    assert observed is not None
    assert observed.child is not None
    return world, observed, observed.child


def preparing() -> tuple[SimulatedWorld, Observed]:
    """Nothing is there yet but the coordinator's answer."""
    world, observed, _ = seen(Phase.RUNNING)
    status = observed.object.status.model_copy(update={"phase": Phase.PREPARING})
    stored = observed.object.model_copy(update={"status": status})
    return world, replace(observed, object=stored, child=None, client=None)


def acts(observed: Observed, world: SimulatedWorld) -> list[type]:
    ignored = (c.WriteStatus, c.RegisterDelivery)
    commands = planning.plan(observed, world.now).commands
    return [type(one) for one in commands if not isinstance(one, ignored)]


def degraded(observed: Observed, world: SimulatedWorld) -> str:
    status = planning.plan(observed, world.now).status
    return next(one.reason for one in status.conditions if one.type == "Degraded")


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"alive": False, "remains": Remains.RETURNING}, []),
        ({"alive": False, "remains": Remains.BLOCKING}, [c.StopClient]),
        ({"alive": False, "remains": Remains.BLOCKING, "stopping_since": NOW}, []),
        ({"alive": False}, [c.StartClient]),
        ({"never_ran": True, "template": "older"}, [c.StopClient]),
        ({"never_ran": True, "template": "older", "stopping_since": NOW}, []),
        ({"node_lost": True}, []),
    ],
)
def test_never_a_second_one(change: dict[str, Any], wanted: list[type]) -> None:
    world, observed, child = seen(Phase.RUNNING)
    found = replace(observed, client=None, child=replace(child, **change))
    assert acts(found, world) == wanted


def test_a_blocking_one_stays_while_no_successor_could_start() -> None:
    world, observed, child = seen(Phase.RUNNING)
    over = replace(child, alive=False, remains=Remains.BLOCKING)
    assert acts(replace(observed, client=None, child=over, secret=Secret()), world) == []


def test_one_on_a_lost_node_is_replaced_only_where_that_is_asked() -> None:
    world, observed, child = seen(Phase.RUNNING, recovery={"nodeLossPolicy": "Replace"})
    lost = replace(observed, client=None, child=replace(child, node_lost=True))
    assert acts(lost, world) == [c.StopClient]


def test_protection_comes_first_and_goes_with_the_data() -> None:
    world, observed = preparing()
    bare = replace(observed, protected=False, secret=Secret(), volume=Volume())
    assert acts(bare, world) == [c.Protect, c.EnsureSecret, c.EnsureVolume]
    world, observed, _ = seen(
        Phase.VALIDATED, desiredState="Finalised", storage={"retention": "1h"}
    )
    assert c.LiftProtection in acts(replace(observed, protected=True), world)


def test_nothing_starts_before_it_can_be_reached_but_a_successor() -> None:
    world, observed = preparing()
    closed = Access(ready=False, trouble=Trouble("KindMissing", "no Gateway API here"))
    unreached = replace(observed, access=closed)
    assert acts(unreached, world) == [c.EnsureAccess]
    assert degraded(unreached, world) == "KindMissing"
    world, observed, _ = seen(Phase.RUNNING)
    successor = replace(observed, child=None, client=None, access=closed)
    assert acts(successor, world) == [c.EnsureAccess, c.StartClient]


@pytest.mark.parametrize(
    ("days", "reason"),
    [(-1, "CertificateExpired"), (6, "CertificateEndsSoon"), (8, "AllWell")],
)
def test_a_certificate_is_told_of_before_it_ends_and_afterwards(days: int, reason: str) -> None:
    """What the exam-client shows; what it should show counts only while it is silent."""
    world, observed, _ = seen(Phase.RUNNING)
    assert observed.client is not None
    ends = world.now + timedelta(days=days)
    shown = observed.client.model_copy(update={"tls_expires_at": ends})
    later = Access(certificate_ends=world.now + timedelta(days=80))
    assert degraded(replace(observed, client=shown, access=later), world) == reason
    assert degraded(
        replace(observed, client=None, access=Access(certificate_ends=ends)), world
    ) == (reason)
    renewed = observed.client.model_copy(update={"tls_expires_at": later.certificate_ends})
    assert degraded(replace(observed, client=renewed), world) == "AllWell"


def test_whose_certificate_is_to_be_renewed_is_told() -> None:
    tls = {"secretRef": {"name": "public"}}
    world, observed, _ = seen(Phase.RUNNING, access={"type": "NodePort", "tls": tls})
    ended = replace(observed, client=None, access=Access(certificate_ends=world.now))
    status = planning.plan(ended, world.now).status
    (said,) = [one.message for one in status.conditions if one.type == "Degraded"]
    assert "renew Secret public of access.tls, or else exam-" in said


def test_a_certificate_that_could_not_be_taken_is_told() -> None:
    world, observed, _ = seen(Phase.RUNNING)
    assert observed.client is not None
    broken = observed.client.model_copy(update={"tls_reason": "tls.crt and tls.key are no pair"})
    assert degraded(replace(observed, client=broken), world) == "CertificateBroken"


def test_new_keys_are_never_drawn_beside_a_volume() -> None:
    world, observed = preparing()
    keyless = replace(observed, secret=Secret(), volume=Volume(VolumeState.PRESENT, "v"))
    assert c.EnsureSecret not in acts(keyless, world)
    assert degraded(keyless, world) == "SecretMissing"


def test_a_refused_start_is_told_and_keeps_its_epoch() -> None:
    world, observed, _ = seen(Phase.RUNNING)
    status = observed.object.status.model_copy(update={"epoch": 7})
    stored = observed.object.model_copy(update={"status": status})
    refused = replace(
        observed, object=stored, child=None, client=None, refused=REFUSED, unstarted=7
    )
    plan = planning.plan(refused, world.now)
    assert (plan.status.epoch, plan.status.restarts.count) == (7, 0)
    assert degraded(refused, world) == "QuotaExceeded"


def test_a_restart_in_place_is_counted_once() -> None:
    world, observed, child = seen(Phase.RUNNING)
    pod = PodStatus(name="client", uid=child.pod.uid, restarts=1)
    again = replace(observed, child=replace(child, pod=pod))
    plan = planning.plan(again, world.now)
    assert plan.status.restarts.count == 1
    stored = observed.object.model_copy(update={"status": plan.status})
    assert planning.plan(replace(again, object=stored), world.now).status.restarts.count == 1


def test_one_that_lost_its_file_is_fenced() -> None:
    world, observed, _ = seen(Phase.RUNNING)
    anew = begun(observed, 2)
    put = [one for one in planning.plan(anew, world.now).commands if isinstance(one, c.PutDesired)]
    assert [one.desired.fenced for one in put] == [True]
    assert degraded(anew, world) == "StartedAnew"


def begun(observed: Observed, attempts: int) -> Observed:
    """As its status remembers."""
    counts = observed.object.status.counts.model_copy(update={"started": attempts})
    status = observed.object.status.model_copy(update={"counts": counts})
    return replace(observed, object=observed.object.model_copy(update={"status": status}))


def test_a_lost_file_does_not_make_forget_that_attempts_were_begun() -> None:
    """Not after a change of phase, nor after half a minute: then a blank one would pass for whole,
    and the object could be deleted like one that nobody ever sat."""
    world, observed, _ = seen(Phase.RUNNING)
    later = world.now + timedelta(minutes=5)
    recovering = {"phase": Phase.RECOVERING, "resume_phase": Phase.RUNNING}
    for change in ({}, recovering):
        found = begun(observed, 2)
        status = found.object.status.model_copy(update=change)
        anew = replace(found, object=found.object.model_copy(update={"status": status}))
        after = planning.plan(anew, later).status
        assert after.counts.started == 2
        stored = anew.object.model_copy(update={"status": after})
        assert degraded(replace(anew, object=stored), world) == "StartedAnew"
        assert not delete_allowed(stored, None)


def test_one_that_erases_its_file_has_lost_nothing() -> None:
    world, _, _ = seen(Phase.RUNNING, storage={"retention": "1h"})
    world.edit(desiredState="Finalised")
    world.until(Phase.VALIDATED)
    observed = world.look()
    assert observed is not None
    assert observed.client is not None
    erasing = observed.client.model_copy(update={"mode": Mode.ERASE})
    found = begun(replace(observed, client=erasing), 2)
    assert degraded(found, world) == "AllWell"
    assert planning.plan(found, world.now).status.counts.started == 2


def test_one_that_hangs_has_little_grace_when_a_restart_is_asked_for() -> None:
    """It would use all of it, and people wait; one that answers has its time."""
    world, _, _ = seen(Phase.RUNNING)
    world.annotate(restart_requested_at="10:00")
    for silent, hung in ((None, False), (5, False), (30, True)):
        assert world.child is not None
        since = None if silent is None else world.now - timedelta(seconds=silent)
        world.child.silent_since = since
        observed = world.look()
        assert observed is not None
        asked = [
            one
            for one in planning.plan(observed, world.now).commands
            if isinstance(one, c.StopClient)
        ]
        assert asked == [c.StopClient("RestartRequested", hung=hung)]


@pytest.mark.parametrize(
    ("left", "silent", "hastened"),
    [(90, 30, True), (90, 5, False), (90, None, False), (9, 30, False), (-60, 30, False)],
)
def test_one_that_is_to_end_and_hangs_gets_less_grace_once(
    left: int, silent: int | None, hastened: bool
) -> None:
    world, observed, child = seen(Phase.RUNNING)
    since = None if silent is None else world.now - timedelta(seconds=silent)
    child = replace(
        child,
        stopping_since=world.now + timedelta(seconds=left),
        unanswered_since=since,
        live_probe_failed=silent is not None,
    )
    found = replace(observed, child=child, client=None if silent else observed.client)
    plan = planning.plan(found, world.now)
    asked = [one for one in plan.commands if isinstance(one, c.StopClient)]
    assert asked == [c.StopClient("it hangs", hung=True)] * hastened


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ({"node_trouble": "node n is not ready"}, "NodeNotReady", "node n is not ready"),
        ({"trouble": Trouble("ImagePullBackOff", "x")}, "ImagePullBackOff", "x"),
    ],
)
def test_troubles_of_pods_and_nodes(change: dict[str, Any], reason: str, message: str) -> None:
    world, observed, child = seen(Phase.RUNNING)
    found = replace(observed, client=None, child=replace(child, never_ran=True, **change))
    assert degraded(found, world) == reason
    status = planning.plan(found, world.now).status
    healthy = next(one for one in status.conditions if one.type == "ClientHealthy")
    assert (healthy.status, healthy.message) == ("False", message)


def test_a_coordinator_that_stays_silent_is_told() -> None:
    world = SimulatedWorld(stored=deliveries.delivery())
    observed = world.look()
    assert observed is not None
    world.now += timedelta(seconds=9)
    assert degraded(replace(observed, registered=Registered()), world) == "CoordinatorSilent"


def test_transitions_are_announced_and_nothing_else() -> None:
    world, observed, child = seen(Phase.RUNNING)
    before = observed.object.status
    assert announcements(before, before) == []
    first = [one.reason for one in announcements(ExamDeliveryStatus(), before)]
    assert first[:2] == ["ClientStarted", "Running"]
    gone = replace(observed, child=replace(child, alive=False), client=None, refused=REFUSED)
    after = planning.plan(gone, world.now).status
    told = announcements(before, after)
    assert [(one.kind, one.reason) for one in told] == [
        ("Normal", "ClientStarted"),
        ("Warning", "Recovering"),
        ("Warning", "ClientRestarted"),
        ("Warning", "QuotaExceeded"),
    ]
    opening = [
        one.model_copy(update={"status": "False", "reason": "Opening"})
        for one in before.conditions
        if one.type == "StorageReady"
    ]
    on_the_way = before.model_copy(update={"conditions": opening})
    assert announcements(before, on_the_way) == []
    healed = after.model_copy(update={"conditions": before.conditions})
    assert [one.kind for one in announcements(after, healed)] == ["Normal"]


def test_a_discard_is_announced_once_with_figures_only() -> None:
    world, observed, _ = seen(Phase.RUNNING)
    before = observed.object.status
    counts = before.counts.model_copy(update={"started": 7, "closed": 2, "acked": 31})
    given_up = Condition(
        type="TransferComplete",
        status="False",
        reason="DataDiscarded",
        last_transition_time=world.now,
    )
    change = {"phase": Phase.FAILED, "counts": counts, "conditions": [given_up]}
    after = before.model_copy(update=change)
    told = [one for one in announcements(before, after) if one.reason == "DataDiscarded"]
    assert [(one.kind, one.message) for one in told] == [
        (
            "Warning",
            "untransferred data was discarded on request: as far as known,"
            " 7 attempts begun, 2 closed, 31 answers saved",
        )
    ]
    assert announcements(after, after) == []
