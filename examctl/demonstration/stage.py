"""The demo's own installation: a temporary home, ``examctl up`` as a child, and a clean end.

Where somebody will look at the dashboard it takes the usual ports if they are free; otherwise free
ones, so that a demo never disturbs another installation.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from exam_operator.local.places import Place
from examctl import ports
from examctl.demonstration.objects import Objects
from examctl.errors import ExamctlError, UnreachableError
from examctl.machine.options import given_database_url
from examctl.machine.stopping import stop_everything
from examctl.runtime import Runtime

USUAL_PORTS = (8080, 8081, 9090, 8234)
_START_SECONDS = 90.0
_END_SECONDS = 30.0
_POLL_SECONDS = 0.05
_CONTROL_OFFSET = 1000


@dataclass(slots=True)
class Stage:
    """A running installation. ``process`` is ``examctl up``."""

    home: Path
    process: "subprocess.Popen[bytes]"
    runtime: Runtime
    object_name: str = ""

    def exam_client_pid(self) -> int:
        """The process that serves the exam now."""
        # The process edge's own record: the object's status may lag behind a successor.
        return int(json.loads(self._place().record.read_bytes())["pid"])

    def coordinator_pid(self) -> int:
        """The coordinator that runs now."""
        record = json.loads((self.home / "coordinator.json").read_bytes())
        return int(record["pid"])

    def trust_file(self) -> Path:
        """The delivery's ``trust.json``; gone after the clean-up."""
        return self._place().secret / "trust.json"

    def _place(self) -> Place:
        uid = Objects(self.runtime).read(self.object_name).metadata.uid or ""
        return Place(self.home / "deliveries" / uid, uid)

    def first_admin_link(self) -> str:
        """The one-time link to the dashboard."""
        token = (self.home / "secrets" / "first-admin.token").read_text().strip()
        return f"{self.runtime.coordinator_url}/first-admin?token={token}"


@contextlib.contextmanager
def staged(*, keep: bool, usual_ports: bool) -> Iterator[Stage]:
    """Everything up; at the end everything ended and, unless ``keep``, removed."""
    home = Path(tempfile.mkdtemp(prefix="medxamion-demo-"))
    try:
        with (
            _own_database() as environment,
            _up(_command(home, usual_ports), home, environment) as stage,
        ):
            yield stage
    finally:
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _own_database() -> Iterator[dict[str, str]]:
    """The environment of ``up``. On a server that is lent, the demo gets a database of its own.

    It crashes services and, on demand, damages rows: nobody's real database is for that.
    """
    lent = given_database_url()
    if lent is None:
        yield dict(os.environ)
        return
    name = f"medxamion_demo_{secrets.token_hex(6)}"
    _execute(lent, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield {**os.environ, "DATABASE_URL": _with_database(lent, name)}
    finally:
        _execute(lent, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(dsn: str, command: sql.Composed) -> None:
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            connection.execute(command)
    except psycopg.Error as error:
        raise UnreachableError(
            f"DATABASE_URL: {str(error).splitlines()[0]}",
            "the demo makes a database of its own there; unset DATABASE_URL to run without",
        ) from error


def _with_database(dsn: str, name: str) -> str:
    """The same server and login, another database."""
    parts = urlsplit(dsn)
    if parts.scheme:
        return parts._replace(path=f"/{name}").geturl()
    return make_conninfo(dsn, dbname=name)


@contextlib.contextmanager
def _up(command: list[str], home: Path, environment: dict[str, str]) -> Iterator[Stage]:
    with (home / "up.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Its own session: Ctrl-C is ours to handle, and it ends when we say so.
            start_new_session=True,
        )
    try:
        yield Stage(home, process, _wait_ready(home, process))
    finally:
        _end(home, process)


def _command(home: Path, usual_ports: bool) -> list[str]:
    main, internal, metrics, edge = _ports(usual_ports)
    first, last = _client_ports()
    return [
        sys.executable, "-m", "examctl", "up", "--home", str(home),
        "--port", str(main), "--internal-port", str(internal), "--metrics-port", str(metrics),
        "--edge-port", str(edge), "--client-ports", f"{first}-{last}",
    ]  # fmt: skip


def _ports(usual: bool) -> tuple[int, ...]:
    if usual and all(ports.is_free(port) for port in USUAL_PORTS):
        return USUAL_PORTS
    return ports.free_ports(len(USUAL_PORTS))


def _client_ports() -> tuple[int, int]:
    """A few ports whose control ports are free as well."""
    for first in range(8235, 8980, 10):
        wanted = range(first, first + 10)
        if all(ports.is_free(port) and ports.is_free(port + _CONTROL_OFFSET) for port in wanted):
            return wanted[0], wanted[-1]
    raise ExamctlError("no ports from 8235 to 8999 are free", "end other exam-clients first")


def _wait_ready(home: Path, process: "subprocess.Popen[bytes]") -> Runtime:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ExamctlError(f"`examctl up` ended: {_last_words(home)}", "mend that, try again")
        with contextlib.suppress(ExamctlError):
            runtime = Runtime.load(home)
            if runtime.state == "ready":
                return runtime
        time.sleep(_POLL_SECONDS)
    raise ExamctlError(f"`examctl up` was not ready within {_START_SECONDS:.0f} s")


def _end(home: Path, process: "subprocess.Popen[bytes]") -> None:
    """Whatever state it is in: ``down`` ends children that a crashed ``up`` left, too."""
    with contextlib.suppress(ExamctlError):
        stop_everything(home, lambda step: None)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(home: Path) -> str:
    lines = (home / "up.log").read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
