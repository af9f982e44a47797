"""Bad input, a lost database, a process that can't start: always words, never a traceback."""

import secrets
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from socket import socket

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from structlog.testing import capture_logs

from coordinator.store import migrate
from tests.support import ports, postgres
from tests.support.coordinator_process import process, until_ready
from tests.support.coordinator_rig import Rig
from tests.support.waiting import PATIENCE_SECONDS, until, until_async


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("DELETE", "/api/me", 405, "method_not_allowed"),
        ("GET", "/api/deliveries/99999", 404, "not_found"),
        ("GET", "/api/deliveries/abc", 404, "not_found"),
        ("GET", "/api/exams/none", 404, "not_found"),
        ("GET", "/api/rosters/none", 404, "not_found"),
        ("GET", "/api/audit?after=x", 422, "invalid_field"),
        ("GET", "/api/audit?after=99999999999999999999", 422, "invalid_field"),
        ("POST", "/api/exams", 422, "invalid_field"),
    ],
)
async def test_every_error_is_a_problem(
    rig: Rig, method: str, path: str, status: int, code: str
) -> None:
    reply = await rig.admin.request(method, path)
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{", 400), (b"\xff\xfe", 400), (b"null", 422), (b"x" * (17 * 2**20), 413)],
)
async def test_unreadable_and_huge_bodies_are_refused(
    rig: Rig, content: bytes, status: int
) -> None:
    headers = {"Content-Type": "application/json"}
    reply = await rig.admin.post("/api/rosters", content=content, headers=headers)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"


async def test_what_was_sent_is_never_repeated_in_an_error(rig: Rig) -> None:
    body = {"username": "x", "password": {"secret": "hunter2"}}
    reply = await rig.public.post("/api/sign-in", json=body)
    assert reply.status_code == 422
    assert "hunter2" not in reply.text


async def test_responses_carry_security_headers(rig: Rig) -> None:
    reply = await rig.public.get("/api/me")
    for header in ("content-security-policy", "x-content-type-options", "referrer-policy"):
        assert header in reply.headers


