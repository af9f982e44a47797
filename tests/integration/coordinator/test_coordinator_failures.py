"""A failed exam-client is restarted through its object: once, by one replica, never on a guess."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from coordinator.core.failures import Policy
from coordinator.errors import NotReady
from coordinator.services.failures import FailureWatch
from coordinator.store import deliveries
from exam_contract.delivery import RESTART_ANNOTATION, Phase
from exam_contract.registration import DeliveryRegistration
from tests.support.coordinator_rig import Delivery, Rig, coordinator_rig
from tests.support.waiting import until_async

DEAD = "http://127.0.0.1:1"
SILENT = {"healthy": False, "reason": "NotAnswering"}
Json = dict[str, Any]


@asynccontextmanager
async def resting(dsn: str, folder: Path) -> AsyncIterator[Rig]:
    """The loops rest: each test looks when it wants to."""
    async with coordinator_rig(dsn, folder, probe_seconds=3600.0) as rig:
        rig.runtime.health.watching_since = datetime.now(UTC) - timedelta(hours=1)
        yield rig


@pytest.fixture
async def rig(pg_dsn: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with resting(pg_dsn, tmp_path) as opened:
        yield opened


async def made(rig: Rig, name: str = "d") -> Delivery:
    """A running delivery with an object, whose exam-client answers nobody."""
    exam = await rig.import_exam(f"exam-{name}")
    roster = await rig.import_roster(2, name)
    body = {
        "name": name,
        "exam_id": exam["exam_id"],
        "exam_version": exam["version"],
        "roster_id": roster["roster_id"],
        "opens_at": "2030-01-01T10:00:00Z",
        "closes_at": "2030-01-01T12:00:00Z",
        "time_limit_seconds": 3600,
    }
    reply = await rig.admin.post("/api/deliveries", json=body)
    assert reply.status_code == 201, reply.text
    rig.objects.report(phase=Phase.RUNNING)
    delivery = Delivery(rig=rig, exam=exam, roster=roster, uid=reply.json()["uid"])
    await delivery.register(name=name, endpoint_internal=DEAD, health=SILENT)
    return delivery


async def fail(rig: Rig, delivery: Delivery, silent: float = 25.0) -> None:
    """Calls in vain, and the clock moved back for what was seen of the exam-client."""
    for _ in range(3):
        await rig.admin.get(f"/api/deliveries/{delivery.id}/live-progress")
    since = datetime.now(UTC) - timedelta(seconds=silent)
    await put(rig, delivery, heard_at=since, failing_since=since)


async def put(rig: Rig, delivery: Delivery, **changes: Any) -> None:
    health = rig.runtime.health
    health._watched[delivery.id] = dataclasses.replace(health._watched[delivery.id], **changes)


async def look(rig: Rig) -> None:
    """One round of the watch."""
    await watch_of(rig).look(datetime.now(UTC))


def watch_of(rig: Rig) -> FailureWatch:
    runtime = rig.runtime
    policy = Policy(after_seconds=20, cooldown_seconds=300)
    return FailureWatch(
        runtime.database, rig.objects, runtime.health, runtime.metrics, policy, every_seconds=1
    )


async def later(rig: Rig, seconds: float) -> None:
    """The request is that much older."""
    async with rig.runtime.database.begin() as db:
        await db.execute(
            text(
                "UPDATE restart_requests SET requested_at = requested_at - make_interval(secs=>:n)"
            ),
            {"n": seconds},
        )


def asked(rig: Rig, delivery: Delivery) -> str | None:
    stored = {one.metadata.uid: one for one in rig.objects.objects.values()}[delivery.uid]
    return stored.metadata.annotations.get(RESTART_ANNOTATION)


async def entries(rig: Rig) -> list[Json]:
    reply = await rig.admin.get("/api/audit?limit=1000")
    items: list[Json] = reply.json()["items"]
    return [entry for entry in items if entry["action"] == "delivery_restart_requested"]


async def counted(rig: Rig, outcome: str) -> float:
    line = f'medxamion_coordinator_restart_requests_total{{outcome="{outcome}"}} '
    rows = (await rig.metrics.get("/metrics")).text.splitlines()
    return sum(float(row.removeprefix(line)) for row in rows if row.startswith(line))


async def test_a_failed_exam_client_is_asked_for_once(rig: Rig) -> None:
    delivery = await made(rig)
    await fail(rig, delivery)
    await look(rig)
    first = asked(rig, delivery)
    assert first is not None
    for seconds in (30, 400):  # it stays away: that is still the same failure
        await later(rig, seconds)
        await put(rig, delivery, heard_at=datetime.now(UTC) - timedelta(hours=2))
        await look(rig)
    assert asked(rig, delivery) == first
    [entry] = await entries(rig)
    assert (entry["actor"], entry["target"]) == ("system", f"delivery:{delivery.id}")
    assert await counted(rig, "requested") == 1


async def test_the_next_failure_waits_for_the_pause(rig: Rig) -> None:
    delivery = await made(rig)
    await fail(rig, delivery)
    await look(rig)
    first = asked(rig, delivery)
    for seconds, again in ((100, False), (300, True)):
        await later(rig, seconds)
        await fail(rig, delivery)  # it was heard since, and is gone again
        await look(rig)
        assert (asked(rig, delivery) != first) is again, seconds
    assert len(await entries(rig)) == 2


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"health": {"healthy": True}}, "the operator reaches it"),
        ({"phase": "Recovering", "resume_phase": "Running"}, "Recovering"),
        ({"phase": "Validated"}, "Validated"),
    ],
)
async def test_what_the_operator_knows_better_is_left_to_it(
    rig: Rig, said: Json, word: str
) -> None:
    delivery = await made(rig)
    await fail(rig, delivery)
    body = delivery.registration(endpoint_internal=DEAD, **said)
    async with rig.runtime.database.begin() as db:  # heard by another replica; no notice yet
        await deliveries.update(db, delivery.id, DeliveryRegistration.model_validate(body))
    watch = watch_of(rig)
    with capture_logs() as logged:
        for _ in range(2):
            await watch.look(datetime.now(UTC))
    assert asked(rig, delivery) is None
    [told] = [entry for entry in logged if entry["event"] == "restart_withheld"]
    assert word in told["reason"]
    assert await counted(rig, "withheld") == 1
    assert await entries(rig) == []


async def test_an_operator_that_is_away_is_not_asked(rig: Rig) -> None:
    delivery = await made(rig)
    async with rig.runtime.database.begin() as db:
        await db.execute(text("UPDATE deliveries SET heard_at = now() - interval '2 minutes'"))
    await fail(rig, delivery)
    await look(rig)
    assert asked(rig, delivery) is None


async def test_many_at_once_are_our_own_fault(rig: Rig) -> None:
    both = [await made(rig, "one"), await made(rig, "two")]
    for delivery in both:
        await fail(rig, delivery)
    watch = watch_of(rig)
    with capture_logs() as logged:
        for _ in range(2):
            await watch.look(datetime.now(UTC))
    assert [asked(rig, delivery) for delivery in both] == [None, None]
    assert [e["event"] for e in logged].count("many_exam_clients_unreachable") == 1
    assert await counted(rig, "withheld") == 1


async def test_two_replicas_ask_once(rig: Rig, pg_dsn: str, tmp_path: Path) -> None:
    delivery = await made(rig)
    async with resting(pg_dsn, tmp_path) as other:
        other.objects.objects = rig.objects.objects
        await other.runtime.health.load(other.runtime.database)
        for replica in (rig, other):
            await fail(replica, delivery)
        for replica in (rig, other):
            await look(replica)
        assert len(await entries(rig)) == 1
        assert await counted(rig, "requested") + await counted(other, "requested") == 1


async def test_events_at_another_replica_speak_against_a_restart(
    rig: Rig, pg_dsn: str, tmp_path: Path
) -> None:
    delivery = await made(rig)
    await delivery.incarnate()
    await fail(rig, delivery)
    async with resting(pg_dsn, tmp_path) as other:
        elsewhere = dataclasses.replace(delivery, rig=other)
        assert (await elsewhere.send(elsewhere.event())).status_code == 200
    await look(rig)
    assert asked(rig, delivery) is None


async def test_an_object_that_moved_on_is_left_alone(rig: Rig) -> None:
    delivery = await made(rig)
    rig.objects.report(phase=Phase.RECOVERING)
    await fail(rig, delivery)
    await look(rig)
    assert asked(rig, delivery) is None
    assert await counted(rig, "refused") == 1


async def test_a_request_that_could_not_be_placed_is_tried_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = await made(rig)
    await fail(rig, delivery)

    async def away(*_: object) -> None:
        raise NotReady("the Kubernetes API does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(rig.objects, "edit", away)
        for _ in range(2):  # the second time is too soon
            await look(rig)
    assert (asked(rig, delivery), await counted(rig, "refused")) == (None, 1)
    await later(rig, 31)
    await look(rig)
    assert asked(rig, delivery) is not None


async def test_the_loop_finds_and_asks_by_itself(pg_dsn: str, tmp_path: Path) -> None:
    quick = {"probe_seconds": 0.05, "restart_after_seconds": 0.4}
    async with coordinator_rig(pg_dsn, tmp_path, **quick) as rig:
        delivery = await made(rig)

        async def requested() -> bool:
            return asked(rig, delivery) is not None

        await until_async(requested, what="the request")


async def test_a_break_of_our_own_begins_the_watch_anew(rig: Rig) -> None:
    health, now = rig.runtime.health, datetime.now(UTC)
    began = health.watching_since
    health._notice_absence(now - timedelta(seconds=3601), now)
    assert health.watching_since == began
    for before in (now - timedelta(hours=2), now + timedelta(hours=1)):  # asleep; a clock put back
        health.watching_since = began
        health._notice_absence(before, now)
        assert health.watching_since == now
