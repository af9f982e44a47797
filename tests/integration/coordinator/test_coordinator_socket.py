"""The committee's WebSocket: snapshot, events, resume, slow readers, and no database polling."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from coordinator.app import create_public_app
from tests.support.coordinator_rig import Delivery, Rig, coordinator_rig, counted_statements
from tests.support.served import served
from tests.support.waiting import PATIENCE_SECONDS, until_async

Json = dict[str, Any]


@pytest.fixture
async def address(rig: Rig) -> AsyncIterator[str]:
    async with served(create_public_app(rig.runtime)) as bound:
        yield bound


@asynccontextmanager
async def socket(
    address: str, token: str | None, **headers: str
) -> AsyncIterator[ClientConnection]:
    sent = headers if token is None else {"Authorization": f"Bearer {token}", **headers}
    async with connect(f"ws://{address}/api/ws", additional_headers=sent) as opened:
        yield opened


async def message(opened: ClientConnection, kind: str) -> Json:
    """The next message of that kind."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            received = json.loads(await opened.recv())
            if received["type"] == kind:
                return dict(received)


async def subscribe(opened: ClientConnection, delivery: Delivery, **members: Any) -> None:
    body = {"type": "subscribe", "delivery_id": delivery.id, **members}
    await opened.send(json.dumps(body))


async def up(rig: Rig, size: int = 3) -> Delivery:
    delivery = await rig.delivery(size=size)
    await delivery.incarnate()
    return delivery


async def test_a_subscriber_gets_a_snapshot_and_then_every_event_with_its_state(
    rig: Rig, address: str
) -> None:
    delivery = await up(rig)
    await delivery.send(delivery.event())
    async with socket(address, rig.admin_token) as opened:
        await message(opened, "hello")
        await subscribe(opened, delivery)
        snapshot = await message(opened, "snapshot")
        assert (snapshot["stream"], len(snapshot["live"]["participants"])) == (1, 3)
        await delivery.send(delivery.answer(delivery.participants[1], 4))
        events = await message(opened, "events")
        assert (events["stream"], events["coalesced"]) == (2, False)
        assert events["events"][0]["participant"]["progress"]["questions_answered"] == 4
        assert events["events"][0]["event"]["event_type"] == "answer_submitted"


async def test_a_socket_resumes_from_its_stream_number(rig: Rig, address: str) -> None:
    delivery = await up(rig)
    for _ in range(4):
        await delivery.send(delivery.event())
    async with socket(address, rig.admin_token) as opened:
        await subscribe(opened, delivery, resume_from=2)
        events = await message(opened, "events")
        assert [event["stream"] for event in events["events"]] == [3, 4]
    async with socket(address, rig.admin_token) as opened:
        await subscribe(opened, delivery, resume_from=99)
        assert (await message(opened, "snapshot"))["stream"] == 4


async def test_two_replicas_give_the_same_stream(
    rig: Rig, address: str, pg_dsn: str, tmp_path: Path
) -> None:
    delivery = await up(rig)
    async with (
        coordinator_rig(pg_dsn, tmp_path) as other,
        served(create_public_app(other.runtime)) as elsewhere,
        socket(elsewhere, rig.admin_token) as opened,
    ):
        await subscribe(opened, delivery)
        await message(opened, "snapshot")
        streams: list[int] = []
        await delivery.send(*[delivery.event() for _ in range(5)])
        while len(streams) < 5:
            events = await message(opened, "events")
            streams += [event["stream"] for event in events["events"]]
        assert streams == [1, 2, 3, 4, 5]


async def test_a_lost_notice_is_healed_by_the_sweep(pg_dsn: str, tmp_path: Path) -> None:
    async with (
        coordinator_rig(pg_dsn, tmp_path, sweep_seconds=0.1) as rig,
        served(create_public_app(rig.runtime)) as address,
        socket(address, rig.admin_token) as opened,
    ):
        delivery = await up(rig)
        await subscribe(opened, delivery)
        await message(opened, "snapshot")
        event = delivery.event()
        async with rig.runtime.database.begin() as db:  # as another replica would, silently
            await db.execute(
                text(
                    "INSERT INTO events (delivery_id, seq, stream, participant_id, event_type,"
                    " digest, body) VALUES (:id, 1, 1, :person, 'x', 'd', :body)"
                ),
                {"id": delivery.id, "person": event["participant_id"], "body": json.dumps(event)},
            )
            await db.execute(text("UPDATE cursors SET accepted_through = 1, stream = 1"))
        assert (await message(opened, "events"))["stream"] == 1


