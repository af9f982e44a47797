"""The process edge as one running service: objects, loop, exam-clients and the loopback API."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime

import httpx
import structlog
import uvicorn

from exam_operator.adapters.coordinator import CoordinatorPort, Registrar
from exam_operator.adapters.exam_client import ControlPort, new_http
from exam_operator.adapters.metrics import OperatorMetrics
from exam_operator.adapters.reconciling import Reconciler
from exam_operator.local import durable
from exam_operator.local.api import ObjectApi
from exam_operator.local.edge import ProcessEdge
from exam_operator.local.objects import ObjectStore
from exam_operator.local.processes import ClientProcesses
from exam_operator.settings import LocalSettings

log = structlog.get_logger(__name__)
_STOP_SECONDS = 5.0


class LocalOperator:
    """Wires the parts; ``run`` works until ``stop`` is set and leaves exam-clients running."""

    def __init__(
        self,
        settings: LocalSettings,
        http: httpx.AsyncClient,
        now: Callable[[], datetime],
    ) -> None:
        durable.make_private_folder(settings.deliveries)
        self.settings, self.metrics = settings, OperatorMetrics()
        self.store = ObjectStore(settings.objects, now)
        coordinator = CoordinatorPort(http, settings.coordinator_url, settings.operator_key_file)
        registrar = Registrar(coordinator, now, lambda key: self.reconciler.enqueue(key))
        self.registrar = registrar
        self.processes = ClientProcesses(settings, now, self._client_ended)
        control = ControlPort(http)
        self.edge = ProcessEdge(settings, self.store, self.processes, control, registrar, now)
        self.reconciler = Reconciler(self.edge, now, self.metrics)
        self.api = ObjectApi(
            self.store, self.edge, self.metrics, settings.token_file, self.reconciler.enqueue
        )

    async def run(self, listener: socket.socket, stop: asyncio.Event) -> int:
        """Adopt what runs, serve until told to stop; returns how many exam-clients go on."""
        self.edge.adopt()
        server = _Server(
            uvicorn.Config(
                self.api.app(),
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
                limit_concurrency=100,
            )
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(self.reconciler.run()),
                    tasks.create_task(self.registrar.run()),
                ]
                serving = tasks.create_task(server.serve(sockets=[listener]))
                await stop.wait()
                server.should_exit = True
                await asyncio.wait({serving}, timeout=_STOP_SECONDS)
                for task in running:
                    task.cancel()
            return self.processes.count_alive()
        finally:
            self.processes.close()

    def _client_ended(self, uid: str) -> None:
        """Recovery begins here, milliseconds after the process ended."""
        key = self.edge.key_of_uid(uid)
        if key is not None:
            self.reconciler.enqueue(key)


@contextlib.asynccontextmanager
async def local_operator(settings: LocalSettings) -> AsyncIterator[LocalOperator]:
    """The operator of one machine, not yet running."""
    async with new_http() as http:
        yield LocalOperator(settings, http, lambda: datetime.now(UTC))


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; raises OSError when the port is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    """Signals belong to whoever runs us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
