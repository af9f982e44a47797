"""An exam-client's file and the backup that it would stream of it, made without an exam-client."""

import hashlib
import io
import os
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from exam_client.store import database, keyring
from exam_contract import backup
from exam_contract.backup import BackupNote

Members = list[tuple[str, bytes]]


@dataclass
class MadeFile:
    """An encrypted file with its tables and some people, and both halves of its key."""

    folder: Path
    uid: str = field(default_factory=lambda: str(uuid4()))
    people: int = 3
    storage_half: bytes = field(default_factory=lambda: os.urandom(32))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "delivery_7_20260115T093000000000Z.db"
        self.volume_half = keyring.create_volume_half(self.folder)
        key = keyring.derive(self.storage_half, self.volume_half, self.uid)
        connection = database.create(self.path, key)
        with database.transaction(connection):
            connection.execute("INSERT INTO meta (name, value) VALUES ('uid', ?)", (self.uid,))
            people = [(number, f"Zoë {number}", "z@x.org", "MX") for number in range(self.people)]
            connection.executemany(
                "INSERT INTO participants (id, name, email, identifier) VALUES (?, ?, ?, ?)", people
            )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()

    def members(self, **changed: object) -> Members:
        """What ``POST /backup`` streams, by name and in order; ``changed`` members of its note."""
        return [
            (backup.VOLUME_KEY, self.volume_half),
            (backup.DATABASE, self.content),
            (backup.NOTE, note(self.uid, self.content, **changed)),
        ]


def note(uid: str, content: bytes, **changed: object) -> bytes:
    """The note of a database."""
    members = {
        "delivery_id": 7,
        "delivery_uid": uid,
        "epoch": 2,
        "incarnation": 5,
        "database_name": "delivery_7_20260115T093000000000Z.db",
        "database_bytes": len(content),
        "database_sha256": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "taken_at": datetime.now(UTC),
    }
    return BackupNote.model_validate(members | changed).model_dump_json().encode()


def tar(members: Members) -> bytes:
    """A tar as anybody's library writes it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w|") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()
