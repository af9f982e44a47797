"""What is not exactly a whole backup of this very delivery is never taken for one."""

import io
import tarfile
from pathlib import Path

import pytest

from exam_contract import backup
from exam_contract.backup import BackupNote
from examctl.backups import archive
from examctl.backups.archive import Archiver, ExportNote
from examctl.errors import ExamctlError
from tests.support import backups
from tests.support.backups import Members

UID = "0b9c1f1e-0000-4000-8000-000000000001"
DATABASE = bytes(range(256)) * 5000
HALF, OTHER_HALF = b"v" * 32, b"s" * 32
EXPORT = ExportNote.model_validate(
    {
        "name": "morning",
        "namespace": "exams",
        "delivery_uid": UID,
        "exam_id": "sample",
        "exam_version": "1",
        "with_key": False,
        "exported_at": "2026-01-15T12:00:00Z",
    }
)


def members() -> Members:
    return [
        (backup.VOLUME_KEY, HALF),
        (backup.DATABASE, DATABASE),
        (backup.NOTE, backups.note(UID, DATABASE)),
    ]


def archived(stream: bytes, storage_half: bytes | None = None) -> bytes:
    return b"".join(Archiver(EXPORT, storage_half).pieces(io.BytesIO(stream)))


def test_the_archive_is_a_tar_that_anybody_reads() -> None:
    made = archived(backups.tar(members()), OTHER_HALF)
    with tarfile.open(fileobj=io.BytesIO(made)) as found:
        content = {one.name: found.extractfile(one) for one in found}
        held = {name: file.read() for name, file in content.items() if file is not None}
        assert {one.mode for one in found.getmembers()} == {0o600}
    assert list(held) == [
        backup.VOLUME_KEY,
        backup.DATABASE,
        backup.NOTE,
        archive.STORAGE_KEY,
        archive.EXPORT_NOTE,
    ]
    assert held[backup.DATABASE] == DATABASE
    assert held[archive.STORAGE_KEY] == OTHER_HALF
    assert ExportNote.model_validate_json(held[archive.EXPORT_NOTE]) == EXPORT


@pytest.mark.parametrize("half", [None, OTHER_HALF])
def test_an_archive_is_read_as_it_was_made(half: bytes | None) -> None:
    kept = io.BytesIO()
    contents = archive.read(io.BytesIO(archived(backups.tar(members()), half)), kept.write)
    assert kept.getvalue() == DATABASE
    assert (contents.volume_half, contents.storage_half) == (HALF, half)
    assert (contents.note.delivery_uid, contents.export) == (UID, EXPORT)
    assert repr(HALF) not in repr(contents)
    assert repr(OTHER_HALF) not in repr(contents)


def test_the_note_is_known_once_the_archive_is_whole() -> None:
    archiver = Archiver(EXPORT, None)
    assert archiver.note is None
    list(archiver.pieces(io.BytesIO(backups.tar(members()))))
    assert isinstance(archiver.note, BackupNote)


def changed(at: int, name: str | None = None, content: bytes | None = None) -> Members:
    made = members()
    old_name, old_content = made[at]
    made[at] = (name or old_name, old_content if content is None else content)
    return made


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (backups.tar(members()[:2]), "backup.json is missing"),
        (backups.tar(members()[:1]), "delivery.db is missing"),
        (backups.tar(members()[::-1]), "where volume.key should be"),
        (backups.tar([*members(), ("more", b"x")]), "something follows"),
        (backups.tar(changed(0, content=b"short")), "must hold 32 bytes"),
        (backups.tar(changed(0, content=b"v" * 33)), "not what it should be"),
        (backups.tar(changed(1, name="../delivery.db")), "where delivery.db should be"),
        (backups.tar(changed(1, content=DATABASE[:-1] + b"x")), "not the one"),
        (backups.tar(changed(1, content=b"")), "not the one"),
        (backups.tar(changed(2, content=b"{}")), "backup.json"),
        (backups.tar(changed(2, content=backups.note("another", DATABASE))), "delivery another"),
        (b"", ""),
        (b"<html>" * 1000, ""),
    ],
)
def test_a_stream_that_is_not_as_agreed(stream: bytes, says: str) -> None:
    with pytest.raises(ExamctlError, match="the backup is not whole") as refused:
        archived(stream)
    assert says in str(refused.value)


def test_a_stream_that_is_cut_off_anywhere() -> None:
    """Up to the last byte of its note; what follows is padding."""
    stream = backups.tar(members())
    end = stream.rindex(b"}") + 1
    for kept in [*range(0, 2000, 97), *range(2000, end, 25_013), end - 1]:
        with pytest.raises(ExamctlError, match="the backup is not whole"):
            archived(stream[:kept])


def test_an_archive_with_another_database_is_refused(tmp_path: Path) -> None:
    made = archived(backups.tar(members()))
    at = made.index(DATABASE[:512])
    altered = made[:at] + b"\0\0" + made[at + 2 :]
    with pytest.raises(ExamctlError, match="not the one that its note tells of"):
        archive.read(io.BytesIO(altered), lambda piece: None)
