"""The file: encrypted, durable settings asserted, original columns, refused when not whole."""

import os
from pathlib import Path

import pytest

from exam_client.core.state import Draft
from exam_client.errors import (
    KeyRefused,
    StorageFailed,
    StorageFull,
    StorageLost,
    VolumeInUse,
    VolumeRefused,
)
from exam_client.store import database, journal, keyring, volume
from exam_client.store.keyring import SigningKey

ORIGINAL = {
    "participants": ["id", "name", "email", "identifier", "status"],
    "attempts": ["id", "participant_id", "started_at", "ended_at", "current_question", "status"],
    "answers": ["id", "attempt_id", "question_id", "answer", "submitted_at", "score"],
    "progress": [
        "participant_id",
        "questions_answered",
        "total_questions",
        "current_score",
        "time_remaining",
        "last_activity",
    ],
}


def _place(folder: Path) -> journal.Place:
    return journal.Place(folder, 1, "uid-1", 1, b"s" * 32, 2**20)


@pytest.fixture
def opened(tmp_path: Path) -> journal.Journal:
    folder = tmp_path.resolve()
    return journal.open_journal(_place(folder), volume.VolumeLock(folder), 1_768_467_600_000_000)


def test_the_original_tables_keep_their_columns_first(opened: journal.Journal) -> None:
    for table, columns in ORIGINAL.items():
        found = [row[1] for row in opened.connection.execute(f"PRAGMA table_info({table})")]
        assert found[: len(columns)] == columns


def test_the_file_is_named_by_delivery_and_time_and_is_not_plain(opened: journal.Journal) -> None:
    assert opened.path.name == "delivery_1_20260115T090000000000Z.db"
    assert not opened.path.read_bytes().startswith(b"SQLite")
    assert (opened.path.parent / "volume.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("pragma", "words"),
    [("synchronous = NORMAL", "FULL"), ("journal_mode = DELETE", "WAL")],
)
def test_weaker_settings_are_refused(opened: journal.Journal, pragma: str, words: str) -> None:
    opened.connection.execute(f"PRAGMA {pragma}")
    with pytest.raises(VolumeRefused, match=words):
        database._assert_settings(opened.connection, opened.path)


@pytest.mark.parametrize("table", ["answer_revisions", "audit"])
def test_histories_cannot_be_edited(opened: journal.Journal, table: str) -> None:
    draft = Draft(opened.state, 0)
    draft.note("client", "test", {})
    opened.connection.execute(
        "INSERT INTO answer_revisions VALUES (1, 1, 1, 1, 1, 0, 'c', '1', 't', 1, 1)"
    )
    opened.connection.execute("INSERT INTO audit VALUES (1, 't', 'a', 'b', '{}', '', 'h')")
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET id = 9"):  # noqa: S608
        with pytest.raises(database.DriverError, match="append-only"):
            opened.connection.execute(statement)


def test_the_key_needs_both_halves_and_the_delivery() -> None:
    key = keyring.derive(b"a" * 32, b"b" * 32, "uid")
    others = [
        keyring.derive(b"x" * 32, b"b" * 32, "uid"),
        keyring.derive(b"a" * 32, b"x" * 32, "uid"),
        keyring.derive(b"a" * 32, b"b" * 32, "other"),
    ]
    assert all(key.pragma != other.pragma for other in others)
    assert key.pragma.split("'")[1] not in repr(key)


def test_a_missing_or_short_volume_half_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="restore it"):
        keyring.read_volume_half(tmp_path)
    (tmp_path / "volume.key").write_bytes(b"short")
    with pytest.raises(KeyRefused, match="32 bytes"):
        keyring.read_volume_half(tmp_path)


def test_a_volume_is_locked_by_one_exam_client(tmp_path: Path) -> None:
    first = volume.VolumeLock(tmp_path)
    with pytest.raises(VolumeInUse, match=str(os.getpid())):
        volume.VolumeLock(tmp_path)
    first.release()
    volume.VolumeLock(tmp_path).release()


def test_another_deliverys_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "delivery_2_20260115T090000000000Z.db").write_bytes(b"x")
    with pytest.raises(VolumeRefused, match="another delivery"):
        volume.find_file(tmp_path, 1)


def test_the_newest_of_several_closed_files_is_taken(tmp_path: Path) -> None:
    for stamp in ("20260115T090000000000Z", "20260116T090000000000Z"):
        (tmp_path / f"delivery_1_{stamp}.db").write_bytes(b"x")
    found = volume.find_file(tmp_path, 1)
    assert found is not None
    assert "20260116" in found.name


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_the_guard_sees_a_file_that_is_gone(opened: journal.Journal, suffix: str) -> None:
    opened.guard.check()
    Path(f"{opened.path}{suffix}").unlink()
    with pytest.raises(StorageLost):
        opened.guard.check()


def test_driver_errors_are_told_apart() -> None:
    full = database.DriverError("database or disk is full")
    full.sqlite_errorcode = 13
    assert isinstance(database.failure_of(full), StorageFull)
    for code in (10, 10 | 3 << 8, 11, 26, 5, 0):
        other = database.DriverError("x")
        other.sqlite_errorcode = code
        assert isinstance(database.failure_of(other), StorageFailed)


def test_a_failed_transaction_is_rolled_back(opened: journal.Journal) -> None:
    def write() -> None:
        with database.transaction(opened.connection) as connection:
            connection.execute("INSERT INTO meta VALUES ('kept', 'no')")
            connection.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(StorageFailed):
        write()
    assert not opened.connection.in_transaction
    rows = opened.connection.execute("SELECT * FROM meta WHERE name = 'kept'").fetchall()
    assert rows == []


def test_shredding_overwrites_before_it_unlinks(tmp_path: Path) -> None:
    path, twin = tmp_path / "delivery_1_x.db", tmp_path / "twin"
    path.write_bytes(b"secret" * 1000)
    os.link(path, twin)  # the same bytes under a second name: what is left of them?
    volume.shred(tmp_path, [path, tmp_path / "missing"])
    assert not path.exists()
    assert b"secret" not in twin.read_bytes()


def test_the_ballast_is_held_and_given_up(tmp_path: Path) -> None:
    ballast = volume.Ballast(tmp_path, 2**20 + 5)
    assert ballast.hold()
    assert (tmp_path / "ballast").stat().st_size == 2**20 + 5
    ballast.release()
    assert not (tmp_path / "ballast").exists()


def test_a_signing_key_is_restored_from_its_text() -> None:
    key = SigningKey.generate()
    again = SigningKey.from_text(key.to_text())
    assert again.public == key.public
    assert again.sign("c", "p") == key.sign("c", "p")
