"""The coordinator as a supervised process: started, adopted, watched, restarted when it dies.

It lives in a session of its own, so participants can still sign in while ``up`` is being restarted.
"""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from exam_contract.canonical import digest
from exam_operator.local import kernel
from examctl.errors import ExamctlError
from examctl.machine import home as homes
from examctl.machine.options import LOOPBACK, Options
from examctl.runtime import cli_token_file, edge_token_file, write_private

log = structlog.get_logger(__name__)
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05
_STEADY_SECONDS = 10.0
_LONGEST_BACKOFF_SECONDS = 10.0
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int
    started_ticks: int
    boot: str
    configuration: str

    @property
    def identity(self) -> kernel.Identity:
        return kernel.Identity(self.pid, self.started_ticks, self.boot)


class CoordinatorProcess:
    """One coordinator per home; the record on disk lets the next ``up`` adopt it."""

    def __init__(self, options: Options, dsn: str) -> None:
        self._options, self._dsn = options, dsn
        self._home = options.home
        self._handle: int | None = None
        self._pid = 0
        self.restarts = 0

    def adopt_or_start(self) -> bool:
        """Take up the one that runs with the same settings, else start one. True when adopted."""
        record = read_record(self._home)
        handle = kernel.open_handle(record.identity) if record else None
        if record is not None and handle is not None:
            if record.configuration == self._configuration():
                self._pid, self._handle = record.pid, handle
                return True
            os.close(handle)
            end(self._home)
        self._start()
        return False

    async def wait_healthy(self) -> None:
        """Until it serves. Raises ExamctlError with its last words when it ends instead."""
        async with httpx.AsyncClient(trust_env=False, timeout=2.0) as http:
            try:
                async with asyncio.timeout(_START_SECONDS):
                    while not await self._healthy(http):
                        if kernel.reap(self._pid) is not None or kernel.identify(self._pid) is None:
                            raise self._failed("the coordinator ended while it started")
                        await asyncio.sleep(_POLL_SECONDS)
            except TimeoutError:
                raise self._failed("the coordinator does not come up") from None

    async def supervise(self) -> None:
        """Restart it whenever it ends: at once first, slower while it keeps dying; for ever."""
        failures = 0
        while True:
            started = asyncio.get_running_loop().time()
            await self._ended()
            steady = asyncio.get_running_loop().time() - started > _STEADY_SECONDS
            failures = 0 if steady else failures + 1
            log.warning("coordinator.ended", code=kernel.reap(self._pid), failures=failures)
            if failures > 1:
                await asyncio.sleep(min(_LONGEST_BACKOFF_SECONDS, 0.25 * 2.0**failures))
            self.restarts += 1
            self._start()

    def close(self) -> None:
        """Stop watching; it goes on."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    async def _ended(self) -> None:
        if self._handle is None:
            return
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._handle, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._handle)
            self.close()

    def _start(self) -> None:
        command = (sys.executable, "-P", "-m", "coordinator")
        log_file = self._home / "logs" / "coordinator.log"
        _rotate(log_file)
        lock = self._home / "coordinator.lock"
        identity = kernel.spawn_locked(command, self._environment(), log_file, lock)
        if identity is None:
            raise ExamctlError(
                f"another coordinator of {self._home} still runs and its record is lost",
                "end it with `examctl down`",
            )
        record = _Record(
            pid=identity.pid,
            started_ticks=identity.started,
            boot=identity.boot,
            configuration=self._configuration(),
        )
        write_private(_record_file(self._home), record.model_dump_json().encode())
        self._pid, self._handle = identity.pid, kernel.open_handle(identity)
        log.info("coordinator.started", pid=identity.pid)

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        values = {f"MEDXAMION_COORDINATOR_{name}": text for name, text in self._settings().items()}
        return {**inherited, **values}

    def _settings(self) -> dict[str, str]:
        options, home = self._options, self._home
        return {
            "DATABASE_URL": self._dsn,
            "HOST": options.host,
            "PORT": str(options.port),
            "INTERNAL_HOST": LOOPBACK,
            "INTERNAL_PORT": str(options.internal_port),
            "METRICS_HOST": LOOPBACK,
            "METRICS_PORT": str(options.metrics_port),
            "PUBLIC_URL": options.coordinator_url,
            "ISSUER": f"medxamion-{options.instance}",
            "INSTANCE": options.instance,
            "SECRET_FILE": str(home / "secrets" / "coordinator.secret"),
            "OPERATOR_KEY_FILE": str(homes.operator_key_file(home)),
            "LOCAL_API_URL": options.edge_url,
            "LOCAL_API_TOKEN_FILE": str(edge_token_file(home)),
            "FIRST_ADMIN_TOKEN_FILE": str(homes.first_admin_file(home)),
            "CLI_TOKEN_FILE": str(cli_token_file(home)),
            "MIGRATE": "true",
        }

    def _configuration(self) -> str:
        return digest(self._settings())

    async def _healthy(self, http: httpx.AsyncClient) -> bool:
        try:
            internal = await http.get(f"{self._options.internal_url}/healthz")
        except httpx.HTTPError:
            return False
        return internal.is_success

    def _failed(self, message: str) -> ExamctlError:
        path = self._home / "logs" / "coordinator.log"
        return ExamctlError(f"{message}: {last_line(path)}", f"its log is {path}")


def read_record(home: Path) -> _Record | None:
    """The coordinator that ran last, if any did."""
    with contextlib.suppress(OSError, ValidationError):
        return _Record.model_validate_json(_record_file(home).read_bytes())
    return None


def is_running(home: Path) -> bool:
    """Whether this home's coordinator runs."""
    record = read_record(home)
    return record is not None and kernel.identify(record.pid) == record.identity


def end(home: Path) -> bool:
    """SIGTERM and wait; SIGKILL after 20 s (it holds nothing that is not in PostgreSQL)."""
    record = read_record(home)
    handle = kernel.open_handle(record.identity) if record else None
    if handle is None:
        return False
    try:
        kernel.send(handle, signal.SIGTERM)
        if not kernel.wait_end(handle, _STOP_SECONDS):
            kernel.send(handle, signal.SIGKILL)
            kernel.wait_end(handle, _STOP_SECONDS)
    finally:
        os.close(handle)
    return True


def last_line(path: Path) -> str:
    """The last thing a log says."""
    with contextlib.suppress(OSError):
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return lines[-1][:500]
    return "it said nothing"


def _record_file(home: Path) -> Path:
    return home / "coordinator.json"


def _rotate(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.stat().st_size > 10 * 2**20:
            path.replace(path.with_suffix(".log.1"))
