"""A copy of a file that is being written to: one moment of it, whole, and nothing left behind."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exam_client.api.backups import PIECE_BYTES, BackupStream
from exam_client.api.bodies import CallerGone
from exam_client.errors import BackupGivenUp, FileDamaged, StorageFull
from exam_client.services.backing_up import Backup
from exam_client.store import copying, database, journal, keyring, volume
from exam_contract.backup import BackupNote
from tests.support import backups
from tests.support.waiting import until

HALF = b"s" * 32


def _open(folder: Path, ballast_bytes: int = 2**20) -> journal.Journal:
    place = journal.Place(folder, 1, "uid-1", 1, HALF, ballast_bytes)
    return journal.open_journal(place, volume.VolumeLock(folder), 1_768_467_600_000_000)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[journal.Journal]:
    made = _open(tmp_path)
    _fill(made, 400)
    yield made
    made.connection.close()
    made.lock.release()


def _fill(made: journal.Journal, rows: int) -> None:
    with database.transaction(made.connection):
        made.connection.executemany(
            "INSERT INTO outbox (seq, payload) VALUES (?, ?)",
            [(number, os.urandom(8000)) for number in range(1, rows + 1)],
        )


class _Pen:
    """Commits one row after the other on the journal's own connection."""

    def __init__(self, made: journal.Journal, after: int) -> None:
        self.committed = after
        self._made, self._stop = made, threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> "_Pen":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._stop.is_set():
            with database.transaction(self._made.connection) as connection:
                row = (self.committed + 1, os.urandom(2000))
                connection.execute("INSERT INTO outbox (seq, payload) VALUES (?, ?)", row)
            self.committed += 1


def _left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if "backup" in path.name]


def test_it_is_one_moment_of_the_file_and_the_writer_goes_on(
    opened: journal.Journal, tmp_path: Path
) -> None:
    with _Pen(opened, after=400) as pen:
        until(lambda: pen.committed > 420, what="commits")
        before = pen.committed
        copy = copying.take(opened, threading.Event())
        after = pen.committed
    assert before <= copy.last_seq < after
    assert _left(tmp_path) == []
    restored = tmp_path / "restored" / "copy.db"
    restored.parent.mkdir()
    restored.write_bytes(copy.read(0, copy.size))
    copy.close()
    connection = database.unchanging(restored, opened.key)
    seqs = [row[0] for row in connection.execute("SELECT seq FROM outbox ORDER BY seq")]
    connection.close()
    assert seqs == list(range(1, copy.last_seq + 1))
    assert os.listdir(restored.parent) == ["copy.db"]


def test_the_copy_is_encrypted_with_both_halves(opened: journal.Journal, tmp_path: Path) -> None:
    copy = copying.take(opened, threading.Event())
    raw = copy.read(0, copy.size)
    copy.close()
    assert not raw.startswith(database.HEADER)
    assert b"CREATE TABLE" not in raw
    (tmp_path / "x.db").write_bytes(raw)
    wrong = database.unchanging(tmp_path / "x.db", keyring.derive(HALF, b"x" * 32, "uid-1"))
    with pytest.raises(database.DriverError):
        wrong.execute("SELECT count(*) FROM outbox")
    wrong.close()


def test_one_that_is_given_up_leaves_nothing(opened: journal.Journal, tmp_path: Path) -> None:
    given_up = threading.Event()
    given_up.set()
    with pytest.raises(BackupGivenUp):
        copying.take(opened, given_up)
    assert _left(tmp_path) == []


def test_without_room_none_is_begun(tmp_path: Path) -> None:
    made = _open(tmp_path, ballast_bytes=0)
    made.place = journal.Place(tmp_path, 1, "uid-1", 1, HALF, 2**60)
    with pytest.raises(StorageFull, match="free bytes"):
        copying.take(made, threading.Event())
    assert _left(tmp_path) == []
    made.connection.close()
    made.lock.release()


def test_what_is_damaged_is_given_to_nobody(opened: journal.Journal, tmp_path: Path) -> None:
    database.checkpoint(opened.connection)
    with opened.path.open("r+b") as file:
        file.seek(opened.path.stat().st_size // 2)
        file.write(os.urandom(4096))
    with pytest.raises(FileDamaged, match="not whole"):
        copying.take(opened, threading.Event())
    assert _left(tmp_path) == []


def test_what_a_killed_backup_left_is_removed_by_the_next_start(tmp_path: Path) -> None:
    made = _open(tmp_path)
    made.connection.close()
    made.lock.release()
    for suffix in ("", "-journal", "-wal"):
        volume.copy_path(tmp_path, 1).with_name(f"delivery_1_backup.db{suffix}").write_bytes(b"x")
    again = _open(tmp_path)
    assert again.recovered
    assert _left(tmp_path) == []
    again.connection.close()
    again.lock.release()


def test_an_erase_would_destroy_it_too(tmp_path: Path) -> None:
    path = volume.copy_path(tmp_path, 1)
    path.write_bytes(b"x")
    assert path in volume.all_files(tmp_path)


class _Making:
    """Gives out a copy, and knows whether its space was given back."""

    def __init__(self, copy: copying.Copy) -> None:
        self._copy, self.given_back = copy, False

    def made(self) -> "_Making":
        return self

    async def __aenter__(self) -> Backup:
        content = self._copy.read(0, self._copy.size)
        raw = backups.note("u", content, delivery_id=1, last_seq=self._copy.last_seq)
        return Backup(self._copy, BackupNote.model_validate_json(raw), b"v" * 32)

    async def __aexit__(self, *_exception: object) -> None:
        self._copy.close()
        self.given_back = True


async def test_a_reader_that_stalls_is_cut_and_the_space_given_back(
    opened: journal.Journal,
) -> None:
    making: Any = _Making(copying.take(opened, threading.Event()))
    taken = 0

    async def send(message: dict[str, Any]) -> None:
        nonlocal taken
        taken += len(message.get("body", b""))
        if taken > PIECE_BYTES:
            await asyncio.Event().wait()

    with pytest.raises(CallerGone):
        await BackupStream(making, stall_seconds=0.05)({}, None, send)
    assert making.given_back
