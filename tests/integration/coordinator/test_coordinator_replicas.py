"""Two replicas on one PostgreSQL: what one is told the other knows, and takes over what it held."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from coordinator.app import create_public_app
from coordinator.store import notify
from tests.support import ports
from tests.support.coordinator_process import process, until_ready
from tests.support.coordinator_rig import Delivery, Rig, coordinator_rig
from tests.support.fake_exam_client import FakeExamClient
from tests.support.served import served
from tests.support.waiting import PATIENCE_SECONDS, until_async

Json = dict[str, Any]


@dataclass
class Pair:
    """``one`` hears events; ``two`` hears of them."""

    one: Rig
    two: Rig


@asynccontextmanager
async def pair(dsn: str, folder: Path, **settings: Any) -> AsyncIterator[Pair]:
    async with (
        coordinator_rig(dsn, folder, **settings) as one,
        coordinator_rig(dsn, folder, **settings) as two,
    ):
        for rig in (one, two):
            await until_async(lambda rig=rig: _listens(rig), what="both replicas to listen")  # type: ignore[misc]
        yield Pair(one, two)


async def _listens(rig: Rig) -> bool:
    """LISTEN sessions are told apart by their name."""
    async with rig.runtime.database.read() as db:
        found = await db.execute(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'medxamion-coordinator-listen' AND state = 'idle'"
            )
        )
        return int(found.scalar_one()) >= 2


@pytest.fixture
async def both(pg_dsn: str, tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(pg_dsn, tmp_path) as opened:
        yield opened


async def test_failed_sign_ins_count_at_every_replica(both: Pair) -> None:
    body = {"username": "nobody", "password": "wrong"}
    for _ in range(5):
        assert (await both.one.client().post("/api/sign-in", json=body)).status_code == 401

    async def slowed() -> bool:
        throttles = both.two.runtime.staff_throttles
        return any(t.throttle._failures for t in (throttles.pair, throttles.account))

    await until_async(slowed, what="the other replica to hear of it")


async def test_a_session_opened_here_is_known_and_ended_there(both: Pair) -> None:
    person = await both.one.staff(("auditor", None))
    elsewhere = both.two.client()
    elsewhere.cookies.update(person.cookies)
    elsewhere.headers["X-CSRF-Token"] = person.headers["X-CSRF-Token"]
    assert (await elsewhere.get("/api/me")).status_code == 200
    assert (await elsewhere.post("/api/sign-out")).status_code == 204
    assert (await person.get("/api/me")).status_code == 401


async def test_the_first_admins_link_works_once_at_all_replicas_together(both: Pair) -> None:
    body = {
        "token": both.one.first_admin_token,
        "username": "first",
        "password": "p" * 12,
    }
    first = await both.one.client().post("/api/first-admin", json=body)
    second = await both.two.client().post("/api/first-admin", json={**body, "username": "other"})
    assert (first.status_code, second.status_code) == (201, 401)


async def test_a_replica_without_events_sees_the_exam_client_live(both: Pair) -> None:
    delivery = await both.one.delivery()
    await delivery.incarnate()

    async def seen() -> Any:
        return both.two.runtime.health.get(delivery.id)

    watched = await until_async(seen, what="the delivery at the other replica")
    before = watched.heard_at
    await delivery.send(delivery.event())

    async def heard() -> bool:
        now = both.two.runtime.health.get(delivery.id)
        return now is not None and now.heard_at is not None and now.heard_at != before

    await until_async(heard, what="the contact at the other replica")
    assert both.two.runtime.health.get(delivery.id).reachable is True  # type: ignore[union-attr]


async def test_an_idle_exam_clients_sign_of_life_reaches_every_replica(
    pg_dsn: str, tmp_path: Path
) -> None:
    async with pair(pg_dsn, tmp_path, probe_seconds=0.1) as both:
        delivery = await both.one.delivery()
        await until_async(lambda: _known(both.two, delivery), what="the delivery there")
        headers = {**delivery.headers(), "X-Pod-Uid": "an-older-pod"}
        await both.one.internal.get("/healthz", headers=headers)
        assert both.one.runtime.health.get(delivery.id).heard_at is None  # type: ignore[union-attr]
        await both.one.internal.get("/healthz", headers=delivery.headers())

        async def heard() -> bool:
            return both.two.runtime.health.get(delivery.id).heard_at is not None  # type: ignore[union-attr]

        await until_async(heard, what="the sign of life there")


async def _known(rig: Rig, delivery: Delivery) -> bool:
    return rig.runtime.health.get(delivery.id) is not None


async def test_lost_notices_about_deliveries_and_people_are_healed_by_the_sweep(
    pg_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(pg_dsn, tmp_path, sweep_seconds=0.2) as both:
        delivery = await both.one.delivery()
        await until_async(lambda: _known(both.two, delivery), what="the delivery there")
        person = await both.one.staff(("committee", None))
        cookie = "; ".join(f"{name}={value}" for name, value in person.cookies.items())

        async def lost(*_: object) -> None:
            return

        monkeypatch.setattr(notify, "send", lost)
        async with (
            served(create_public_app(both.two.runtime)) as address,
            connect(f"ws://{address}/api/ws", additional_headers={"Cookie": cookie}) as opened,
        ):
            await delivery.register(phase="Finalising")

            async def learnt() -> bool:
                watched = both.two.runtime.health.get(delivery.id)
                return watched is not None and watched.phase == "Finalising"

            await until_async(learnt, what="the phase there")
            me = (await person.get("/api/me")).json()
            await both.one.admin.put(f"/api/staff/{me['id']}/roles", json=[])
            assert (await _closed(opened)) == 1012


async def _closed(opened: ClientConnection) -> int:
    """The code a socket was closed with, after whatever came before."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await opened.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006


