"""What ``POST /backup`` on an exam-client's control port streams: a tar of three members.

The database is a same-key copy of the live file, made by SQLite's backup API: encrypted as the file
itself is, and worthless without both halves of the key. The Secret's half is never part of it.
"""

from typing import Literal

from pydantic import Field

from exam_contract.base import Contract, Sha256, UtcTime

VOLUME_KEY = "volume.key"
"""First member: the volume's half of the key, as it lies beside the file."""
DATABASE = "delivery.db"
"""Second member: the encrypted copy, whole in one file (no log beside it)."""
NOTE = "backup.json"
"""Last member, a ``BackupNote``: a stream without it was cut off."""
CONTENT_TYPE = "application/x-tar"


class BackupNote(Contract):
    """Whose backup it is, and by what it is known to be whole.

    ``database_name``: what the file is called on the volume, ``delivery_{id}_{timestamp}.db``.
    """

    schema_version: Literal[1] = 1
    delivery_id: int = Field(ge=1)
    delivery_uid: str = Field(min_length=1, max_length=64)
    epoch: int = Field(ge=1)
    incarnation: int = Field(ge=1)
    database_name: str = Field(pattern=r"^delivery_[0-9]+_[0-9]{8}T[0-9]{12}Z\.db$")
    database_bytes: int = Field(ge=1)
    database_sha256: Sha256
    last_seq: int | None = Field(default=None, ge=0)
    """The highest event in the copy; all that was acknowledged before it is in it."""
    taken_at: UtcTime
