"""The demo as a newcomer runs it, small: it holds, and every sabotage makes it fail."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

SMALL = ("--participants", "20", "--items", "10", "--exit")
LIMIT_SECONDS = 280


def run_demo(
    folder: Path, server: str, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    report = folder / "report.json"
    command = [sys.executable, "-m", "examctl", "demo", *SMALL, "--report", str(report), *arguments]
    environment = {**os.environ, "DATABASE_URL": server, "TMPDIR": str(folder)}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        env=environment,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    return done, json.loads(report.read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A temporary folder of the demo's own; afterwards nothing of it runs or lies there."""
    yield tmp_path
    left = [
        one.pid for one in psutil.process_iter(["cmdline", "environ"]) if mentions(one, tmp_path)
    ]
    assert left == []
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def mentions(process: psutil.Process, folder: Path) -> bool:
    info = process.info
    words = [*(info["cmdline"] or []), *(info["environ"] or {}).values()]
    return any(str(folder) in word for word in words)


def test_a_delivery_survives_its_crashes_and_verifies(folder: Path, pg_server: str) -> None:
    done, report = run_demo(folder, pg_server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (report["lost"], report["duplicated"]) == (0, 0)
    assert report["acknowledged"] == report["stored"] == report["revisions"] > 150
    assert (
        report["kills"] == len(report["inflight_at_kill"]) == len(report["recovery_seconds"]) == 2
    )
    assert all(inflight > 0 for inflight in report["inflight_at_kill"])
    assert report["coordinator_kills"] == len(report["coordinator_recovery_seconds"]) == 1
    assert report["receipt_verified"]
    assert report["audit_verified"]
    assert report["phase"] == "CleanedUp"
    assert report["completed"] == 20
    assert sum(report["score_bins"].values()) == 20


@pytest.mark.parametrize(
    ("sabotage", "noticed_by"),
    [
        ("lose", "acknowledged_are_stored"),
        ("duplicate", "stored_exactly_once"),
        ("ack-early", "acknowledged_are_stored"),
    ],
)
def test_sabotage_makes_the_demo_fail(
    folder: Path, pg_server: str, sabotage: str, noticed_by: str
) -> None:
    done, report = run_demo(folder, pg_server, "--sabotage", sabotage)
    assert done.returncode == 1
    assert "does not hold" in done.stderr
    assert noticed_by in {check["name"] for check in report["checks"] if not check["holds"]}
    assert report["lost"] > 0 or report["duplicated"] > 0
