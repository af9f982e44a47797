"""What a PostgreSQL server on this machine is doing, as its files, ports and last words tell.

PostgreSQL's own postmaster.pid, checked against the process that it names, is the only record of a
running server: no crash of ours can leave a second truth.
"""

from dataclasses import dataclass
from pathlib import Path

import psutil

from examctl.postgres_errors import (
    PostgresDiskFullError,
    PostgresError,
    PostgresFolderError,
    PostgresPortError,
    PostgresStartError,
)

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Postmaster:
    pid: int
    port: int
    ready: bool


def find_postmaster(data: Path) -> Postmaster | None:
    """The living server on `data`, by its postmaster.pid: pid, folder, start, port, ..., state.

    The pid counts only while its command line names `data`: pids are used again.
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        pid, port = int(lines[0]), int(lines[3])
        command = psutil.Process(pid).cmdline()
    except (FileNotFoundError, ValueError, IndexError, psutil.Error):
        return None
    if command[1:3] != ["-D", str(data)] or not is_running(pid):
        return None
    return Postmaster(pid, port, ready=len(lines) > 7 and lines[7].strip() == "ready")


def is_running(pid: int) -> bool:
    """A zombie is not: where nobody reaps, it would look alive for ever."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def explain(said: str, folder: Path, port: int | None = None) -> PostgresError:
    """What PostgreSQL's last words mean for a person."""
    if "No space left on device" in said:
        return PostgresDiskFullError(
            f"No room left for PostgreSQL in {folder}. Make room, then start again: nothing that "
            "was committed is lost."
        )
    if "Address already in use" in said and port is not None:
        return port_taken(port)
    if "Permission denied" in said or "Read-only file system" in said:
        return PostgresFolderError(
            f"PostgreSQL may not use its files in {folder}: {last_words(said)}"
        )
    return PostgresStartError(f"PostgreSQL did not start in {folder}. It said: {last_words(said)}")


def last_words(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "error" in line.lower()]
    return " | ".join((telling or lines)[-3:]) or "nothing"


def port_taken(port: int) -> PostgresPortError:
    return PostgresPortError(
        f"Port {port} on {HOST} is taken by another program. Name another port for PostgreSQL, or "
        "end that program."
    )
