"""The operator at scale, over a real API server: a burst, many live ones, a restart, a stream.

Nothing is pinned: API server, etcd, operator and everything pretended share the machine's cores, so
the API server's work is part of every latency, and what each of them used stands beside the figure.
Every part is bounded: where it does not get there, what it reached is the figure.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from bench import pretended_cluster, scale_proof
from bench.api_server import ApiServer, api_server
from bench.machine import BenchError, Cores, tail
from bench.pretended_cluster import CONTROL_PORT, PretendedCluster, serve
from bench.report import Measure, percentile
from bench.scale_processes import OperatorProcess, Spent
from tests.support.authority import Authority
from tests.support.deliveries import document

NAMESPACE = "bench"
_PLACE = f"/apis/exams.medxamion.io/v1/namespaces/{NAMESPACE}/examdeliveries"
_POSTED_AT_ONCE = 32
_BURST_WITHIN_SECONDS = 45
_RUNNING_WITHIN_SECONDS = 150
_STREAMED_WITHIN_SECONDS = 30
_RESTARTED_WITHIN_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything; the promises are about the numbers of the command line's defaults."""

    burst: int
    live: int
    rate: int
    stream_seconds: int
    steady_seconds: int


def run(_: Cores, options: argparse.Namespace) -> list[Measure]:
    """All of it: the stream has an API server of its own, since it leaves thousands behind."""
    size = Size(
        options.burst, options.live, options.rate, options.stream_seconds, options.steady_seconds
    )
    load_before = os.getloadavg()[0]
    found = [
        *_on_a_fresh_server(size, lambda scale: scale.burst_and_live()),
        *_on_a_fresh_server(size, lambda scale: scale.stream()),
    ]
    folder = os.environ.get("MEDXAMION_PROOF")
    if folder:
        scale_proof.write(Path(folder), found, load_before)
    return found


def _on_a_fresh_server(
    size: Size, measure: "Callable[[Scale], Awaitable[list[Measure]]]"
) -> list[Measure]:
    async def measured(server: ApiServer) -> list[Measure]:
        async with _scale(size, server) as scale:
            return await measure(scale)

    with api_server() as server:
        return asyncio.run(measured(server))


@asynccontextmanager
async def _scale(size: Size, server: ApiServer) -> AsyncIterator["Scale"]:
    with tempfile.TemporaryDirectory(prefix="medxamion-bench-") as name:
        folder = Path(name)
        tls = pretended_cluster.authority(folder, NAMESPACE)
        headers = {"Authorization": f"Bearer {server.token}"}
        connector = aiohttp.TCPConnector(ssl=False, limit=0)
        async with aiohttp.ClientSession(server.url, headers=headers, connector=connector) as http:
            trust = Authority().trust.model_dump(mode="json")
            cluster = PretendedCluster(http, NAMESPACE, trust)
            doors = await serve(cluster.exam_clients(), "0.0.0.0", CONTROL_PORT, tls)  # noqa: S104  127.1/16
            coordinator = await serve(cluster.coordinator(), "127.0.0.1", 0, None)
            async with cluster.running():
                operator = OperatorProcess(server, folder, NAMESPACE, coordinator.port)
                try:
                    if not await within(30, operator.is_up):
                        raise BenchError(
                            f"the operator is silent:\n{tail(folder / 'operator.log')}"
                        )
                    yield Scale(size, http, cluster, operator)
                finally:
                    operator.kill()
                    await doors.close()
                    await coordinator.close()


