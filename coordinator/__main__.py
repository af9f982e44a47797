"""``python -m coordinator``: three servers in one process; ``python -m coordinator migrate``.

SIGTERM and SIGINT let requests in flight finish, then end the process with 0. A database that is
away or not migrated yet is waited for, and the probes say so. What keeps the process from starting
for good is one sentence on stderr and an exit code: 2 settings, 3 database, 4 schema, 5 secret,
6 port, 7 certificate.
"""

import asyncio
import contextlib
import gc
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import ValidationError

from coordinator.adapters import logs
from coordinator.adapters.punctual import PunctualProtocol
from coordinator.adapters.server_tls import ServerTls
from coordinator.app import create_internal_app, create_metrics_app, create_public_app
from coordinator.errors import StartFailed
from coordinator.services.runtime import open_runtime
from coordinator.services.standing import Standing
from coordinator.settings import Settings
from coordinator.store import migrate

_log = structlog.get_logger("coordinator")


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(words)
    except StartFailed as error:
        sys.stderr.write(f"coordinator: {error}\n")
        return error.exit_code


def _run(words: list[str]) -> int:
    if words not in ([], ["migrate"]):
        raise StartFailed("usage: python -m coordinator [migrate]")
    settings = _settings()
    logs.configure(settings.log_level)
    if words == ["migrate"]:
        migrate.upgrade(settings.database_url.get_secret_value())
        sys.stderr.write(f"coordinator: the database is at schema {migrate.newest()}\n")
        return 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))
    return 0


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"MEDXAMION_COORDINATOR_{str(problem['loc'][0]).upper()}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise StartFailed(f"settings: {wrong}") from error


async def _serve(settings: Settings) -> None:
    tls = None if settings.tls_dir is None else ServerTls(settings.tls_dir)
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(contextlib.closing(_bind(host, port)))
            for host, port in (
                (settings.host, settings.port),
                (settings.internal_host, settings.internal_port),
                (settings.metrics_host, settings.metrics_port),
            )
        ]
        await _Process(settings, tls, sockets).run()


class _Process:
    """Probes answer from the first moment, people and exam-clients once the database is there."""

    def __init__(
        self, settings: Settings, tls: ServerTls | None, sockets: list[socket.socket]
    ) -> None:
        self._settings, self._tls, self._sockets = settings, tls, sockets
        self._standing = Standing()
        self._starting: asyncio.Task[None] | None = asyncio.current_task()
        self._doors: list[_Server] = []
        self._dismiss: Callable[[], None] | None = None

    async def run(self) -> None:
        """Until a signal. Raises StartFailed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        probes = _server(create_metrics_app(self._standing), self._settings, None)
        failed: StartFailed | None = None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(probes.serve(self._sockets[2:]))
            try:
                await self._open_doors()
            except StartFailed as error:
                failed = error
            except asyncio.CancelledError:
                if not self._standing.stopping or self._starting is None:
                    raise
                self._starting.uncancel()
            finally:
                probes.should_exit = True
        if failed is not None:
            raise failed

    async def _open_doors(self) -> None:
        async with open_runtime(self._settings, standing=self._standing) as runtime:
            tls = self._tls
            if tls is not None:
                runtime.metrics.tls_expiry.set_function(lambda: tls.ends_at)
            context = None if tls is None else tls.context
            for app in (create_public_app(runtime), create_internal_app(runtime)):
                self._doors.append(_server(app, self._settings, context))
            self._dismiss = runtime.hub.dismiss_all
            # What lives for the whole process needs no more looking at by the collector.
            gc.collect()
            gc.freeze()
            ports = [bound.getsockname()[1] for bound in self._sockets]
            _log.info("started", public=ports[0], internal=ports[1], metrics=ports[2])
            async with (
                _renewing(tls, self._settings.tls_poll_seconds),
                asyncio.TaskGroup() as tasks,
            ):
                for server, bound in zip(self._doors, self._sockets, strict=False):
                    tasks.create_task(server.serve([bound]))
            _log.info("stopped")

    def _stop(self) -> None:
        self._standing.stopping = True
        if self._dismiss is None:
            if self._starting is not None:
                self._starting.cancel()
            return
        self._dismiss()
        for server in self._doors:
            server.should_exit = True


@contextlib.asynccontextmanager
async def _renewing(tls: ServerTls | None, poll_seconds: float) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        watching = None if tls is None else tasks.create_task(tls.watch(poll_seconds))
        yield
        if watching is not None:
            watching.cancel()


class _Server(uvicorn.Server):
    """Signals are handled once for all three servers, so each leaves them alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: FastAPI, settings: Settings, context: ssl.SSLContext | None) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            http=PunctualProtocol,
            ws="websockets-sansio",
            ws_max_size=64 * 1024,
            ws_ping_interval=None,
            h11_max_incomplete_event_size=64 * 1024,
            timeout_keep_alive=30,
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_graceful_shutdown=settings.shutdown_seconds,
            lifespan="on",
            ssl_context_factory=None if context is None else lambda config, default: context,
        )
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise StartFailed(
            f"port {port} on {host} can't be taken ({error.strerror}); stop what uses it or set"
            " another port",
            exit_code=6,
        ) from error
    bound.setblocking(False)
    return bound


if __name__ == "__main__":
    sys.exit(main())
