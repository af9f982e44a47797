"""``examctl down``: end everything gracefully, exam-clients first. Data is kept, whatever it is."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from exam_contract.delivery import END_PHASES, ExamDelivery
from exam_contract.delivery_rules import data_validated
from exam_operator.errors import EdgeError
from exam_operator.local.objects import ObjectStore
from exam_operator.local.places import Place
from exam_operator.local.records import end_gracefully
from examctl.errors import ExamctlError, UnreachableError
from examctl.machine import coordinator, home
from examctl.machine.options import postgres_folder
from examctl.postgres import LocalPostgres
from examctl.runtime import Runtime

_UP_SECONDS = 20.0
_CLIENT_SECONDS = 180.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Stopped:
    """What ``down`` ended. ``untransferred``: deliveries whose data waits in the folder."""

    up: bool
    clients: int
    coordinator: bool
    postgres: bool
    untransferred: tuple[str, ...]


def stop_everything(folder: Path, step: Callable[[str], None]) -> Stopped:
    """Idempotent. Raises ExamctlError when something does not end."""
    if not folder.is_dir():
        raise UnreachableError(f"{folder} does not exist: nothing runs there")
    step("examctl up")
    up = _end_up(folder)
    with home.owned(folder):
        step("exam-clients")
        clients, untransferred = _end_clients(folder)
        step("coordinator")
        ended = coordinator.end(folder)
        step("PostgreSQL")
        server = LocalPostgres(postgres_folder(folder))
        running = server.pid is not None
        server.stop()
    return Stopped(up, clients, ended, running, tuple(untransferred))


def _end_up(folder: Path) -> bool:
    """SIGTERM to the one that holds the lock, whatever its runtime file says."""
    if not home.is_owned(folder):
        return False
    pid = home.owner_pid(folder) or Runtime.load(folder).pid
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _UP_SECONDS
    while home.is_owned(folder):
        if time.monotonic() > deadline:
            raise ExamctlError(
                f"`examctl up` (process {pid}) does not end", f"end it with: kill -9 {pid}"
            )
        time.sleep(_POLL_SECONDS)
    return True


def _end_clients(folder: Path) -> tuple[int, list[str]]:
    objects = list(_objects(folder))
    uids = [stored.metadata.uid or "" for stored in objects]
    places = [Place(folder / "deliveries" / uid, uid) for uid in uids]
    try:
        ended = end_gracefully(places, _CLIENT_SECONDS)
    except EdgeError as error:
        raise ExamctlError(str(error)) from error
    return ended, [stored.metadata.name for stored in objects if not _is_over(stored)]


def _objects(folder: Path) -> Iterator[ExamDelivery]:
    store = ObjectStore(folder / "objects", lambda: datetime.now(UTC))
    for key in store.all_keys():
        yield store.get(key)


def _is_over(stored: ExamDelivery) -> bool:
    over = stored.status.phase in END_PHASES or data_validated(stored)
    return over or stored.status.epoch == 0
