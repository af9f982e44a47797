"""Opening the encrypted file, and refusing every file and setting that durability cannot stand on.

sqlcipher3's errors are no ``sqlite3.Error``: ``failure_of`` is the one table that says what each
means for a commit.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from exam_client.errors import (
    ExamClientError,
    FileDamaged,
    KeyRefused,
    StorageFailed,
    StorageFull,
    VolumeRefused,
)
from exam_client.store.keyring import DatabaseKey, sync_folder

OLDEST_SQLITE = (3, 51, 3)
"""Below this a WAL reset can corrupt the file."""
HEADER = b"SQLite format 3\0"
Connection = Any
"""A sqlcipher3 connection: the library ships no types."""

DriverError = sqlcipher.Error
_FULL, _IOERR, _CORRUPT, _NOTADB, _CANTOPEN = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN,
)


def create(path: Path, key: DatabaseKey) -> Connection:
    """Make the file with its tables, and make its name durable."""
    try:
        connection = _connect(path, key)
        _create_schema(connection)
        sync_folder(path.parent)
    except sqlcipher.Error as error:
        raise VolumeRefused(f"{path} cannot be created: {error}; is the volume full?") from None
    _assert_settings(connection, path)
    return connection


def recover(path: Path, key: DatabaseKey) -> Connection:
    """Open an existing file and check all of it. Raises KeyRefused or FileDamaged in words."""
    try:
        connection = _connect(path, key)
        if not _rows(connection, "SELECT name FROM sqlite_schema LIMIT 1"):
            _create_schema(connection)
    except sqlcipher.Error as error:
        raise _opening_refused(path, error) from None
    fault = fault_in(connection)
    if fault is not None:
        raise FileDamaged(
            f"{path} is damaged ({fault}); it is refused and left as it is: restore the volume"
        )
    _assert_settings(connection, path)
    return connection


def reader(path: Path, key: DatabaseKey) -> Connection:
    """A second connection that can only read."""
    connection = _connect(path, key, small_cache=True)
    connection.execute("PRAGMA query_only = ON")
    return connection


def blank(path: Path, key: DatabaseKey) -> Connection:
    """An empty file for a copy with the same key; nothing rests on it before it was checked."""
    connection = sqlcipher.connect(str(path), isolation_level=None, check_same_thread=False)
    connection.execute(key.pragma)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def unchanging(path: Path, key: DatabaseKey) -> Connection:
    """A file that nobody writes to, without a log beside it."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    connection = sqlcipher.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(key.pragma)
    return connection


@contextmanager
def transaction(connection: Connection) -> Iterator[Connection]:
    """BEGIN IMMEDIATE to COMMIT; driver errors leave as StorageFull or StorageFailed."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    except sqlcipher.Error as error:
        _roll_back(connection)
        raise failure_of(error) from error
    except BaseException:
        _roll_back(connection)
        raise


def checkpoint(connection: Connection) -> None:
    """Fold the log into the file. Raises StorageFull or StorageFailed, and keeps the log then."""
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlcipher.Error as error:
        raise failure_of(error) from error


def failure_of(error: Exception) -> ExamClientError:
    """What a driver error means: FULL is certain and passes, everything else is indeterminate."""
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary == _FULL:
        return StorageFull("the volume is full")
    return StorageFailed(f"{getattr(error, 'sqlite_errorname', type(error).__name__)}: {error}")


def _connect(path: Path, key: DatabaseKey, *, small_cache: bool = False) -> Connection:
    connection = sqlcipher.connect(
        str(path), isolation_level=None, check_same_thread=False, timeout=5.0
    )
    connection.execute(key.pragma)
    connection.execute("PRAGMA cipher_memory_security = OFF")
    connection.execute(f"PRAGMA cache_size = -{1000 if small_cache else 16000}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 2000")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _create_schema(connection: Connection) -> None:
    schema = files("exam_client.store").joinpath("schema.sql").read_text()
    connection.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")


def _opening_refused(path: Path, error: Exception) -> ExamClientError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == _NOTADB:
        return KeyRefused(
            f"{path} does not open with this key: storage.key or volume.key is not the one the"
            " file was made with (or its first page is damaged); restore the right key"
        )
    if code in (_IOERR, _CORRUPT):
        return FileDamaged(f"{path} is damaged ({error}); keep it and restore the volume")
    if code == _CANTOPEN:
        return VolumeRefused(f"{path} cannot be opened ({error}); check the volume's permissions")
    return VolumeRefused(f"{path} cannot be used: {error}")


def fault_in(connection: Connection) -> str | None:
    """What is wrong with a page's checksum or a table's shape; None when the file is whole."""
    try:
        faults = [str(row[0]) for row in _rows(connection, "PRAGMA cipher_integrity_check")] + [
            str(row[0]) for row in _rows(connection, "PRAGMA quick_check(5)") if row[0] != "ok"
        ]
    except sqlcipher.Error as error:
        return str(error)
    return faults[0] if faults else None


def _assert_settings(connection: Connection, path: Path) -> None:
    """What every guarantee rests on; asked of the open connection and of the file's first bytes."""
    cipher = _rows(connection, "PRAGMA cipher_version")
    version = tuple(int(part) for part in sqlcipher.sqlite_version.split("."))
    expected: list[tuple[bool, str]] = [
        (bool(cipher), "SQLCipher is missing: the file would not be encrypted"),
        (_pragma(connection, "synchronous") == 2, "synchronous is not FULL"),
        (_pragma(connection, "journal_mode") == "wal", "the journal mode is not WAL"),
        (version >= OLDEST_SQLITE, f"SQLite {sqlcipher.sqlite_version} is too old"),
        (_header(path) != HEADER, "the file's header is plain text: it is not encrypted"),
    ]
    for holds, sentence in expected:
        if not holds:
            raise VolumeRefused(f"{path}: {sentence}")


def _header(path: Path) -> bytes:
    """The file's first bytes, through SQLite's own descriptor: its locks stay as they are."""
    for entry in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{entry}") == str(path):
                return os.pread(int(entry), len(HEADER), 0)
        except OSError:
            continue
    raise VolumeRefused(f"{path} is not open as expected; is /proc mounted?")


def _pragma(connection: Connection, name: str) -> object:
    return _rows(connection, f"PRAGMA {name}")[0][0]


def _rows(connection: Connection, sql: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
    return rows


def _roll_back(connection: Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlcipher.Error:
        return  # the caller's error says more, and the process ends on it
