"""What is in a sealed backup: the exam-client's tar, checked member by member, and our own note.

The stream is checked while it passes, in both directions, so that nothing has to be kept: names,
order, sizes, the database's digest, and that the note which says "whole" is really there.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Literal, TypeVar

from pydantic import ValidationError

from exam_contract import backup
from exam_contract.backup import BackupNote
from exam_contract.base import Contract, UtcTime
from examctl.errors import ExamctlError

STORAGE_KEY = "storage.key"
"""The Secret's half of the key; only with ``--with-key``."""
EXPORT_NOTE = "export.json"
HALF_BYTES = 32
_NOTE_BYTES = 64 * 1024
_PIECE_BYTES = 256 * 1024
N = TypeVar("N", bound=Contract)


class ExportNote(Contract):
    """What the exam-client can't know: which object the backup was taken of, and when."""

    schema_version: Literal[1] = 1
    name: str
    namespace: str
    delivery_uid: str
    exam_id: str
    exam_version: str
    with_key: bool
    exported_at: UtcTime


@dataclass(frozen=True, slots=True)
class Contents:
    """A backup that was read through; ``repr`` shows no key."""

    note: BackupNote
    export: ExportNote | None
    volume_half: bytes = field(repr=False)
    storage_half: bytes | None = field(repr=False)


class Archiver:
    """Passes an exam-client's stream on as the archive to seal; ``note`` is there at the end."""

    def __init__(self, export: ExportNote, storage_half: bytes | None) -> None:
        self._export, self._storage_half = export, storage_half
        self.note: BackupNote | None = None

    def pieces(self, stream: IO[bytes]) -> Iterator[bytes]:
        """The archive's bytes. Raises ExamctlError where the stream is not as agreed."""
        reading = _Reading(stream)
        yield from _member(backup.VOLUME_KEY, reading.volume_half())
        yield from reading.database_as_member()
        raw = reading.small(backup.NOTE, _NOTE_BYTES)
        self.note = reading.checked_note(raw)
        if self.note.delivery_uid != self._export.delivery_uid:
            raise _broken(f"it is of delivery {self.note.delivery_uid}")
        yield from _member(backup.NOTE, raw)
        reading.end()
        if self._storage_half is not None:
            yield from _member(STORAGE_KEY, self._storage_half)
        yield from _member(EXPORT_NOTE, self._export.model_dump_json(indent=2).encode())
        yield bytes(2 * tarfile.BLOCKSIZE)


def read(stream: IO[bytes], keep: Callable[[bytes], object]) -> Contents:
    """Read an archive through; ``keep`` gets the encrypted database piece by piece."""
    reading = _Reading(stream)
    volume_half = reading.volume_half()
    for piece in reading.database():
        keep(piece)
    note = reading.checked_note(reading.small(backup.NOTE, _NOTE_BYTES))
    rest = reading.rest()
    export = rest.get(EXPORT_NOTE)
    return Contents(
        note,
        _parsed(ExportNote, export, EXPORT_NOTE) if export is not None else None,
        volume_half,
        rest.get(STORAGE_KEY),
    )


class _Reading:
    """A tar, member after member, never back."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digest, self._size = hashlib.sha256(), 0
        with _as_broken():
            self._tar = tarfile.open(fileobj=stream, mode="r|")  # noqa: SIM115 - the stream's owner closes

    def volume_half(self) -> bytes:
        """The next member, which must be the volume's half of the key."""
        half = self.small(backup.VOLUME_KEY, HALF_BYTES)
        if len(half) != HALF_BYTES:
            raise _broken(f"{backup.VOLUME_KEY} must hold {HALF_BYTES} bytes")
        return half

    def small(self, name: str, most: int) -> bytes:
        """The next member, which must be this one."""
        with _as_broken():
            return self._content(self._expected(name), most)

    def database(self) -> Iterator[bytes]:
        """The next member, which must be the database."""
        with _as_broken():
            yield from self._pieces(self._expected(backup.DATABASE))

    def database_as_member(self) -> Iterator[bytes]:
        """The same, as it is to be written again."""
        with _as_broken():
            member = self._expected(backup.DATABASE)
            yield _header(backup.DATABASE, member.size)
            yield from self._pieces(member)
            yield _padding(member.size)

    def checked_note(self, raw: bytes) -> BackupNote:
        """The note, once the database is proven to be the one it tells of."""
        note = _parsed(BackupNote, raw, backup.NOTE)
        digest = f"sha256:{self._digest.hexdigest()}"
        if (self._size, digest) != (note.database_bytes, note.database_sha256):
            raise _broken("the database is not the one that its note tells of")
        return note

    def rest(self) -> dict[str, bytes]:
        """What we added ourselves, and whatever a later version adds."""
        found: dict[str, bytes] = {}
        with _as_broken():
            while (member := self._tar.next()) is not None:
                found[member.name] = self._content(member, _NOTE_BYTES)
        return found

    def end(self) -> None:
        """Nothing more may come; read to the end, so that a lost connection is noticed."""
        with _as_broken():
            if self._tar.next() is not None:
                raise _broken("something follows its note")
            while self._stream.read(_PIECE_BYTES):
                pass

    def _expected(self, name: str) -> tarfile.TarInfo:
        member = self._tar.next()
        if member is None:
            raise _broken(f"{name} is missing: it was cut off")
        if member.name != name or not member.isfile():
            raise _broken(f"it holds {member.name[:80]!r} where {name} should be")
        return member

    def _content(self, member: tarfile.TarInfo, most: int) -> bytes:
        file = self._tar.extractfile(member)
        if file is None or member.size > most:
            raise _broken(f"{member.name[:80]} is not what it should be")
        return file.read()

    def _pieces(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        file = self._tar.extractfile(member)
        while file is not None and (piece := file.read(_PIECE_BYTES)):
            self._digest.update(piece)
            self._size += len(piece)
            yield piece


@contextmanager
def _as_broken() -> Iterator[None]:
    """Errors of tar become ours."""
    try:
        yield
    except tarfile.TarError as error:
        raise _broken(str(error) or "it was cut off") from error


def _member(name: str, content: bytes) -> Iterator[bytes]:
    yield _header(name, len(content))
    yield content
    yield _padding(len(content))


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    info.mtime = int(datetime.now(UTC).timestamp())
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _parsed(model: type[N], raw: bytes, name: str) -> N:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise _broken(f"{name}: {place}: {fault['msg']}") from error


def _broken(why: str) -> ExamctlError:
    return ExamctlError(f"the backup is not whole: {why}", "nothing of it is to be trusted")
