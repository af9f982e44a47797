"""Supervised exam-client processes: started at most once, noticed at once when they end, adopted.

They live in sessions of their own and outlive whoever started them. A record on disk says who runs;
the lock that each holds for life is the proof.
"""

import asyncio
import contextlib
import os
import signal
import uuid
from collections.abc import Callable, Mapping
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
    read_note,
    read_record,
    with_identity,
)
from exam_operator.local.spares import Spares
from exam_operator.settings import LocalSettings

log = structlog.get_logger(__name__)
_EXITS_KEPT = 16
_SPARE_AFTER_SECONDS = 3.0
_LOG_BYTES = 10 * 2**20
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class Start:
    """What a start needs beside the place."""

    delivery_id: int
    epoch: int
    template: str
    preferred_port: int | None
    expects_data: bool


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
        self._spares = Spares(settings.spare_command, settings.deliveries / "spare.log")

    def adopt(self, place: Place) -> None:
        """Take up what runs, or note that it ended, at the operator's start."""
        if place.uid in self._records:
            return
        record = read_record(place)
        handle = kernel.open_handle(record.identity) if record and record.identity else None
        if handle is None:
            record, handle = self._find_holder(place) or (record, None)
        if record is None:
            return
        self._records[place.uid] = record
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

    def spare_pid(self) -> int | None:
        """The process that waits to become the next exam-client, once it is ready."""
        return self._spares.ready_pid()

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
        environment = self._environment(place, record, wanted)
        identity = self._launch(place, environment, record.model_dump_json().encode())
        if identity is None:
            raise SecondClient(f"an exam-client of {place.uid} took the lock")
        self._took_off(place, record, identity)

    def _launch(
        self, place: Place, environment: Mapping[str, str], note: bytes
    ) -> kernel.Identity | None:
        """The spare becomes it, or a new process; None when somebody holds the lock."""
        taken = self._spares.take(environment, place.log, place.lock, note)
        if taken is not None:
            return taken
        command = self._settings.client_command
        return kernel.spawn_locked(command, environment, place.log, place.lock, note)

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
        """Stop watching; every exam-client goes on, and the spare ends."""
        for uid in list(self._handles):
            self._unwatch(uid)
        self._spares.close()

    def _took_off(self, place: Place, record: ClientRecord, identity: kernel.Identity) -> None:
        record = with_identity(record, identity)
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
        loop = asyncio.get_running_loop()
        loop.add_reader(handle, self._ended, place)
        # Not at once: the one that has just started needs the processor.
        loop.call_later(_SPARE_AFTER_SECONDS, self._prepare_spare)

    def _prepare_spare(self) -> None:
        if self._handles:
            self._spares.prepare(_inherited())

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
            "EXPECTS_DATA": str(wanted.expects_data).lower(),
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
        return {**_inherited(), **{PREFIX + name: value for name, value in values.items()}}

    def _find_holder(self, place: Place) -> tuple[ClientRecord, int] | None:
        """The lock is held by none that the record knows: the lock file says who it is."""
        if not kernel.is_locked(place.lock):
            return None
        identity, noted = kernel.find_holder(place.lock), read_note(place)
        handle = kernel.open_handle(identity) if identity is not None else None
        if identity is None or noted is None or handle is None:
            raise EdgeError(f"{place.lock} is held by an unknown process; end it, or wait for it")
        return with_identity(noted, identity), handle


def _inherited() -> dict[str, str]:
    """What an exam-client gets of our own environment: nothing that could hold a secret."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


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
