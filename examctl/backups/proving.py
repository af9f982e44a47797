"""Proving that a backup can be restored: open its database with both halves and look at all of it.

Shares no code with the exam-client whose file it is. The copy on disk stays encrypted; the halves
of the key are in memory only.
"""

import base64
import binascii
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pyrage import x25519
from sqlcipher3 import dbapi2 as sqlcipher

from exam_contract.backup import BackupNote
from examctl.backups import archive, sealing
from examctl.backups.archive import HALF_BYTES, Contents
from examctl.errors import ExamctlError, UnreadableInputError

_INFO = b"medxamion-storage-v1"
_TABLES = ("participants", "attempts", "answers", "answer_revisions", "outbox", "audit")


@dataclass(frozen=True, slots=True)
class Proven:
    """A backup that was opened. ``counts``: rows by table, and attempts that are open."""

    contents: Contents
    counts: dict[str, int]


def prove(path: Path, identities: list[x25519.Identity], storage_half: bytes | None) -> Proven:
    """Unseal, check, decrypt and count. ``storage_half`` where the archive does not hold it."""
    with tempfile.TemporaryDirectory(prefix="kubectl-exam-") as folder:
        copy = Path(folder) / "delivery.db"
        contents = _unpack(path, identities, copy)
        half = contents.storage_half or storage_half
        if half is None:
            raise UnreadableInputError(
                f"{path} is whole (delivery {contents.note.delivery_uid},"
                f" {contents.note.database_sha256}), but the Secret's half of the key is not in it:"
                " its database was not opened",
                "give the half by --storage-key; docs/kubectl-exam.md says how it is read",
            )
        key = _key(half, contents.volume_half, contents.note.delivery_uid)
        with _opened(copy, key) as database:
            return Proven(contents, _checked(database, contents.note))


def parse_half(raw: bytes) -> bytes:
    """The Secret's half as it is, or in base64 as `kubectl get secret` shows it."""
    if len(raw) == HALF_BYTES:
        return raw
    try:
        half = base64.b64decode(raw.strip(), validate=True)
    except binascii.Error:
        half = b""
    if len(half) != HALF_BYTES:
        raise UnreadableInputError(
            f"--storage-key must hold {HALF_BYTES} bytes, or them in base64",
            "it is `storage.key` of the delivery's Secret",
        )
    return half


def _unpack(path: Path, identities: list[x25519.Identity], copy: Path) -> Contents:
    descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, sealing.unsealed(path, identities) as stream:
        return archive.read(stream, file.write)


def _key(storage_half: bytes, volume_half: bytes, uid: str) -> bytes:
    kdf = HKDF(SHA256(), 32, salt=volume_half, info=_INFO + b"\0" + uid.encode())
    return kdf.derive(storage_half)


@contextmanager
def _opened(path: Path, key: bytes) -> Iterator[Any]:
    """Read-only, and as it is: no log is looked for or made beside it."""
    uri = f"file:{path}?mode=ro&immutable=1"
    with closing(sqlcipher.connect(uri, uri=True, isolation_level=None)) as database:
        # A wrong key is told in our words; the library would print its own.
        database.execute("PRAGMA cipher_log_level = NONE")
        database.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        try:
            yield database
        except sqlcipher.Error as error:
            raise ExamctlError(
                f"the database does not open with these two halves of the key: {error}",
                "is --storage-key that of this very delivery?",
            ) from error


def _checked(database: Any, note: BackupNote) -> dict[str, int]:
    counts = {table: _one(database, f"SELECT count(*) FROM {table}") for table in _TABLES}  # noqa: S608
    counts["attempts_open"] = _one(
        database, "SELECT count(*) FROM attempts WHERE status IN ('in_progress', 'paused')"
    )
    faults = database.execute("PRAGMA cipher_integrity_check").fetchall()
    said = database.execute("PRAGMA integrity_check(5)").fetchall()
    faults += [row for row in said if row[0] != "ok"]
    if faults:
        raise ExamctlError(f"the database is damaged: {faults[0][0]}", "use an earlier backup")
    named = database.execute("SELECT value FROM meta WHERE name = 'uid'").fetchone()
    if named is None or named[0] != note.delivery_uid:
        raise ExamctlError(f"the database is not that of delivery {note.delivery_uid}")
    last_seq = _one(database, "SELECT coalesce(max(seq), 0) FROM outbox")
    if note.last_seq not in (None, last_seq):
        raise ExamctlError(
            f"the database ends at event {last_seq}, its note tells of {note.last_seq}"
        )
    return counts


def _one(database: Any, query: str) -> int:
    return int(database.execute(query).fetchone()[0])