class Scale:
    """One operator and its load."""

    def __init__(
        self,
        size: Size,
        http: aiohttp.ClientSession,
        cluster: PretendedCluster,
        operator: OperatorProcess,
    ) -> None:
        self._size, self._http = size, http
        self._cluster, self._operator = cluster, operator
        self._posted: dict[str, float] = {}
        self._slots = asyncio.Semaphore(_POSTED_AT_ONCE)
        self._empty_mb = operator.rss_mb()

    async def burst_and_live(self) -> list[Measure]:
        found = await self._burst()
        found += await self._live()
        return [*found, *await self._restarted()]

    async def stream(self) -> list[Measure]:
        """Posted at a rate, whether or not the operator keeps up."""
        size, began = self._size, time.monotonic()
        names = [f"stream-{number}" for number in range(size.rate * size.stream_seconds)]
        before = await self._operator.spent()
        await self._post_all(names, size.stream_seconds + 5, per_second=size.rate)
        took = time.monotonic() - began
        made = sum(name in self._cluster.seen for name in names)
        spent = (await self._operator.spent()).since(before)
        await within(_STREAMED_WITHIN_SECONDS, lambda: self._all_seen(names))
        what = f"{size.rate}/s for {size.stream_seconds} s"
        note = f"posted {self._count_posted(names) / took:.0f}/s; {spent.bound(made)}"
        return [
            Measure(
                "operator", f"{what}: pods made meanwhile", made / took, "/s",
                size.rate * 0.95, "more", note=note,
            ),
            self._late(f"{what}: object to pod, p99", names, None),
            *_price(what, len(names), made, spent),
        ]  # fmt: skip

    async def _burst(self) -> list[Measure]:
        names = [f"burst-{number}" for number in range(self._size.burst)]
        before, began = await self._operator.spent(), time.monotonic()
        await self._post_all(names, _BURST_WITHIN_SECONDS)
        posted = time.monotonic() - began
        await within(_BURST_WITHIN_SECONDS - posted, lambda: self._all_seen(names))
        spent = (await self._operator.spent()).since(before)
        what = f"burst of {self._size.burst}"
        made = sum(name in self._cluster.seen for name in names)
        note = f"posted in {posted:.1f} s, pods in {spent.elapsed:.1f} s; {spent.bound(made)}"
        return [
            self._late(f"{what}: object to pod, p99", names, 2, note),
            *_price(what, len(names), made, spent),
        ]

    async def _live(self) -> list[Measure]:
        size = self._size
        more, began = (
            [f"live-{number}" for number in range(size.live - size.burst)],
            time.monotonic(),
        )
        await self._post_all(more, _RUNNING_WITHIN_SECONDS)
        left = _RUNNING_WITHIN_SECONDS - (time.monotonic() - began)
        running, _ = await self._all_running(left)
        await asyncio.sleep(10)  # what the last ones still cause is no part of a steady state
        before = await self._operator.spent()
        await asyncio.sleep(size.steady_seconds)
        spent = (await self._operator.spent()).since(before)
        what, share = f"{size.live} live", spent.operator / spent.elapsed
        writes = spent.writes / max(1, running) / spent.elapsed * 30
        note = f"{spent.calls / spent.elapsed:.0f} API calls/s; {spent.words()}"
        if running < size.live:  # then it is still making them, and nothing is steady
            return [Measure("operator", f"{what}: running", running, "", size.live, "more", note)]
        return [
            self._memory(f"{what}: memory"),
            Measure("operator", f"{what}: processor", share, "cores", 0.5, note=note),
            Measure(
                "operator", f"{what}: writes a delivery in 30 s", writes, "", 1,
                note=f"{spent.writes:.0f} in {spent.elapsed:.0f} s",
            ),
        ]  # fmt: skip

    async def _restarted(self) -> list[Measure]:
        self._operator.restart()
        running, seconds = await self._all_running(_RESTARTED_WITHIN_SECONDS)
        whole = running >= self._size.live
        note = "" if whole else f"{running} of {self._size.live} when time was up"
        what = f"restart with {self._size.live}: all reconciled"
        return [
            Measure("operator", what, seconds, "s", 60, note=note),
            self._memory("memory after it"),
        ]

    def _memory(self, what: str) -> Measure:
        """And how much of it grows with the deliveries."""
        held = self._operator.rss_mb()
        each = (held - self._empty_mb) / self._size.live * 1000
        note = f"{self._empty_mb:.0f} MB with none, {each:.0f} kB each"
        return Measure("operator", what, held, "MB", 300, note=note)

    async def _all_running(self, seconds: float) -> tuple[int, float]:
        """How many run, after how long."""
        running = 0

        async def whole() -> bool:
            nonlocal running
            running = await self._operator.in_phase("Running")
            return running >= self._size.live

        began = time.monotonic()
        await within(seconds, whole, every=0.5)
        return running, time.monotonic() - began

    async def _post_all(self, names: list[str], seconds: float, per_second: float = 0) -> None:
        """As many as the API server takes in that time, not faster than ``per_second``."""
        began = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
                for number, name in enumerate(names):
                    due = began + number / per_second if per_second else began
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    tasks.create_task(self._post(name))

    def _count_posted(self, names: list[str]) -> int:
        return sum(name in self._posted for name in names)

    async def _post(self, name: str) -> None:
        now = datetime.now(UTC)
        opens, closes = now - timedelta(seconds=5), now + timedelta(hours=4)
        wanted: dict[str, Any] = document(name, opens_at=opens, closes_at=closes)
        async with self._slots:
            self._posted[name] = time.monotonic()
            async with self._http.post(_PLACE, json=wanted) as reply:
                if reply.status != 201:
                    raise BenchError(f"{reply.status}: {await reply.text()}")

    async def _all_seen(self, names: list[str]) -> bool:
        return all(name in self._cluster.seen for name in names)

    def _late(self, what: str, names: list[str], target: float | None, note: str = "") -> Measure:
        """Who has no pod yet counts as having waited until now."""
        now, posted = time.monotonic(), [name for name in names if name in self._posted]
        waited = [self._cluster.seen.get(name, now) - self._posted[name] for name in posted]
        missing = sum(name not in self._cluster.seen for name in names)
        lost = f"{missing} of {len(names)} without a pod when time was up; " if missing else ""
        middle = f"p50 {percentile(waited, 50):.2f} s; "
        value = percentile(waited, 99)
        return Measure("operator", what, value, "s", target, note=lost + middle + note)


def _price(what: str, names: int, made: int, spent: Spent) -> list[Measure]:
    """What one more delivery costs, whatever else the machine does; unknown where some are half
    made."""
    if made < names:
        return []
    return [
        Measure("operator", f"{what}: operator a delivery", spent.operator / names * 1000, "ms"),
        Measure(
            "operator", f"{what}: API server a delivery", spent.api_server / names * 1000, "ms"
        ),
        Measure("operator", f"{what}: API calls a delivery", spent.calls / names, ""),
    ]


async def within(
    seconds: float, holds: Callable[[], Awaitable[bool]], *, every: float = 0.1
) -> bool:
    """Whether it held before the time was up."""
    deadline = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(every)
    return True
