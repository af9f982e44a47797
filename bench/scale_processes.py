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
from bench.machine import Cores, Process, free_ports, python, start

_WRITES = ("create", "update_status", "patch", "delete", "update")
_SERIES = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.MULTILINE)
_PATIENCE = aiohttp.ClientTimeout(total=20)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of processor by whom, within ``elapsed`` seconds; and the operator's API calls."""

    elapsed: float
    operator: float
    api_server: float
    load: float
    calls: float
    writes: float

    def since(self, earlier: "Spent") -> "Spent":
        """What was spent between the two."""
        return Spent(
            self.elapsed - earlier.elapsed,
            self.operator - earlier.operator,
            self.api_server - earlier.api_server,
            self.load - earlier.load,
            self.calls - earlier.calls,
            self.writes - earlier.writes,
        )

    def words(self, cores: int) -> str:
        """Who used how much of a core, and whether anything was left."""
        shares = {
            "operator": self.operator / self.elapsed,
            "API server and etcd": self.api_server / self.elapsed,
            "load": self.load / self.elapsed,
        }
        said = ", ".join(f"{who} {share:.2f}" for who, share in shares.items())
        return f"cores used: {said} of {cores}"


class OperatorProcess:
    """One operator in the namespace, and its successor after ``restart``."""

    def __init__(
        self, server: ApiServer, pinned: Cores, folder: Path, namespace: str, coordinator_port: int
    ) -> None:
        self._server, self._pinned, self._folder = server, pinned, folder
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
        return start(python("-m", "exam_operator"), self._pinned.server, log, environment)


def _seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