async def test_an_unexpected_error_is_told_without_its_message(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ValueError("holds an answer")

    monkeypatch.setattr("coordinator.api.library.exam_store.page", broken)
    with capture_logs() as logged:
        reply = await rig.admin.get("/api/exams")
    assert (reply.status_code, reply.json()["code"]) == (500, "internal")
    assert "holds an answer" not in reply.text
    assert [entry["event"] for entry in logged] == ["unexpected_error"]


async def test_a_lost_database_is_told_and_comes_back_by_itself(rig: Rig, pg_server: str) -> None:
    name = str(conninfo_to_dict(rig.runtime.database.dsn)["dbname"])
    await until_async(lambda: _ready(rig), what="the first look at the database")
    with closing(psycopg.connect(pg_server, autocommit=True)) as server:
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        for client, path in ((rig.admin, "/api/exams"), (rig.internal, "/healthz")):
            reply = await client.get(path)
            assert (reply.status_code, reply.json()["code"]) == (503, "database_unavailable")
            assert reply.headers["connection"] == "close"  # the next may reach another replica

        async def told() -> bool:
            return "away" in (await rig.metrics.get("/readyz")).json()["detail"]

        await until_async(told, what="the readiness probe to tell")
        assert (await rig.metrics.get("/readyz")).status_code == 200
        assert "database_reachable 0.0" in (await rig.metrics.get("/metrics")).text
        assert (await rig.metrics.get("/healthz")).status_code == 200
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    async def back() -> bool:
        return (await rig.admin.get("/api/exams")).status_code == 200

    await until_async(back, what="the database's return")


async def _ready(rig: Rig) -> bool:
    return (await rig.metrics.get("/readyz")).status_code == 200


async def test_metrics_tell_requests_events_and_sockets(rig: Rig) -> None:
    delivery = await rig.delivery()
    await delivery.incarnate()
    await delivery.send(delivery.event())
    told = (await rig.metrics.get("/metrics")).text
    for line in (
        'medxamion_coordinator_events_total{outcome="stored"} 1.0',
        "medxamion_coordinator_sockets 0.0",
        "medxamion_coordinator_ingest_seconds_count 1.0",
        'route="/api/internal/exam-clients/event"',
    ):
        assert line in told


def test_migrating_twice_and_at_once_changes_nothing(pg_dsn: str) -> None:
    migrate.upgrade(pg_dsn)
    with psycopg.connect(pg_dsn) as db:
        found = db.execute("SELECT version_num FROM schema_version").fetchall()
    assert found == [(migrate.newest(),)]


@pytest.mark.parametrize(
    ("settings", "code", "word"),
    [
        ({"DATABASE_URL": "{server}/no_such_database"}, 3, "PostgreSQL does not answer"),
        ({"DATABASE_URL": "nonsense"}, 3, "PostgreSQL does not answer"),
        ({"SECRET_FILE": "/nowhere"}, 2, "secret file"),
        ({"PORT": "high"}, 2, "MEDXAMION_COORDINATOR_PORT"),
    ],
)
def test_what_keeps_the_process_from_starting_is_one_sentence(
    tmp_path: Path, pg_dsn: str, settings: dict[str, str], code: int, word: str
) -> None:
    server = pg_dsn.rpartition("/")[0]
    filled = {name: value.replace("{server}", server) for name, value in settings.items()}
    with process(tmp_path, pg_dsn, **filled) as started:
        assert started.wait(timeout=PATIENCE_SECONDS) == code
    told = (tmp_path / "log").read_text()
    assert word in told
    assert "Traceback" not in told
    assert len(told.splitlines()) == 1


def test_a_taken_port_is_told(tmp_path: Path, pg_dsn: str) -> None:
    with closing(socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with process(tmp_path, pg_dsn, PORT=port) as started:
            assert started.wait(timeout=PATIENCE_SECONDS) == 6
        assert f"port {port}" in (tmp_path / "log").read_text()


@pytest.fixture
def empty_dsn(pg_server: str) -> Iterator[str]:
    """A database without any schema."""
    name = f"empty_{secrets.token_hex(4)}"
    with closing(psycopg.connect(pg_server, autocommit=True)) as server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        try:
            yield postgres.with_database(pg_server, name)
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_a_schema_that_is_not_there_yet_is_waited_for(tmp_path: Path, empty_dsn: str) -> None:
    port = ports.one()
    with process(tmp_path, empty_dsn, METRICS_PORT=str(port)):
        until(lambda: "coordinator migrate" in _unready(port), what="the wait")
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        migrate.upgrade(empty_dsn)
        until_ready(port)
    assert "waiting_for_database" in (tmp_path / "log").read_text()


def test_a_schema_of_a_newer_version_is_told(tmp_path: Path, pg_dsn: str) -> None:
    with psycopg.connect(pg_dsn) as db:
        db.execute("UPDATE schema_version SET version_num = '9999'")
    with process(tmp_path, pg_dsn) as started:
        assert started.wait(timeout=PATIENCE_SECONDS) == 4
    assert "newer version" in (tmp_path / "log").read_text()


def test_a_database_that_is_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    port = ports.one()
    away = "postgresql://nobody@127.0.0.1:1/x"
    with process(tmp_path, away, METRICS_PORT=str(port), MIGRATE="true") as started:
        until(lambda: "does not answer" in _unready(port), what="the wait")
        assert "database_reachable 0.0" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=PATIENCE_SECONDS) == 0
    told = (tmp_path / "log").read_text()
    assert "waiting_for_database" in told
    assert "Traceback" not in told


def test_replicas_that_migrate_at_once_do_it_one_after_the_other(empty_dsn: str) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(migrate.upgrade, [empty_dsn] * 4))
    with psycopg.connect(empty_dsn) as db:
        found = db.execute("SELECT version_num FROM schema_version").fetchall()
    assert found == [(migrate.newest(),)]


def _unready(port: int) -> str:
    """What the readiness probe says, as long as it says no."""
    try:
        reply = httpx.get(f"http://127.0.0.1:{port}/readyz")
    except httpx.TransportError:
        return ""
    return "" if reply.is_success else str(reply.json()["detail"])


def test_the_process_serves_and_ends_with_sigterm(tmp_path: Path, pg_dsn: str) -> None:
    port = ports.one()
    with process(tmp_path, pg_dsn, METRICS_PORT=str(port), MIGRATE="true") as started:
        until_ready(port)
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=PATIENCE_SECONDS) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
