"""A whole copy of the live file with the same key: SQLite's own backup, never a copy of bytes.

It reads one snapshot on a connection of its own, page by page, so that the writer goes on. The copy
is checked, then unlinked while it is open: whatever happens, nothing of it stays on the volume.
"""

import contextlib
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from exam_client.errors import BackupGivenUp, FileDamaged, StorageFailed, StorageFull
from exam_client.store import database, volume
from exam_client.store.database import Connection
from exam_client.store.journal import Journal

STEP_PAGES = 64
STEP_PAUSE_SECONDS = 0.002
"""Between two steps: whoever answers goes first."""
SPARE_BYTES = 4 * 2**20
_PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Copy:
    """An open file without a name. ``close`` gives its space back."""

    descriptor: int
    size: int
    sha256: str
    last_seq: int

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self.descriptor, size, offset)

    def close(self) -> None:
        os.close(self.descriptor)


def take(journal: Journal, given_up: threading.Event) -> Copy:
    """Every commit of before the call is in it. Raises StorageFull, StorageFailed, FileDamaged, or
    BackupGivenUp once the event is set."""
    path = volume.copy_path(journal.place.folder, journal.place.delivery_id)
    try:
        volume.remove_copies(journal.place.folder)
        _copy(journal, path, given_up)
        last_seq = _checked(journal, path)
        return _without_name(path, last_seq)
    except database.DriverError as error:
        raise database.failure_of(error) from error
    except OSError as error:
        raise StorageFailed(f"{path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            volume.remove_copies(journal.place.folder)


def _copy(journal: Journal, path: Path, given_up: threading.Event) -> None:
    reserve = journal.place.ballast_bytes

    def step(_status: int, _remaining: int, _total: int) -> None:
        if given_up.wait(STEP_PAUSE_SECONDS):
            raise BackupGivenUp("nobody waits for it any more")
        if shutil.disk_usage(path.parent).free < reserve:
            raise StorageFull("the volume ran full while the backup was made")

    with (
        _snapshot(journal) as source,
        closing(database.blank(path, journal.key)) as target,
    ):
        _refuse_without_room(source, path.parent, reserve)
        source.backup(target, pages=STEP_PAGES, progress=step)


@contextlib.contextmanager
def _snapshot(journal: Journal) -> Iterator[Connection]:
    """A reader that keeps seeing what it saw first: without, each commit would begin it anew."""
    with closing(database.reader(journal.path, journal.key)) as source:
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield source


def _refuse_without_room(source: Connection, folder: Path, reserve: int) -> None:
    pages, size = (
        int(source.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size")
    )
    # A quarter more, since the exam goes on writing meanwhile.
    needed = pages * size * 5 // 4 + reserve + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageFull(f"a backup needs {needed} free bytes beside the file, there are {free}")


def _checked(journal: Journal, path: Path) -> int:
    """The highest seq in the copy, once all of it was found whole."""
    with closing(database.unchanging(path, journal.key)) as copy:
        fault = database.fault_in(copy)
        if fault is not None:
            raise FileDamaged(f"the copy is not whole ({fault}): not all of the file can be read")
        uid = copy.execute("SELECT value FROM meta WHERE name = 'uid'").fetchone()
        if uid is None or uid[0] != journal.place.delivery_uid:
            raise FileDamaged("the copy is not of this delivery")
        return int(copy.execute("SELECT coalesce(max(seq), 0) FROM outbox").fetchone()[0])


def _without_name(path: Path, last_seq: int) -> Copy:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        path.unlink()
        size, digest = os.fstat(descriptor).st_size, hashlib.sha256()
        for offset in range(0, size, _PIECE_BYTES):
            digest.update(os.pread(descriptor, _PIECE_BYTES, offset))
    except BaseException:
        os.close(descriptor)
        raise
    return Copy(descriptor, size, f"sha256:{digest.hexdigest()}", last_seq)
