"""The operator as a process beside its load: what it says of itself, and who spends the processor.

API server, store, pretended cluster and operator share a small machine, so that a missed figure
says little without the seconds that each of them spent.
"""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from bench.api_server import ApiServer
from bench.machine import Process, free_ports, python, start

_WRITES = ("create", "update_status", "patch", "delete", "update")
_SERIES = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.MULTILINE)
_PATIENCE = aiohttp.ClientTimeout(total=20)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of processor by whom, within ``elapsed`` seconds; and the operator's API calls.

    ``machine``: of everybody, so that what others took tells how quiet the machine was.
    """

    elapsed: float
    operator: float
    api_server: float
    load: float
    machine: float
    calls: float
    writes: float

    def since(self, earlier: "Spent") -> "Spent":
        """What was spent between the two."""
        return Spent(
            self.elapsed - earlier.elapsed,
            self.operator - earlier.operator,
            self.api_server - earlier.api_server,
            self.load - earlier.load,
            self.machine - earlier.machine,
            self.calls - earlier.calls,
            self.writes - earlier.writes,
        )

    def words(self) -> str:
        """Who used how much of a core; where nothing was left, that bounds the figure."""
        known = self.operator + self.api_server + self.load
        shares = {
            "operator": self.operator,
            "API server and etcd": self.api_server,
            "load": self.load,
            "others": max(0.0, self.machine - known),
        }
        said = ", ".join(f"{who} {spent / self.elapsed:.2f}" for who, spent in shares.items())
        return f"cores used: {said} of {psutil.cpu_count()}"

    def bound(self, made: int) -> str:
        """What so many took, and so the most that this machine's cores can make."""
        took = (self.operator + self.api_server + self.load) / max(1, made)
        most = (psutil.cpu_count() or 1) / took if took else 0.0
        return f"{self.words()}: at {took * 1000:.0f} ms each it can make {most:.0f}/s at most"


class OperatorProcess:
    """One operator in the namespace, and its successor after ``restart``."""

    def __init__(
        self, server: ApiServer, folder: Path, namespace: str, coordinator_port: int
    ) -> None:
        self._server, self._folder = server, folder
        self._namespace, self._coordinator_port = namespace, coordinator_port
        self._port = free_ports(1)[0]
        self._process = self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()

    def restart(self) -> None:
        """SIGKILL, and another one."""
        self._process.kill()
        self._process = self._start()

    def rss_mb(self) -> float:
        return self._process.rss_mb()

    async def spent(self) -> Spent:
        """Since the processes began."""
        series = await self.series()
        calls = {
            labels: value
            for (name, labels), value in series.items()
            if name == "medxamion_operator_api_calls_total"
        }
        writes = (
            value
            for labels, value in calls.items()
            if any(f'verb="{verb}"' in labels for verb in _WRITES)
        )
        return Spent(
            time.monotonic(),
            self._process.cpu_seconds(),
            self._server.cpu_seconds(),
            _seconds(os.getpid()),
            _machine_seconds(),
            sum(calls.values()),
            sum(writes),
        )

    async def in_phase(self, phase: str) -> int:
        """Deliveries that the operator knows to be there."""
        series = await self.series()
        return int(series.get(("medxamion_operator_deliveries", f'phase="{phase}"'), 0))

    async def is_up(self) -> bool:
        return bool(await self.series())

    async def series(self) -> dict[tuple[str, str], float]:
        """Its metrics; nothing while it does not answer."""
        try:
            async with (
                aiohttp.ClientSession(timeout=_PATIENCE) as http,
                http.get(f"http://127.0.0.1:{self._port}/metrics") as reply,
            ):
                text = await reply.text()
        except (aiohttp.ClientError, TimeoutError):
            return {}
        return {
            (one["name"], one["labels"] or ""): float(one["value"])
            for one in _SERIES.finditer(text)
        }

    def _start(self) -> Process:
        (self._folder / "token").write_text("bench")
        prefix = "MEDXAMION_OPERATOR_"
        settings = {
            "NAMESPACES": self._namespace,
            "COORDINATOR_URL": f"http://127.0.0.1:{self._coordinator_port}",
            "COORDINATOR_CA_FILE": str(self._folder / "ca.crt"),
            "TOKEN_FILE": str(self._folder / "token"),
            "CLIENT_IMAGE": "client",
            "CA_DIR": str(self._folder),
            "HOST": "127.0.0.1",
            "PORT": str(self._port),
        }
        environment = {prefix + name: value for name, value in settings.items()}
        environment |= {"KUBECONFIG": str(self._server.kubeconfig), "PYTHONPATH": "operator:."}
        log = self._folder / "operator.log"
        return start(python("-m", "exam_operator"), None, log, environment)


def _seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _machine_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)
