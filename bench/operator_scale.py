"""The operator at scale, over a real API server: bursts, a steady stream, 1,500 live deliveries.

The operator has a core of its own; API server, store and everything pretended share the other, so
the figures are those of a busy small machine, and the API server is part of every latency.
"""

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import httpx

from bench import pretended_cluster
from bench.api_server import ApiServer, api_server
from bench.machine import Cores, Process, free_ports, python, start
from bench.pretended_cluster import CONTROL_PORT, PretendedCluster, serve, until
from bench.report import Measure, percentile
from tests.support.authority import Authority
from tests.support.deliveries import document

NAMESPACE = "bench"
_BURST, _LIVE, _RATE, _STREAM_SECONDS = 500, 1500, 50, 60
_STEADY_SECONDS = 60
_PLACE = f"/apis/exams.medxamion.io/v1/namespaces/{NAMESPACE}/examdeliveries"


def run(pinned: Cores, options: argparse.Namespace) -> list[Measure]:
    """All of it, on one API server."""
    with api_server(pinned.load) as server:
        return asyncio.run(_run(pinned, server))


async def _run(pinned: Cores, server: ApiServer) -> list[Measure]:
    with tempfile.TemporaryDirectory(prefix="medxamion-bench-") as name:
        folder = Path(name)
        tls = pretended_cluster.authority(folder, NAMESPACE)
        headers = {"Authorization": f"Bearer {server.token}"}
        connector = aiohttp.TCPConnector(ssl=False, limit=50)
        async with aiohttp.ClientSession(server.url, headers=headers, connector=connector) as http:
            trust = Authority().trust.model_dump(mode="json")
            cluster = PretendedCluster(http, NAMESPACE, trust)
            await serve(cluster.exam_clients(), "0.0.0.0", CONTROL_PORT, tls)  # noqa: S104  127.1/16
            port = await serve(cluster.coordinator(), "127.0.0.1", 0, None)
            return await Scale(pinned, server, folder, http, cluster, port).measure()


