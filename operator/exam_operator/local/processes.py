"""Supervised exam-client processes: started at most once, noticed at once when they end, adopted.

They live in sessions of their own and outlive whoever started them. A record on disk says who runs;
the lock that each holds for life is the proof.
"""

import asyncio
import contextlib
import os
import signal
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from exam_operator.core.world import Exit
from exam_operator.errors import EdgeError, SecondClient
from exam_operator.local import durable, kernel, ports
from exam_operator.local.places import Place
from exam_operator.local.records import (
    PREFIX,
    ClientRecord,
    ExitRecord,
    read_record,
    record_from,
)
from exam_operator.settings import LocalSettings

log = structlog.get_logger(__name__)
_EXITS_KEPT = 16
_LOG_BYTES = 10 * 2**20
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class Start:
    """What a start needs beside the place."""

    delivery_id: int
    epoch: int
    template: str
    preferred_port: int | None


class ClientProcesses:
    """Every exam-client of this machine. Belongs to one event loop."""

    def __init__(
        self,
        settings: LocalSettings,
        now: Callable[[], datetime],
        on_end: Callable[[str], None],
    ) -> None:
        self._settings, self._now, self._on_end = settings, now, on_end
        self._records: dict[str, ClientRecord] = {}
        self._handles: dict[str, int] = {}

    def adopt(self, place: Place) -> None:
        """Take up what runs, or note that it ended, at the operator's start."""
        if place.uid in self._records:
            return
        record = read_record(place) or self._lost_record(place)
        if record is None:
            return
        self._records[place.uid] = record
        handle = kernel.open_handle(record.identity) if record.identity else None
        if handle is None and kernel.is_locked(place.lock):
            record, handle = self._by_environment(place, record)
        if handle is not None:
            self._watch(place, handle)
            self._save(place, record)
            log.info("client.adopted", delivery_uid=place.uid, pid=record.pid, epoch=record.epoch)
        elif not record.ended:
            self._note_end(place, None)

    def record(self, uid: str) -> ClientRecord | None:
        return self._records.get(uid)

    def is_alive(self, uid: str) -> bool:
        return uid in self._handles

    def count_alive(self) -> int:
        return len(self._handles)

    def exits(self, uid: str) -> tuple[Exit, ...]:
        record = self._records.get(uid)
        ends = record.exits if record else ()
        return tuple(Exit(end.at, end.was_ready, end.asked, end.reason) for end in ends)

    def start(self, place: Place, wanted: Start) -> None:
        """Start the one exam-client of a place. Raises SecondClient when one may still live."""
        if self.is_alive(place.uid) or kernel.is_locked(place.lock):
            raise SecondClient(f"an exam-client of {place.uid} still holds its lock")
        before = self._records.get(place.uid)
        record = ClientRecord(
            pod_uid=str(uuid.uuid4()),
            epoch=wanted.epoch,
            port=self._choose_port(place.uid, before, wanted.preferred_port),
            template=wanted.template,
            started_at=self._now(),
            exits=before.exits if before else (),
        )
        self._save(place, record)  # before the start, so that its uid and port are never unknown
        _rotate(place.log)
        identity = kernel.spawn_locked(
            self._settings.client_command,
            self._environment(place, record, wanted),
            place.log,
            place.lock,
        )
        if identity is None:
            raise SecondClient(f"an exam-client of {place.uid} took the lock")
        self._took_off(place, record, identity)

    def stop(self, place: Place, reason: str) -> None:
        """SIGTERM, once; it ends when it has finished what it holds."""
        handle, record = self._handles.get(place.uid), self._records.get(place.uid)
        if handle is None or record is None:
            return
        log.info("client.stopping", delivery_uid=place.uid, reason=reason)
        self._save(place, record.model_copy(update={"stopping_since": self._now()}))
        kernel.send(handle, signal.SIGTERM)

    def kill(self, place: Place, reason: str) -> None:
        """SIGKILL; the plan has two signals and a person's word for it."""
        handle = self._handles.get(place.uid)
        if handle is not None:
            log.warning("client.killed", delivery_uid=place.uid, reason=reason)
            kernel.send(handle, signal.SIGKILL)

    def note_ready(self, place: Place) -> None:
        """It served: a later end of it is a crash of a working exam-client."""
        record = self._records.get(place.uid)
        if record is not None and not record.was_ready:
            self._save(place, record.model_copy(update={"was_ready": True}))

    def forget(self, uid: str) -> None:
        """The delivery is gone."""
        self._unwatch(uid)
        self._records.pop(uid, None)

    def close(self) -> None:
        """Stop watching; every exam-client goes on."""
        for uid in list(self._handles):
            self._unwatch(uid)

    def _took_off(self, place: Place, record: ClientRecord, identity: kernel.Identity) -> None:
        record = record.model_copy(
            update={
                "pid": identity.pid,
                "started_ticks": identity.started,
                "boot": identity.boot,
            }
        )
        self._save(place, record)
        log.info(
            "client.started",
            delivery_uid=place.uid,
            pid=identity.pid,
            epoch=record.epoch,
            port=record.port,
        )
        handle = kernel.open_handle(identity)
        if handle is None:
            self._note_end(place, kernel.reap(identity.pid))
        else:
            self._watch(place, handle)

    def _watch(self, place: Place, handle: int) -> None:
        """The pidfd becomes readable the moment the process ends."""
        self._handles[place.uid] = handle
        asyncio.get_running_loop().add_reader(handle, self._ended, place)

    def _unwatch(self, uid: str) -> None:
        handle = self._handles.pop(uid, None)
        if handle is not None:
            asyncio.get_running_loop().remove_reader(handle)
            os.close(handle)

    def _ended(self, place: Place) -> None:
        record = self._records[place.uid]
        self._unwatch(place.uid)
        self._note_end(place, kernel.reap(record.pid) if record.pid else None)
        self._on_end(place.uid)

    def _note_end(self, place: Place, code: int | None) -> None:
        record = self._records[place.uid]
        end = ExitRecord(
            at=self._now(),
            was_ready=record.was_ready,
            asked=record.stopping_since is not None,
            reason=_reason(code),
        )
        kept = (*record.exits, end)[-_EXITS_KEPT:]
        log.warning("client.ended", delivery_uid=place.uid, epoch=record.epoch, reason=end.reason)
        self._save(place, record.model_copy(update={"ended": True, "exits": kept}))

    def _save(self, place: Place, record: ClientRecord) -> None:
        self._records[place.uid] = record
        try:
            durable.write_private(place.record, record.model_dump_json().encode())
        except OSError as error:
            # The exam matters more than its record: the lock and /proc still tell who runs.
            log.error("client.record_not_written", delivery_uid=place.uid, reason=error.strerror)

    def _choose_port(self, uid: str, before: ClientRecord | None, wanted: int | None) -> int:
        taken = [other.port for key, other in self._records.items() if key != uid]
        return ports.choose(
            self._settings.first_client_port,
            self._settings.last_client_port,
            taken,
            self._settings.client_host,
            before.port if before else wanted,
        )

    def _environment(self, place: Place, record: ClientRecord, wanted: Start) -> dict[str, str]:
        settings = self._settings
        values = {
            "DELIVERY_ID": str(wanted.delivery_id),
            "DELIVERY_UID": place.uid,
            "POD_UID": record.pod_uid,
            "EPOCH": str(record.epoch),
            "VOLUME_DIR": str(place.volume),
            "SECRET_DIR": str(place.secret),
            "COORDINATOR_URL": settings.coordinator_url,
            "HOST": settings.client_host,
            "PORT": str(record.port),
            "CONTROL_HOST": "127.0.0.1",
            "CONTROL_PORT": str(record.port + ports.CONTROL_OFFSET),
            "LOG_LEVEL": settings.client_log_level,
            "ADVERTISED_ORIGIN": f"http://{settings.public_host}:{record.port}",
        }
        inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return {**inherited, **{PREFIX + name: value for name, value in values.items()}}

    def _lost_record(self, place: Place) -> ClientRecord | None:
        """The lock is held and the record is gone: the process itself knows who it is."""
        if not kernel.is_locked(place.lock):
            return None
        found = kernel.find_by_environment(PREFIX + "DELIVERY_UID", place.uid)
        return record_from(found[1], found[0], self._now()) if found else None

    def _by_environment(
        self, place: Place, record: ClientRecord
    ) -> tuple[ClientRecord, int | None]:
        """The record was written before the start and never after it: find the process."""
        found = kernel.find_by_environment(PREFIX + "DELIVERY_UID", place.uid)
        if found is None:
            raise EdgeError(f"{place.lock} is held by an unknown process; end it, or wait for it")
        identity, environment = found
        fresh = record_from(environment, identity, self._now())
        record = fresh.model_copy(update={"template": record.template, "exits": record.exits})
        self._save(place, record)
        return record, kernel.open_handle(identity)


def _reason(code: int | None) -> str:
    if code is None:
        return "Ended"
    if code >= 0:
        return f"Exit{code}"
    with contextlib.suppress(ValueError):
        return f"Signal:{signal.Signals(-code).name}"
    return f"Signal:{-code}"


def _rotate(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.stat().st_size > _LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