async def subscribed(address: str, token: str, delivery: Delivery, **members: int) -> Any:
    opened = await connect(
        f"ws://{address}/api/ws", additional_headers={"Authorization": f"Bearer {token}"}
    )
    body = {"type": "subscribe", "delivery_id": delivery.id, **members}
    await opened.send(json.dumps(body))
    return opened


async def streams(opened: ClientConnection, through: int) -> list[int]:
    """Stream numbers of events as they come, until that one."""
    got: list[int] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not got or got[-1] < through:
            message = json.loads(await opened.recv())
            if message["type"] == "events":
                got += [entry["stream"] for entry in message["events"]]
    return got


@pytest.mark.parametrize(("end", "code"), [("kill", 1006), ("terminate", 1012)])
async def test_sockets_of_a_replica_that_ends_resume_at_the_other_and_miss_nothing(
    pg_dsn: str, tmp_path: Path, end: str, code: int
) -> None:
    async with (
        coordinator_rig(pg_dsn, tmp_path) as other,
        served(create_public_app(other.runtime)) as elsewhere,
    ):
        delivery = await other.delivery()
        await delivery.incarnate()
        here, probes = ports.one(), ports.one()
        settings = {
            "PORT": str(here),
            "METRICS_PORT": str(probes),
            "SECRET_FILE": str(tmp_path / "secret"),
            "CLI_TOKEN_FILE": str(tmp_path / "cli.token"),
        }
        folder = tmp_path / "process"
        folder.mkdir()
        with process(folder, pg_dsn, **settings) as replica:
            await asyncio.to_thread(until_ready, probes)
            opened = await subscribed(f"127.0.0.1:{here}", other.admin_token, delivery)
            await _snapshot(opened)
            await delivery.send(*[delivery.event() for _ in range(5)])
            assert await streams(opened, 5) == [1, 2, 3, 4, 5]
            getattr(replica, end)()
            await delivery.send(*[delivery.event() for _ in range(3)])
            assert await _closed(opened) == code
        resumed = await subscribed(elsewhere, other.admin_token, delivery, resume_from=5)
        await delivery.send(delivery.event())
        assert await streams(resumed, 9) == [6, 7, 8, 9]
        await resumed.close()


async def _snapshot(opened: ClientConnection) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while json.loads(await opened.recv())["type"] != "snapshot":
            pass


async def test_without_postgresql_who_was_signed_in_goes_on_looking(
    rig: Rig, client: tuple[FakeExamClient, str]
) -> None:
    fake, url = client
    delivery = await rig.delivery()
    await delivery.register(endpoint_internal=url, endpoint_public=url)
    fake.delivery_id, fake.uid = delivery.id, delivery.uid
    fake.participants, fake.key = delivery.participants, delivery.trust["keys"][0]
    person = await rig.staff(("committee", None))
    path = f"/api/deliveries/{delivery.id}"
    assert (await person.get(f"{path}/live-progress")).status_code == 200
    cookie = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
    dsn = rig.runtime.database.dsn
    await _cut(rig)
    try:
        live = await person.get(f"{path}/live-progress")
        assert (live.status_code, live.json()["source"]) in ((200, "live"), (200, "cached"))
        assert (await person.get(path)).json()["counts"] is None
        assert (await person.get("/api/exam-clients")).status_code == 200
        async with (
            served(create_public_app(rig.runtime)) as address,
            connect(f"ws://{address}/api/ws", additional_headers={"Cookie": cookie}) as opened,
        ):
            await opened.send(json.dumps({"type": "subscribe", "delivery_id": delivery.id}))
            await _snapshot(opened)
        changed = await person.post(f"{path}/finalise", json={"reason": "now"})
        assert (changed.status_code, changed.json()["code"]) == (503, "database_unavailable")
        stranger = rig.client()
        stranger.cookies.set(next(iter(person.cookies)), "another")
        assert (await stranger.get(path)).status_code == 503
    finally:
        await _let_in(dsn, True)


async def _cut(rig: Rig) -> None:
    """Nobody is let in any more, and who is in is thrown out."""
    dsn = rig.runtime.database.dsn
    await _let_in(dsn, False)
    async with await _server(dsn) as server:
        await server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            (conninfo_to_dict(dsn)["dbname"],),
        )


async def _let_in(dsn: str, allowed: bool) -> None:
    name = sql.Identifier(str(conninfo_to_dict(dsn)["dbname"]))
    async with await _server(dsn) as server:
        command = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        await server.execute(command.format(name, sql.Literal(allowed)))


async def _server(dsn: str) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(
        make_conninfo(dsn, dbname="postgres"), autocommit=True
    )
