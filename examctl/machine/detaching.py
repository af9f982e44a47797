"""``examctl up --detach``: the same command in a session of its own; back when all serves."""

import os
import subprocess
import sys
import time
from pathlib import Path

from pydantic import ValidationError

from examctl.errors import ExamctlError
from examctl.machine import home
from examctl.machine.options import Options
from examctl.runtime import FILE, Runtime

_START_SECONDS = 150.0
_POLL_SECONDS = 0.05


def run_detached(options: Options) -> tuple[Runtime, str]:
    """Start it and wait. Returns the state and the first-admin link; raises what it said."""
    home.prepare(options.home)
    log = options.home / "logs" / "up.log"
    with log.open("wb") as file:
        log.chmod(0o600)
        process = subprocess.Popen(
            _command(options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
        )
    runtime = _wait_ready(process, options.home, log)
    token = home.first_admin_file(options.home).read_text().strip()
    return runtime, f"{runtime.coordinator_url}/first-admin?token={token}"


def _command(options: Options) -> list[str]:
    command = [
        *(sys.executable, "-P", "-m", "examctl", "up"),
        *("--home", str(options.home), "--host", options.host),
        *("--port", str(options.port), "--internal-port", str(options.internal_port)),
        *("--metrics-port", str(options.metrics_port), "--edge-port", str(options.edge_port)),
        *("--client-ports", f"{options.first_client_port}-{options.last_client_port}"),
    ]
    if options.public_host is not None:
        command += ["--public-host", options.public_host]
    if options.postgres_port is not None:
        command += ["--postgres-port", str(options.postgres_port)]
    return command


def _wait_ready(process: "subprocess.Popen[bytes]", folder: Path, log: Path) -> Runtime:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ExamctlError(_said(log), f"its logs are in {folder / 'logs'}")
        runtime = _read(folder)
        if runtime is not None and runtime.pid == process.pid and runtime.state == "ready":
            process.returncode = 0  # it goes on without us, and that is no leak
            return runtime
        time.sleep(_POLL_SECONDS)
    os.kill(process.pid, 15)
    raise ExamctlError(
        f"it did not come up in {_START_SECONDS:.0f} s", f"its logs are in {folder / 'logs'}"
    )


def _read(folder: Path) -> Runtime | None:
    try:
        return Runtime.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def _said(log: Path) -> str:
    said = log.read_text(errors="replace").strip().removeprefix("error: ")
    return said or "it ended without a word"
