"""The machine under measurement: two cores apart, child processes, free ports, memory."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
READY_SECONDS = 30.0


class BenchError(Exception):
    """Why a measurement could not be made, in words."""


@dataclass(frozen=True, slots=True)
class Cores:
    """What is measured runs on ``server``, what loads it on ``load``."""

    server: int
    load: int


def cores() -> Cores:
    """The first two cores that this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("two cores are needed: one for the server and one for the load")
    return Cores(usable[0], usable[1])


def program(name: str, package: str) -> str:
    """The path of a program, installed from Debian when it is missing."""
    if shutil.which(name) is None:
        subprocess.run([str(ROOT / "scripts" / "debian.sh"), package], check=False)
    found = shutil.which(name)
    if found is None:
        raise BenchError(f"{name} is missing; install the Debian package {package}")
    return found


@dataclass(slots=True)
class Process:
    """A child in a process group of its own, pinned to a core."""

    popen: "subprocess.Popen[bytes]"
    log: Path
    pinned: tuple[int, ...] = field(default=())

    @property
    def pid(self) -> int:
        return self.popen.pid

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Signal it and wait for its end."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        self.popen.wait(timeout=READY_SECONDS)

    def rss_mb(self) -> float:
        return rss_mb(self.pid)

    def cpu_seconds(self) -> float:
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def wait_until(self, ready: Callable[[], bool], what: str) -> None:
        """Poll until ready. Raises BenchError with the end of the log when it ends or is late."""
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{what} did not come up:\n{tail(self.log)}")
            time.sleep(0.005)


@contextmanager
def started(
    arguments: list[str], core: int | None, log: Path, environment: dict[str, str] | None = None
) -> Iterator[Process]:
    """Run a program on a core until the block ends; then SIGKILL."""
    process = start(arguments, core, log, environment)
    try:
        yield process
    finally:
        process.kill()


def start(
    arguments: list[str], core: int | None, log: Path, environment: dict[str, str] | None = None
) -> Process:
    """Run a program on a core; its output goes to the end of the log."""
    pin = [program("taskset", "util-linux"), "-c", str(core)] if core is not None else []
    with log.open("ab") as output:
        popen = subprocess.Popen(
            [*pin, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, **(environment or {})}, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
    return Process(popen, log)


def python(*arguments: str) -> list[str]:
    """This interpreter with arguments."""
    return [sys.executable, *arguments]


def rss_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1e6


def free_ports(count: int) -> list[int]:
    """Ports that are free now, below the range that the kernel hands out by itself."""
    found = list(itertools.islice(filter(is_free, range(19_100, 32_000)), count))
    if len(found) < count:
        raise BenchError("no free port between 19100 and 32000")
    return found


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])
