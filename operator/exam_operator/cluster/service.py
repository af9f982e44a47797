"""The cluster edge as one running service: watches, loop, registrations, probes.

It holds no state but the objects: killed at any moment and started again, it goes on as if nothing
had been. Exams need none of this.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import kopf
import structlog
import uvicorn
from kubernetes.aio.client import ApiClient

from exam_operator.adapters.certificates import Authority
from exam_operator.adapters.coordinator import CoordinatorPort, Registrar
from exam_operator.adapters.exam_client import ControlPort, new_http
from exam_operator.adapters.metrics import OperatorMetrics
from exam_operator.adapters.reconciling import Reconciler
from exam_operator.adapters.trusting import Trusting
from exam_operator.cluster import doors, handlers
from exam_operator.cluster.api import ClusterApi, Kind, connect
from exam_operator.cluster.backend_tls import BackendTls
from exam_operator.cluster.canary import Canary
from exam_operator.cluster.edge import ClusterEdge
from exam_operator.cluster.feed import Feed
from exam_operator.cluster.holding import Holding
from exam_operator.cluster.memory import Memory
from exam_operator.cluster.reaching import Reaching
from exam_operator.core import pacing
from exam_operator.core.manifests import Platform
from exam_operator.core.pacing import Pace
from exam_operator.errors import EdgeError, Refused
from exam_operator.settings import ClusterSettings

log = structlog.get_logger(__name__)
_TIDY_FIRST_SECONDS = 15.0
_TIDY_EVERY_SECONDS = 300.0
_ASK_AGAIN_SECONDS = 2.0
_WATCHED = (Kind.DELIVERY, Kind.POD, Kind.CLAIM, Kind.SERVICE, Kind.CONFIG_MAP)
_STOP_SECONDS = 5.0
Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class ClusterOperator:
    """The wired parts."""

    settings: ClusterSettings
    client: ApiClient
    api: ClusterApi
    metrics: OperatorMetrics
    registrar: Registrar
    edge: ClusterEdge
    reconciler: Reconciler
    canary: Canary
    holding: Holding
    feed: Feed
    trust: Trusting

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Work until kopf is told to stop: by SIGTERM, SIGINT, or ``stop``."""
        server = self._server()
        async with asyncio.TaskGroup() as tasks:
            work = {tasks.create_task(one) for one in self._background()}
            serving = tasks.create_task(server.serve())

            async def end() -> None:
                server.should_exit = True
                for task in work:
                    task.cancel()
                await asyncio.wait({serving, *work}, timeout=_STOP_SECONDS)

            try:
                await self._wait_for_the_cluster()
                await kopf.operator(
                    registry=handlers.registry(self.feed, self.client.configuration, end),
                    settings=handlers.settings(),
                    namespaces=list(self.settings.namespaces),
                    standalone=True,
                    identity=handlers.IDENTITY,
                    stop_flag=stop,
                )
            finally:
                await end()

    async def _wait_for_the_cluster(self) -> None:
        """Until the API answers. Raises Refused in words where the chart's part is missing."""
        for kind in _WATCHED:
            for namespace in self.settings.namespaces:
                await self._wait_for_a_list(kind, namespace)

    async def _wait_for_a_list(self, kind: Kind, namespace: str) -> None:
        while True:
            try:
                return await self.api.check(kind, namespace)
            except Refused:
                raise
            except EdgeError as error:
                log.warning("cluster.silent", reason=str(error))
                await asyncio.sleep(_ASK_AGAIN_SECONDS)

    def _background(self) -> Iterable[Coroutine[Any, Any, None]]:
        yield self.reconciler.run()
        yield self.registrar.run()
        yield self.canary.run()
        yield self.trust.run()
        yield self.edge.telling.run()
        yield self._tidy_for_ever()

    async def _tidy_for_ever(self) -> None:
        await asyncio.sleep(_TIDY_FIRST_SECONDS)
        while True:
            for namespace in self.settings.namespaces:
                await self.tidy(namespace)
            await asyncio.sleep(_TIDY_EVERY_SECONDS)

    async def tidy(self, namespace: str) -> None:
        """The net under lost events and crashes: objects that went or came unseen, and marks."""
        try:
            for key in await self.edge.catch_up(namespace):
                self.reconciler.enqueue(key)
            await self.holding.keep_marked(namespace)
        except EdgeError as error:
            log.warning("tidy.failed", namespace=namespace, reason=str(error))

    def _server(self) -> "_Server":
        return _Server(
            uvicorn.Config(
                doors.app(self.metrics, self.canary),
                host=self.settings.host,
                port=self.settings.port,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
            )
        )


def _utc_now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def cluster_operator(
    settings: ClusterSettings, *, now: Now = _utc_now, pace: Pace = pacing.CLUSTER
) -> AsyncIterator[ClusterOperator]:
    """The operator of a cluster, not yet running. Raises EdgeError in words."""
    trust = Trusting(settings.coordinator_ca_file)
    client = await connect(kubeconfig(settings))
    async with client, new_http(trust) as http:
        yield wire(settings, client, http, trust, now, pace)


def wire(
    settings: ClusterSettings,
    client: ApiClient,
    http: httpx.AsyncClient,
    trust: Trusting,
    now: Now,
    pace: Pace,
) -> ClusterOperator:
    """Everything that belongs together, over one connection to the API server."""
    metrics = OperatorMetrics()
    api = ClusterApi(client, metrics)
    port = CoordinatorPort(http, settings.coordinator_url, settings.token_file)
    registrar = Registrar(port, now, lambda key: reconciler.enqueue(key))
    memory = Memory(registrar.forget)
    holding = Holding(api, memory, now)
    authority = Authority(settings.ca_dir) if settings.tls_issuer == "ca" else None
    known_platform = platform(settings)
    backend_tls = BackendTls(api, authority, settings.coordinator_ca_file, now)
    reaching = Reaching(api, known_platform, authority, backend_tls, settings.public_host, now)
    edge = ClusterEdge(
        api, memory, ControlPort(http), registrar, holding, reaching, known_platform, now
    )
    reconciler = Reconciler(edge, now, metrics, pace=pace, workers=settings.workers)
    canary = Canary(api, settings.namespaces, metrics, time.monotonic, uuid4().hex)
    feed = Feed(memory, edge.looking, canary, reconciler.enqueue)
    return ClusterOperator(
        settings, client, api, metrics, registrar, edge, reconciler, canary, holding, feed, trust
    )


def platform(settings: ClusterSettings) -> Platform:
    """What goes into every delivery's objects."""
    return Platform(
        coordinator_url=settings.coordinator_url,
        client_image=settings.client_image,
        image_pull_policy=settings.client_image_pull_policy,
        image_pull_secrets=settings.image_pull_secrets,
        service_account=settings.client_service_account,
        log_level=settings.client_log_level,
        priority_class=settings.client_priority_class,
        ingress_class=settings.ingress_class,
        ingress_annotations=settings.ingress_annotations,
        service_annotations=settings.service_annotations,
        gateway=settings.gateway,
        cert_manager_issuer=settings.cert_manager_issuer,
    )


def kubeconfig(settings: ClusterSettings) -> str | None:
    """None inside a pod."""
    return settings.kubeconfig or os.environ.get("KUBECONFIG")


class _Server(uvicorn.Server):
    """Signals belong to kopf."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
