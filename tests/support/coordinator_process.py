"""``python -m coordinator`` as a process of its own, and when it is ready."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support import loopback
from tests.support.waiting import until


@contextmanager
def process(folder: Path, dsn: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """``python -m coordinator`` on free ports."""
    (folder / "secret").write_bytes(b"s" * 32)
    environment = {
        **{name: value for name, value in os.environ.items() if "COORDINATOR" not in name},
        "MEDXAMION_COORDINATOR_DATABASE_URL": dsn,
        "MEDXAMION_COORDINATOR_SECRET_FILE": str(folder / "secret"),
        **{
            f"MEDXAMION_COORDINATOR_{name}": "0"
            for name in ("PORT", "INTERNAL_PORT", "METRICS_PORT")
        },
        **{f"MEDXAMION_COORDINATOR_{name}": value for name, value in settings.items()},
    }
    log = (folder / "log").open("w+")
    with (
        log,
        subprocess.Popen(
            [sys.executable, "-m", "coordinator"], env=environment, stderr=log, text=True
        ) as started,
    ):
        try:
            yield started
        finally:
            started.kill()


def until_ready(metrics_port: int) -> None:
    """Waits for the readiness probe."""

    def ready() -> bool:
        try:
            return loopback.get(f"http://127.0.0.1:{metrics_port}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    until(ready, what="the coordinator's start")
