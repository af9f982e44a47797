"""A backup is proven by opening it; what cannot be opened is told, and no trace is left."""

import base64
import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from examctl.backups import proving, sealing
from examctl.backups.archive import Archiver, ExportNote
from examctl.backups.proving import Proven
from examctl.errors import ExamctlError, UnreadableInputError
from tests.support import backups
from tests.support.backups import MadeFile


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def made(tmp_path: Path) -> MadeFile:
    return MadeFile(tmp_path / "volume")


def sealed(made: MadeFile, folder: Path, *, half: bytes | None, stream: bytes = b"") -> Path:
    public = sealing.create_identity(folder / "key.txt")
    export = ExportNote(
        name="morning",
        namespace="exams",
        delivery_uid=made.uid,
        exam_id="sample",
        exam_version="1",
        with_key=half is not None,
        exported_at=datetime.now(UTC),
    )
    pieces = Archiver(export, half).pieces(io.BytesIO(stream or backups.tar(made.members())))
    sealing.seal(pieces, sealing.parse_recipients([public], None), folder / "backup.age")
    return folder / "backup.age"


def prove(path: Path, half: bytes | None = None) -> Proven:
    return proving.prove(path, sealing.read_identities(path.with_name("key.txt")), half)


def test_a_backup_with_its_key_opens(made: MadeFile, tmp_path: Path, temporary: Path) -> None:
    proven = prove(sealed(made, tmp_path, half=made.storage_half))
    assert proven.counts["participants"] == made.people
    assert proven.counts["answers"] == 0
    assert proven.contents.note.delivery_uid == made.uid
    assert list(temporary.iterdir()) == []


def test_a_backup_without_its_key_needs_the_secrets_half(made: MadeFile, tmp_path: Path) -> None:
    path = sealed(made, tmp_path, half=None)
    assert prove(path, made.storage_half).counts["participants"] == made.people
    with pytest.raises(UnreadableInputError, match=r"is whole .*was not opened"):
        prove(path)


def test_the_wrong_half_is_told(
    made: MadeFile, tmp_path: Path, temporary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = sealed(made, tmp_path, half=None)
    with pytest.raises(ExamctlError, match="does not open with these two halves"):
        prove(path, bytes(32))
    assert list(temporary.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_a_database_that_was_damaged_before_the_backup_is_told(
    made: MadeFile, tmp_path: Path
) -> None:
    """Seal and digest hold: they tell of the way, not of the file."""
    content = bytearray(made.content)
    content[-2000] ^= 1
    made.path.write_bytes(content)
    with pytest.raises(ExamctlError, match="damaged"):
        prove(sealed(made, tmp_path, half=made.storage_half))


def test_a_database_of_another_delivery_is_told(made: MadeFile, tmp_path: Path) -> None:
    other = MadeFile(tmp_path / "other", uid=made.uid)
    path = sealed(made, tmp_path, half=other.storage_half)
    with pytest.raises(ExamctlError, match="does not open"):
        prove(path)


def test_a_database_that_ends_too_early_is_told(made: MadeFile, tmp_path: Path) -> None:
    whole = made.members(last_seq=0)
    early = made.members(last_seq=9)
    (tmp_path / "a").mkdir()
    path = sealed(made, tmp_path / "a", half=made.storage_half, stream=backups.tar(whole))
    assert prove(path).contents.note.last_seq == 0
    path = sealed(made, tmp_path, half=made.storage_half, stream=backups.tar(early))
    with pytest.raises(ExamctlError, match="ends at event 0, its note tells of 9"):
        prove(path)


@pytest.mark.parametrize(
    "write", [bytes, base64.b64encode, lambda half: base64.b64encode(half) + b"\n"]
)
def test_the_secrets_half_as_it_is_or_in_base64(write: object) -> None:
    half = bytes(range(32))
    assert callable(write)
    assert proving.parse_half(write(half)) == half


@pytest.mark.parametrize("raw", [b"", b"short", b"x" * 33, base64.b64encode(b"x" * 31)])
def test_what_is_no_half_of_a_key(raw: bytes) -> None:
    with pytest.raises(UnreadableInputError, match="32 bytes"):
        proving.parse_half(raw)