async def test_nothing_polls_the_database(pg_dsn: str, tmp_path: Path) -> None:
    # The sweep looks on purpose, and has a test of its own.
    quick = {"ping_seconds": 1.0, "probe_seconds": 0.1, "sweep_seconds": 3600.0}
    async with (
        coordinator_rig(pg_dsn, tmp_path, **quick) as rig,
        served(create_public_app(rig.runtime)) as address,
    ):
        delivery = await up(rig)
        async with socket(address, rig.admin_token) as one, socket(address, rig.admin_token) as two:
            for opened in (one, two):
                await subscribe(opened, delivery)
                await message(opened, "snapshot")
            await _quiet(rig)
            with counted_statements(rig) as idle:
                for _ in range(2):  # seconds of pings and probes
                    for opened in (one, two):
                        await message(opened, "ping")
                        await opened.send('{"type": "pong"}')
            assert idle == []
            with counted_statements(rig) as busy:
                await delivery.send(*[delivery.event() for _ in range(20)])
                for opened in (one, two):
                    assert (await message(opened, "events"))["stream"] == 20
                await _quiet(rig)
            # One batch: its own four statements and one notice; sockets add nothing.
            assert len(busy) <= 5, busy


async def _quiet(rig: Rig) -> None:
    """Wait until notices that were due have been sent."""

    async def nothing_due() -> bool:
        with counted_statements(rig) as statements:
            await asyncio.sleep(0.25)
        return statements == []

    await until_async(nothing_due, what="statements to cease")


async def test_a_slow_reader_gets_the_newest_state_and_holds_nobody_up(
    rig: Rig, address: str
) -> None:
    delivery = await up(rig)
    async with socket(address, rig.admin_token) as slow, socket(address, rig.admin_token) as fast:
        for opened in (slow, fast):
            await subscribe(opened, delivery)
            await message(opened, "snapshot")
        connection = next(iter(rig.runtime.hub._sockets))
        connection._machine.limit = 2  # type: ignore[attr-defined]
        events = [delivery.answer(delivery.participants[0], n) for n in range(1, 51)]
        await delivery.send(*events)
        seen = {"slow": await message(slow, "events"), "fast": await message(fast, "events")}
        flags = sorted(found["coalesced"] for found in seen.values())
        assert flags == [False, True]
        for found in seen.values():
            newest = found["events"][-1]["participant"]["progress"]["questions_answered"]
            assert (found["stream"], newest) == (50, 50)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 4401),
        ({"Authorization": "Bearer wrong"}, 4401),
        ({"Origin": "https://evil.example"}, 4403),
    ],
)
async def test_strangers_are_closed_with_a_code(
    rig: Rig, address: str, headers: dict[str, str], code: int
) -> None:
    async with socket(address, None, **headers) as opened:
        with pytest.raises(ConnectionClosed) as closed:
            await opened.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


async def test_another_exams_delivery_is_refused_and_roles_end_sockets(
    rig: Rig, address: str
) -> None:
    mine, foreign = await rig.delivery("mine"), await rig.delivery("foreign")
    person = await rig.staff(("invigilator", "mine"))
    cookie = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
    async with socket(address, None, Cookie=cookie) as opened:
        await subscribe(opened, foreign)
        refused = await message(opened, "problem")
        assert refused["problem"]["code"] == "forbidden"
        await subscribe(opened, mine)
        await message(opened, "snapshot")
        me = (await person.get("/api/me")).json()
        await rig.admin.put(f"/api/staff/{me['id']}/roles", json=[])
        with pytest.raises(ConnectionClosed):
            await _drain(opened)


async def _drain(opened: ClientConnection) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            await opened.recv()


async def test_nonsense_is_answered_and_does_not_end_the_socket(rig: Rig, address: str) -> None:
    delivery = await up(rig)
    async with socket(address, rig.admin_token) as opened:
        for nonsense in ("{", "[]", '{"type": "dance"}', '{"type": "subscribe"}'):
            await opened.send(nonsense)
            assert (await message(opened, "problem"))["problem"]["code"] == "bad_request"
        await opened.send('{"type": "subscribe", "delivery_id": 999}')
        assert (await message(opened, "problem"))["problem"]["code"] == "not_found"
        await subscribe(opened, delivery)
        await message(opened, "snapshot")


async def test_each_event_reaches_sockets_as_it_comes(rig: Rig, address: str) -> None:
    """One event, one frame, before the next is sent: `make bench` holds how fast."""
    delivery = await up(rig, size=200)
    async with socket(address, rig.admin_token) as opened:
        await subscribe(opened, delivery)
        await message(opened, "snapshot")
        for person in delivery.participants:
            event = delivery.answer(person, 1)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(delivery.send(event))
                frame = await message(opened, "events")
            assert [entry["event"]["seq"] for entry in frame["events"]] == [event["seq"]]