class Scale:
    """One operator and its load."""

    def __init__(
        self,
        pinned: Cores,
        server: ApiServer,
        folder: Path,
        http: aiohttp.ClientSession,
        cluster: PretendedCluster,
        coordinator_port: int,
    ) -> None:
        self._pinned, self._server, self._folder = pinned, server, folder
        self._http, self._cluster, self._coordinator_port = http, cluster, coordinator_port
        self._posted: dict[str, float] = {}
        self._metrics_port = free_ports(1)[0]
        self._operator = self._start()

    async def measure(self) -> list[Measure]:
        watches = [
            asyncio.ensure_future(self._cluster.watch(plural))  # noqa: TID251  ends with the bench
            for plural in ("pods", "persistentvolumeclaims")
        ]
        try:
            await until(self._is_up, 60, "the operator's start")
            found = await self._burst()
            found += await self._live()
            found += await self._restarted()
            found += await self._stream()
            return found
        finally:
            for watch in watches:
                watch.cancel()
            self._operator.kill()

    async def _burst(self) -> list[Measure]:
        names = [f"burst-{number}" for number in range(_BURST)]
        await asyncio.gather(*(self._post(name) for name in names))
        await self._all_there(names)
        return [
            Measure("operator", f"burst of {_BURST}: object to pod, p99", self._late(names), "s", 2)
        ]

    async def _live(self) -> list[Measure]:
        more = [f"live-{number}" for number in range(_LIVE - _BURST)]
        for name in more:
            await self._post(name)
        await self._all_there(more)
        await until(lambda: self._phase("Running") >= _LIVE, 180, f"{_LIVE} running")
        calls, cpu = self._writes(), self._operator.cpu_seconds()
        began = time.monotonic()
        await asyncio.sleep(_STEADY_SECONDS)
        spent = time.monotonic() - began
        writes = (self._writes() - calls) / _LIVE / spent * 30
        share = (self._operator.cpu_seconds() - cpu) / spent
        return [
            Measure("operator", f"{_LIVE} live: memory", self._operator.rss_mb(), "MB", 300),
            Measure("operator", f"{_LIVE} live: processor", share, "cores", 0.5),
            Measure("operator", f"{_LIVE} live: writes a delivery in 30 s", writes, "", 1),
        ]

    async def _restarted(self) -> list[Measure]:
        self._operator.kill()
        self._operator = self._start()
        seconds = await until(lambda: self._phase("Running") >= _LIVE, 120, "the restart")
        return [Measure("operator", f"restart with {_LIVE}: all reconciled", seconds, "s", 60)]

    async def _stream(self) -> list[Measure]:
        names = [f"stream-{number}" for number in range(_RATE * _STREAM_SECONDS)]
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number, name in enumerate(names):
                await asyncio.sleep(max(0.0, began + number / _RATE - time.monotonic()))
                tasks.create_task(self._post(name))
        posted = len(names) / (time.monotonic() - began)
        behind = len(names) - sum(name in self._cluster.seen for name in names)
        await self._all_there(names)
        note = f"posted at {posted:.0f}/s; {behind} without a pod when the last was posted"
        what = f"{_RATE}/s for {_STREAM_SECONDS} s: object to pod, p99"
        return [Measure("operator", what, self._late(names), "s", 2, note=note)]

    def _start(self) -> Process:
        (self._folder / "token").write_text("bench")
        prefix = "MEDXAMION_OPERATOR_"
        settings = {
            "NAMESPACES": NAMESPACE,
            "COORDINATOR_URL": f"http://127.0.0.1:{self._coordinator_port}",
            "COORDINATOR_CA_FILE": str(self._folder / "ca.crt"),
            "TOKEN_FILE": str(self._folder / "token"),
            "CLIENT_IMAGE": "client",
            "CA_DIR": str(self._folder),
            "HOST": "127.0.0.1",
            "PORT": str(self._metrics_port),
        }
        environment = {prefix + name: value for name, value in settings.items()}
        environment |= {"KUBECONFIG": str(self._server.kubeconfig), "PYTHONPATH": "operator:."}
        log = self._folder / "operator.log"
        return start(python("-m", "exam_operator"), self._pinned.server, log, environment)

    async def _post(self, name: str) -> None:
        now = datetime.now(UTC)
        opens, closes = now - timedelta(seconds=5), now + timedelta(hours=4)
        wanted: dict[str, Any] = document(name, opens_at=opens, closes_at=closes)
        self._posted[name] = time.time()
        async with self._http.post(_PLACE, json=wanted) as reply:
            if reply.status != 201:
                raise RuntimeError(f"{reply.status}: {await reply.text()}")

    async def _all_there(self, names: list[str]) -> None:
        await until(lambda: all(name in self._cluster.seen for name in names), 300, "the pods")

    def _late(self, names: list[str]) -> float:
        return percentile([self._cluster.seen[name] - self._posted[name] for name in names], 99)

    def _is_up(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self._metrics_port}/readyz").is_success
        except httpx.HTTPError:
            return False

    def _phase(self, phase: str) -> float:
        return self._metric(f'medxamion_operator_deliveries{{phase="{phase}"}}')

    def _writes(self) -> float:
        verbs = ("create", "update_status", "patch", "delete", "update")
        name = "medxamion_operator_api_calls_total"
        return sum(
            float(line.rpartition(" ")[2])
            for line in self._text().splitlines()
            if line.startswith(name) and any(f'verb="{verb}"' in line for verb in verbs)
        )

    def _metric(self, name: str) -> float:
        for line in self._text().splitlines():
            if line.startswith(name):
                return float(line.rpartition(" ")[2])
        return 0.0

    def _text(self) -> str:
        try:
            return httpx.get(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=30).text
        except httpx.HTTPError:
            return ""
