"""``examctl up``: everything of one machine, started or adopted, then kept running.

What it starts outlives it on purpose: an exam must not hang on a terminal. A second ``up`` finds
everything where the first one left it, however that one ended.
"""

import asyncio
import contextlib
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import structlog

from exam_operator.errors import EdgeError
from exam_operator.local.ports import can_bind
from exam_operator.local.service import listen, local_operator
from exam_operator.settings import LocalSettings
from examctl.errors import ExamctlError
from examctl.machine import coordinator, database, home, logs
from examctl.machine.coordinator import CoordinatorProcess
from examctl.machine.options import LOOPBACK, Options
from examctl.postgres import LocalPostgres
from examctl.runtime import Runtime, edge_token_file

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """``clients_running``: exam-clients that go on; without any, everything was ended."""

    clients_running: int


@dataclass(frozen=True, slots=True)
class Reports:
    """What the caller is told: each step in a word, and once when everything serves."""

    step: Callable[[str], None]
    ready: Callable[[Runtime, str], None]


def run_up(options: Options, reports: Reports) -> Ended:
    """Run until SIGTERM or Ctrl-C. Raises ExamctlError in words when it can't start."""
    home.prepare(options.home)
    log_file = options.home / "logs" / "operator.log"
    with home.owned(options.home), logs.to_file(log_file):
        _no_core_dumps()
        home.ensure_secrets(options.home)
        _check_ports(options)
        return asyncio.run(_run(options, reports))


async def _run(options: Options, reports: Reports) -> Ended:
    with _stop_on_signals() as stop, contextlib.closing(_listen(options)) as listener:
        reports.step("PostgreSQL")
        server, dsn = await _database(options)
        _runtime(options, dsn, "starting").save()
        reports.step("coordinator")
        process = CoordinatorProcess(options, dsn)
        try:
            adopted = process.adopt_or_start()
            await process.wait_healthy()
            log.info("up.coordinator", adopted=adopted)
            reports.step("exam-clients")
            runtime = _runtime(options, dsn, "ready")
            alive = await _serve(runtime, options, listener, server, process, stop, reports)
        finally:
            process.close()
    if alive == 0:
        await asyncio.to_thread(_end_services, options, server)
    return Ended(alive)


async def _serve(
    runtime: Runtime,
    options: Options,
    listener: socket.socket,
    server: LocalPostgres | None,
    process: CoordinatorProcess,
    stop: asyncio.Event,
    reports: Reports,
) -> int:
    """Keep everything running until told to stop; returns how many exam-clients go on."""
    try:
        async with local_operator(_operator_settings(options)) as operator:
            async with asyncio.TaskGroup() as tasks:
                keepers = [tasks.create_task(process.supervise())]
                if server is not None:
                    keepers.append(tasks.create_task(database.keep_running(server)))
                token = home.new_first_admin_token(options.home)
                runtime.save()
                reports.ready(runtime, f"{options.coordinator_url}/first-admin?token={token}")
                alive = await operator.run(listener, stop)
                for keeper in keepers:
                    keeper.cancel()
            return alive
    except EdgeError as error:
        raise ExamctlError(str(error)) from error


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[asyncio.Event]:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def _database(options: Options) -> tuple[LocalPostgres | None, str]:
    if options.database_url is not None:
        await asyncio.to_thread(database.check_given, options.database_url)
        return None, options.database_url
    server = database.own_server(options)
    return server, await asyncio.to_thread(server.start)


def _end_services(options: Options, server: LocalPostgres | None) -> None:
    """No exam needs them: nothing is left behind."""
    coordinator.end(options.home)
    if server is not None:
        server.stop()


def _runtime(options: Options, dsn: str, state: Literal["starting", "ready"]) -> Runtime:
    return Runtime(
        home=options.home,
        pid=os.getpid(),
        started_at=datetime.now(UTC),
        state=state,
        coordinator_url=options.coordinator_url,
        internal_url=options.internal_url,
        metrics_url=options.metrics_url,
        edge_url=options.edge_url,
        postgres="own" if options.database_url is None else "given",
        postgres_dsn=dsn,
    )


def _operator_settings(options: Options) -> LocalSettings:
    return LocalSettings(
        home=options.home,
        coordinator_url=options.internal_url,
        operator_key_file=home.operator_key_file(options.home),
        token_file=edge_token_file(options.home),
        api_host=LOOPBACK,
        api_port=options.edge_port,
        client_host=options.host,
        public_host=options.public_name,
        first_client_port=options.first_client_port,
        last_client_port=options.last_client_port,
    )


def _listen(options: Options) -> socket.socket:
    try:
        return listen(LOOPBACK, options.edge_port)
    except OSError:
        raise _port_taken("the process edge", LOOPBACK, options.edge_port, "--edge-port") from None


def _check_ports(options: Options) -> None:
    """In words and before anything starts; a coordinator that is adopted may hold its own."""
    if coordinator.is_running(options.home):
        return
    wanted = (
        ("the coordinator", options.host, options.port, "--port"),
        ("the internal API", LOOPBACK, options.internal_port, "--internal-port"),
        ("metrics", LOOPBACK, options.metrics_port, "--metrics-port"),
    )
    for what, host, port, flag in wanted:
        if not can_bind(host, port):
            raise _port_taken(what, host, port, flag)


def _port_taken(what: str, host: str, port: int, flag: str) -> ExamctlError:
    return ExamctlError(
        f"port {port} on {host}, for {what}, is taken by another program",
        f"end that program, or choose another port with {flag}",
    )


def _no_core_dumps() -> None:
    """Exam-clients inherit it: a core file would hold answers and keys in the clear."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
