"""How often deliveries are looked at: often while few are there, and never too often together."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from exam_contract.delivery import Phase
from exam_operator.cluster.holding import LOOK_EVERY, Holding
from exam_operator.cluster.memory import Memory
from exam_operator.core import pacing, planning, reporting
from exam_operator.core.world import Registered
from tests.support import deliveries
from tests.support.simulated_world import SimulatedWorld

PROMISED_SECONDS = 10.0
"""In which whatever is put wrong stands in a condition, among few deliveries."""


@pytest.mark.parametrize(
    ("deliveries", "running", "counts"),
    [(1, 7.0, 30), (245, 7.0, 30), (700, 20.0, 30), (1750, 50.0, 70)],
)
def test_what_is_calm_waits_longer_among_many(
    deliveries: int, running: float, counts: float
) -> None:
    pace = pacing.among(pacing.CLUSTER, deliveries)
    assert pace.poll_seconds[Phase.RUNNING] == running
    assert pace.counts == timedelta(seconds=counts)


def test_what_is_eager_stays_so_among_many() -> None:
    few, many = pacing.CLUSTER, pacing.among(pacing.CLUSTER, 1500)
    eager = [phase for phase, wait in few.poll_seconds.items() if wait < pacing.CALM_SECONDS]
    assert eager
    assert all(many.poll_seconds[phase] == few.poll_seconds[phase] for phase in eager)
    assert (many.recovering_seconds, many.heartbeat) == (few.recovering_seconds, few.heartbeat)


def test_what_people_wait_for_is_never_calm() -> None:
    eager = (Phase.PREPARING, Phase.FINALISING, Phase.TRANSFERRING, Phase.VALIDATED)
    assert all(pacing.CLUSTER.poll_seconds[phase] < pacing.CALM_SECONDS for phase in eager)
    assert pacing.CLUSTER.recovering_seconds < pacing.CALM_SECONDS


class Counting:
    """Knows no object, and when it was asked for one."""

    def __init__(self) -> None:
        self.now, self.asked = deliveries.NOON, list[datetime]()

    def clock(self) -> datetime:
        return self.now

    async def get(self, *place: Any) -> None:
        self.asked.append(self.now)


@pytest.mark.parametrize("between", [0.0, 0.5, 1.0, 1.9, 2.0, 4.0, 6.9])
async def test_keys_are_read_anew_in_time_whenever_another_look_comes_between(
    between: float,
) -> None:
    """An event may bring a look just before the keys would be read again; the wait begins anew."""
    api, memory = Counting(), Memory()
    raw = deliveries.delivery().to_dict()
    raw["metadata"] |= {"resourceVersion": "1"}
    known, _ = memory.see(raw)
    unchecked: Any = api
    holding = Holding(unchecked, memory, api.clock)
    for after in (0.0, between, pacing.CLUSTER.poll_seconds[Phase.RUNNING]):
        api.now += timedelta(seconds=after)
        await holding.look_at_secret(known)
    waits = [later - sooner for sooner, later in pairwise(api.asked)]
    assert waits, "the keys were not read again"
    assert max(waits).total_seconds() <= PROMISED_SECONDS - 1


def test_keys_of_many_are_read_no_more_often_together() -> None:
    assert timedelta(seconds=pacing.CALM_SECONDS) > LOOK_EVERY
    assert 1500 / pacing.among(pacing.CLUSTER, 1500).poll_seconds[Phase.RUNNING] <= 35


def test_a_silent_coordinator_is_said_as_soon_as_patience_ends() -> None:
    world = SimulatedWorld(stored=deliveries.delivery(), coordinator_up=False)
    began = world.now
    while not _says(world, "CoordinatorSilent"):
        assert (world.now - began).total_seconds() < PROMISED_SECONDS - 1
        observed = world.look()
        assert observed is not None
        plan = planning.plan(observed, world.now, pacing.CLUSTER)
        for command in plan.commands:
            world.obey(command)
        world.now += timedelta(seconds=plan.requeue_seconds)
    assert (world.now - began).total_seconds() >= 8


def _says(world: SimulatedWorld, reason: str) -> bool:
    assert world.stored is not None
    return any(
        (one.type, one.status, one.reason) == ("Degraded", "True", reason)
        for one in world.stored.status.conditions
    )


@pytest.mark.parametrize(("seconds", "due"), [(9, False), (10, True)])
def test_what_the_coordinator_refused_is_asked_again_soon(seconds: int, due: bool) -> None:
    world = SimulatedWorld(stored=deliveries.delivery())
    observed = world.look()
    assert observed is not None
    body = reporting.registration(observed, observed.object.status)
    refused = Registered(body, sent_at=world.now, answers=True, refusal="import it first")
    now, calm = world.now + timedelta(seconds=seconds), pacing.CLUSTER.heartbeat
    assert reporting.due(refused, body, Phase.ASSIGNED, calm, now) is due
