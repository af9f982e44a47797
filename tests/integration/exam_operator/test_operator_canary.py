"""A watch that has gone silent ends the operator, and nothing else does.

The clock is the test's; the canary writes over the real client to a pretended API server, whose
watch is what the test passes on.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import yaml

from exam_operator.adapters.metrics import OperatorMetrics
from exam_operator.cluster import canary, doors
from exam_operator.cluster.api import ClusterApi, connect
from tests.support.cluster_rig import kubeconfig
from tests.support.fake_kubernetes import FakeKubernetes
from tests.support.fake_store import Store
from tests.support.waiting import until_async

Json = dict[str, Any]
NAMESPACE = "exams"
LIMIT_SECONDS = 120


class Cage:
    """One canary at work. ``seconds``: its clock."""

    def __init__(self, server: FakeKubernetes, api: ClusterApi, metrics: OperatorMetrics) -> None:
        self.server, self.seconds = server, 1000.0
        self.canary = canary.Canary(api, [NAMESPACE], metrics, lambda: self.seconds, "me")
        app = doors.app(metrics, self.canary)
        transport = httpx.ASGITransport(app=app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://operator")

    async def health(self) -> tuple[int, Json]:
        reply = await self.http.get("/healthz")
        return reply.status_code, reply.json()

    async def beat(self) -> Json:
        """What it has written."""

        async def written() -> list[Json]:
            return self.server.store.listed("configmaps", NAMESPACE)

        return (await until_async(written, what="a beat"))[0]


@contextlib.asynccontextmanager
async def caged(home: Path, *, away: bool = False) -> AsyncIterator[Cage]:
    store = Store()
    store.create("namespaces", "", {"metadata": {"name": NAMESPACE}})
    server, metrics = FakeKubernetes(store), OperatorMetrics()
    server.away = away
    async with server.serving():
        (home / "kubeconfig").write_text(yaml.safe_dump(kubeconfig(server.url)))
        async with await connect(str(home / "kubeconfig")) as client, asyncio.TaskGroup() as tasks:
            cage = Cage(server, ClusterApi(client, metrics), metrics)
            running = tasks.create_task(cage.canary.run())
            try:
                async with cage.http:
                    yield cage
            finally:
                running.cancel()


async def test_a_watch_that_tells_nothing_fails_the_liveness_probe(tmp_path: Path) -> None:
    async with caged(tmp_path) as cage:
        await cage.beat()
        cage.seconds += LIMIT_SECONDS
        assert await cage.health() == (200, {"status": "ok"})
        cage.seconds += 1
        silent = {"status": "watch stalled", "namespaces": [NAMESPACE]}
        assert await cage.health() == (503, silent)


async def test_a_watch_that_tells_keeps_the_operator_alive(tmp_path: Path) -> None:
    async with caged(tmp_path) as cage:
        cage.canary.heard(await cage.beat())
        cage.seconds += 10 * LIMIT_SECONDS
        assert (await cage.health())[0] == 200


async def test_the_beat_of_an_earlier_operator_proves_nothing(tmp_path: Path) -> None:
    async with caged(tmp_path) as cage:
        beat = await cage.beat()
        cage.canary.heard({**beat, "data": {**beat["data"], "operator": "the one before"}})
        cage.seconds += LIMIT_SECONDS + 1
        assert (await cage.health())[0] == 503


async def test_an_api_server_that_is_away_is_no_reason_to_end(tmp_path: Path) -> None:
    """What could not be written can't be heard of; a restart would mend nothing."""
    async with caged(tmp_path, away=True) as cage:

        async def tried() -> bool:
            return cage.server.turned_away > 0

        await until_async(tried, what="a vain beat")
        cage.seconds += 10 * LIMIT_SECONDS
        assert (await cage.health())[0] == 200
