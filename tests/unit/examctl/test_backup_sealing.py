"""A sealed file opens for its recipients, whole, or not at all; a failure leaves nothing."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from examctl.backups import sealing
from examctl.errors import ExamctlError, UnreachableError, UnreadableInputError

SECRET = b"a half of a key and an encrypted database "
CONTENT = SECRET * 8000
"""More than five of the format's pieces."""


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, str]:
    path = tmp_path / "key.txt"
    return path, sealing.create_identity(path)


@pytest.fixture
def sealed(tmp_path: Path, keys: tuple[Path, str]) -> Path:
    path = tmp_path / "backup.age"
    sealing.seal(pieces(), sealing.parse_recipients([keys[1]], None), path)
    return path


def pieces() -> Iterator[bytes]:
    for start in range(0, len(CONTENT), 10_000):
        yield CONTENT[start : start + 10_000]
        yield b""


def opened(path: Path, key: Path) -> bytes:
    with sealing.unsealed(path, sealing.read_identities(key)) as stream:
        return stream.read()


def test_what_was_sealed_comes_back(sealed: Path, keys: tuple[Path, str]) -> None:
    assert opened(sealed, keys[0]) == CONTENT
    assert SECRET not in sealed.read_bytes()
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o600


def test_every_recipient_can_open_it(tmp_path: Path, keys: tuple[Path, str]) -> None:
    other = tmp_path / "other.txt"
    publics = tmp_path / "publics.txt"
    publics.write_text(f"# the two officers\n\n{keys[1]}\n{sealing.create_identity(other)}\n")
    path = tmp_path / "backup.age"
    sealing.seal(pieces(), sealing.parse_recipients([], publics), path)
    assert opened(path, keys[0]) == opened(path, other) == CONTENT


def test_it_is_the_format_that_others_read(sealed: Path, keys: tuple[Path, str]) -> None:
    """By the library's own call, which knows nothing of ours."""
    line = keys[0].read_text().splitlines()[-1]
    assert sealed.read_bytes().startswith(b"age-encryption.org/v1\n")
    identity = pyrage.x25519.Identity.from_str(line)
    assert pyrage.decrypt(sealed.read_bytes(), [identity]) == CONTENT


def test_another_key_opens_nothing(sealed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    sealing.create_identity(other)
    with pytest.raises(ExamctlError, match="sealed to another key"):
        opened(sealed, other)


@pytest.mark.parametrize("kept", [0, 10, 150, 250, 70_000, 131_272 + 216, -16, -1])
def test_a_file_that_was_cut_off_does_not_open(
    sealed: Path, keys: tuple[Path, str], kept: int
) -> None:
    sealed.write_bytes(sealed.read_bytes()[:kept])
    with pytest.raises(ExamctlError, match="not whole"):
        opened(sealed, keys[0])


@pytest.mark.parametrize("place", [60, 180, 230, 70_000, 200_000, -1])
def test_one_altered_bit_is_noticed(sealed: Path, keys: tuple[Path, str], place: int) -> None:
    content = bytearray(sealed.read_bytes())
    content[place] ^= 1
    sealed.write_bytes(content)
    with pytest.raises(ExamctlError, match=r"not whole|another key"):
        opened(sealed, keys[0])


def test_pieces_of_two_files_do_not_make_one(
    sealed: Path, tmp_path: Path, keys: tuple[Path, str]
) -> None:
    """So an export can't be continued: what follows belongs to another key."""
    again = tmp_path / "again.age"
    sealing.seal(pieces(), sealing.parse_recipients([keys[1]], None), again)
    first, second = sealed.read_bytes(), again.read_bytes()
    for joined in (first + second, first[:70_000] + second[70_000 - len(first) :]):
        sealed.write_bytes(joined)
        with pytest.raises(ExamctlError, match="not whole"):
            opened(sealed, keys[0])


def test_a_reader_that_gives_up_is_no_fault_of_the_seal(
    sealed: Path, keys: tuple[Path, str]
) -> None:
    def give_up() -> None:
        with sealing.unsealed(sealed, sealing.read_identities(keys[0])) as stream:
            stream.read(10)
            raise ExamctlError("seen enough")

    with pytest.raises(ExamctlError, match="seen enough"):
        give_up()


def test_a_file_is_never_overwritten(sealed: Path, keys: tuple[Path, str]) -> None:
    before = sealed.read_bytes()
    with pytest.raises(UnreadableInputError, match="exists already"):
        sealing.seal(pieces(), sealing.parse_recipients([keys[1]], None), sealed)
    assert sealed.read_bytes() == before


def test_a_file_that_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, keys: tuple[Path, str]
) -> None:
    path = tmp_path / "backup.age"

    def slow() -> Iterator[bytes]:
        yield CONTENT
        path.write_text("somebody else's")

    with pytest.raises(UnreadableInputError, match="exists already"):
        sealing.seal(slow(), sealing.parse_recipients([keys[1]], None), path)
    assert path.read_text() == "somebody else's"


def test_what_a_killed_export_left_is_not_continued(tmp_path: Path, keys: tuple[Path, str]) -> None:
    path = tmp_path / "backup.age"
    left = tmp_path / f"backup.age{sealing.PARTIAL}"
    left.write_bytes(b"a part")
    with pytest.raises(UnreadableInputError, match="broken off"):
        sealing.seal(pieces(), sealing.parse_recipients([keys[1]], None), path)
    assert left.read_bytes() == b"a part"
    assert not path.exists()


@pytest.mark.parametrize("failure", [UnreachableError("the stream broke"), KeyboardInterrupt()])
def test_a_stream_that_breaks_leaves_no_file(
    tmp_path: Path, keys: tuple[Path, str], failure: BaseException
) -> None:
    def breaks() -> Iterator[bytes]:
        yield CONTENT
        raise failure

    with pytest.raises(type(failure)):
        sealing.seal(breaks(), sealing.parse_recipients([keys[1]], None), tmp_path / "backup.age")
    assert os.listdir(tmp_path) == ["key.txt"]


def test_a_disk_that_is_full_is_told(keys: tuple[Path, str]) -> None:
    with pytest.raises(ExamctlError, match="cannot be written"):
        sealing.seal(pieces(), sealing.parse_recipients([keys[1]], None), Path("/proc/backup.age"))


def test_a_private_key_is_kept_private(keys: tuple[Path, str]) -> None:
    path, public = keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"# public key: {public}" in path.read_text()
    with pytest.raises(UnreadableInputError, match="exists already"):
        sealing.create_identity(path)


def test_nobody_seals_to_a_private_key(keys: tuple[Path, str]) -> None:
    private = keys[0].read_text().splitlines()[-1]
    with pytest.raises(UnreadableInputError) as refused:
        sealing.parse_recipients([private], None)
    assert private not in str(refused.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", "age1xyz\n", "bad \xff"])
def test_files_that_hold_no_keys(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(text)
    with pytest.raises(UnreadableInputError):
        sealing.read_identities(path)
    with pytest.raises(UnreadableInputError):
        sealing.parse_recipients([], path)
