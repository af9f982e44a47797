"""A backup of the running delivery: one at a time, checked and in the audit before it is given out.

It is what the volume holds: the encrypted file and the volume's half of its key. Without the
Secret's half, which never leaves it, nobody can read it.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from exam_client.core import commands, instants
from exam_client.errors import (
    BackupGivenUp,
    FileDamaged,
    KeyRefused,
    Refusal,
    StorageFailed,
    StorageFull,
)
from exam_client.services.delivery import Delivery, Open, already_erased
from exam_client.store import copying, keyring
from exam_client.store.copying import Copy
from exam_contract.backup import BackupNote
from exam_contract.problems import ProblemCode

log = structlog.get_logger("exam_client.backing_up")


@dataclass(frozen=True, slots=True)
class Backup:
    """What is streamed; ``repr`` shows no key."""

    copy: Copy
    note: BackupNote
    volume_half: bytes

    def __repr__(self) -> str:
        return f"Backup({self.note.database_sha256})"


class BackingUp:
    """Makes backups of one delivery."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._busy = False

    @asynccontextmanager
    async def made(self) -> AsyncIterator[Backup]:
        """A backup, and its space until the end of the block. Raises Refusal."""
        parts = self._refuse_unless_possible()
        self._busy = True
        try:
            half = _volume_half(parts)
            copy = await self._copied(parts)
            try:
                yield Backup(copy, await self._noted(parts, copy), half)
            finally:
                copy.close()
        finally:
            self._busy = False

    def _refuse_unless_possible(self) -> Open:
        parts = self._delivery.parts
        if parts is None:
            raise already_erased()
        if parts.writer.lost is not None:
            raise Refusal(
                ProblemCode.CONFLICT, f"the volume's files are lost ({parts.writer.lost})"
            )
        if self._busy:
            raise Refusal(ProblemCode.CONFLICT, "another backup is under way; wait for its end")
        return parts

    async def _copied(self, parts: Open) -> Copy:
        given_up = threading.Event()
        loop = asyncio.get_running_loop()
        made = loop.run_in_executor(None, copying.take, parts.writer.journal, given_up)
        try:
            return await asyncio.shield(made)
        except asyncio.CancelledError:
            given_up.set()
            made.add_done_callback(_give_back)
            raise
        except StorageFull as full:
            raise Refusal(ProblemCode.STORAGE_FULL, str(full)) from None
        except (StorageFailed, FileDamaged, BackupGivenUp) as error:
            log.error("backup_failed", reason=str(error))
            raise Refusal(
                ProblemCode.INTERNAL, f"no backup was made: {error}; the exam goes on"
            ) from None

    async def _noted(self, parts: Open, copy: Copy) -> BackupNote:
        """Raises Refusal: what is not in the audit is not given out."""
        delivery, journal = self._delivery, parts.writer.journal
        note = BackupNote(
            delivery_id=journal.place.delivery_id,
            delivery_uid=journal.place.delivery_uid,
            epoch=journal.place.epoch,
            incarnation=journal.state.identity.incarnation,
            database_name=journal.path.name,
            database_bytes=copy.size,
            database_sha256=copy.sha256,
            last_seq=copy.last_seq,
            taken_at=instants.to_datetime(delivery.clock()),
        )
        detail = {"sha256": copy.sha256, "bytes": copy.size, "last_seq": copy.last_seq}
        await delivery.submit(commands.NoteAudit("operator", "backed_up", detail))
        log.info("backed_up", **detail)
        return note


def _volume_half(parts: Open) -> bytes:
    try:
        return keyring.read_volume_half(parts.writer.journal.place.folder)
    except KeyRefused as refused:
        raise Refusal(ProblemCode.CONFLICT, str(refused)) from None


def _give_back(made: "asyncio.Future[Copy]") -> None:
    if not made.cancelled() and made.exception() is None:
        made.result().close()
