"""``python -m coordinator``: three servers in one process; ``python -m coordinator migrate``.

SIGTERM and SIGINT let requests in flight finish, then end the process with 0. What keeps it from
starting is one sentence on stderr and an exit code: 2 settings, 3 database, 4 schema, 5 secret,
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
from coordinator.adapters.server_tls import ServerTls
from coordinator.app import create_internal_app, create_metrics_app, create_public_app
from coordinator.errors import StartFailed
from coordinator.services.runtime import open_runtime
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
    if settings.migrate or words == ["migrate"]:
        migrate.upgrade(settings.database_url.get_secret_value())
    if words == ["migrate"]:
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
        async with open_runtime(settings) as runtime:
            apps = [
                create_public_app(runtime),
                create_internal_app(runtime),
                create_metrics_app(runtime),
            ]
            if tls is not None:
                runtime.metrics.tls_expiry.set_function(lambda: tls.ends_at)
            contexts = [None if tls is None else tls.context] * 2 + [None]
            servers = [
                _server(app, settings, context) for app, context in zip(apps, contexts, strict=True)
            ]
            _stop_on_signal(servers, runtime.hub.dismiss_all)
            # What lives for the whole process needs no more looking at by the collector.
            gc.collect()
            gc.freeze()
            ports = [bound.getsockname()[1] for bound in sockets]
            _log.info("started", public=ports[0], internal=ports[1], metrics=ports[2])
            async with _renewing(tls), asyncio.TaskGroup() as tasks:
                for server, bound in zip(servers, sockets, strict=True):
                    tasks.create_task(server.serve([bound]))
            _log.info("stopped")


@contextlib.asynccontextmanager
async def _renewing(tls: ServerTls | None) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        watching = None if tls is None else tasks.create_task(tls.watch())
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
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=64 * 1024,
            ws_ping_interval=None,
            h11_max_incomplete_event_size=64 * 1024,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=settings.shutdown_seconds,
            lifespan="on",
            ssl_context_factory=None if context is None else lambda config, default: context,
        )
    )


def _stop_on_signal(servers: list[_Server], say_goodbye: Callable[[], None]) -> None:
    def stop() -> None:
        say_goodbye()
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


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
