"""``client.json``: which exam-client runs, or ran last, for whoever comes after.

Also the way to end exam-clients for one who holds the folder while no operator runs.
"""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from exam_contract.base import UtcTime
from exam_operator.errors import EdgeError
from exam_operator.local import durable, kernel
from exam_operator.local.places import Place

PREFIX = "MEDXAMION_CLIENT_"


class ExitRecord(BaseModel):
    model_config = ConfigDict(frozen=True)

    at: UtcTime
    was_ready: bool
    asked: bool
    reason: str


class ClientRecord(BaseModel):
    """``client.json``: the exam-client that runs, or ran last."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pod_uid: str
    epoch: int
    port: int
    template: str
    started_at: UtcTime
    pid: int | None = None
    started_ticks: int = 0
    boot: str = ""
    was_ready: bool = False
    stopping_since: UtcTime | None = None
    ended: bool = False
    exits: tuple[ExitRecord, ...] = ()

    @property
    def identity(self) -> kernel.Identity | None:
        return kernel.Identity(self.pid, self.started_ticks, self.boot) if self.pid else None


def read_record(place: Place) -> ClientRecord | None:
    """What the last operator left; None where it left nothing that can be read."""
    with contextlib.suppress(OSError, ValidationError):
        return ClientRecord.model_validate_json(place.record.read_bytes())
    return None


def read_note(place: Place) -> ClientRecord | None:
    """What stands in the lock file: the record as it was before the process had a pid."""
    with contextlib.suppress(OSError, ValidationError):
        return ClientRecord.model_validate_json(place.lock.read_bytes())
    return None


def with_identity(record: ClientRecord, identity: kernel.Identity) -> ClientRecord:
    """The record of that process."""
    return record.model_copy(
        update={
            "pid": identity.pid,
            "started_ticks": identity.started,
            "boot": identity.boot,
        }
    )


def end_gracefully(places: Sequence[Place], timeout_seconds: float) -> int:
    """SIGTERM to all, then wait, for whoever holds the folder while no operator runs; never a kill.

    Returns how many ended. Raises EdgeError naming one that is not through in time.
    """
    handles: list[tuple[Place, int]] = []
    try:
        for place in places:
            handle = _ask_to_end(place)
            if handle is not None:
                handles.append((place, handle))
        deadline = time.monotonic() + timeout_seconds
        for place, handle in handles:
            if not kernel.wait_end(handle, max(0.0, deadline - time.monotonic())):
                raise EdgeError(
                    f"the exam-client of {place.uid} is still saving; its log is {place.log}."
                    " It is not killed: run this again, or look at it"
                )
    finally:
        for _, handle in handles:
            os.close(handle)
    return len(handles)


def _ask_to_end(place: Place) -> int | None:
    record = read_record(place)
    handle = kernel.open_handle(record.identity) if record and record.identity else None
    if record is None or handle is None:
        return None
    durable.write_private(place.record, _asked(record).model_dump_json().encode())
    kernel.send(handle, signal.SIGTERM)
    return handle


def _asked(record: ClientRecord) -> ClientRecord:
    return record.model_copy(update={"stopping_since": datetime.now(UTC)})
