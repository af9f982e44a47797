"""Sealing to public keys in the age format (age-encryption.org/v1), as a stream, to a new file.

What is sealed is never on a disk in the clear, and a sealed file that was cut, altered or joined
from pieces does not open. Whoever has `age` can unseal it without us.
"""

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pyrage
from pyrage import x25519

from exam_contract.base import rfc3339
from examctl.errors import ExamctlError, UnreadableInputError
from examctl.files import create_private, read_file

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PARTIAL = ".partial"
_PIECE_BYTES = 1 << 20


def create_identity(path: Path) -> str:
    """Draw a key pair and keep the private key in a new 0600 file; the public key."""
    identity = x25519.Identity.generate()
    public = str(identity.to_public())
    made = rfc3339(datetime.now(UTC))
    with os.fdopen(create_private(path), "w") as file:
        file.write(f"# created: {made}\n# public key: {public}\n{identity}\n")
        file.flush()
        os.fsync(file.fileno())
    return public


def read_identities(path: Path) -> list[x25519.Identity]:
    """The private keys of a file, one a line. Raises UnreadableInputError."""
    try:
        found = [x25519.Identity.from_str(line) for line in _lines(path)]
    except pyrage.IdentityError as error:
        raise UnreadableInputError(
            f"{path} holds a line that is no private key",
            "it should be the file that `kubectl exam keygen` or age-keygen made",
        ) from error
    if not found:
        raise UnreadableInputError(f"{path} holds no private key")
    return found


def parse_recipients(keys: list[str], file: Path | None) -> list[x25519.Recipient]:
    """Public keys by themselves and from a file, one a line. Raises UnreadableInputError."""
    named = [*keys, *(_lines(file) if file is not None else [])]
    if not named:
        raise UnreadableInputError(
            "sealed to whom? Name a public key by --recipient, or a file by --recipients-file",
            "`kubectl exam keygen --file KEY` makes a key pair",
        )
    return [_recipient(key) for key in named]


def seal(pieces: Iterator[bytes], recipients: list[x25519.Recipient], path: Path) -> int:
    """Seal while streaming into a new 0600 file; how many bytes it has.

    The name appears only when the file is whole and on disk; one that exists is never overwritten,
    and what a killed export left is never continued.
    """
    partial = path.with_name(path.name + PARTIAL)
    _refuse_what_exists(path, partial)
    descriptor = create_private(partial)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _encrypt(_Pieces(pieces), file, recipients, path)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        _give_name(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return size


def readable(pieces: Iterator[bytes]) -> io.BufferedReader:
    """Pieces as a file to read from."""
    return io.BufferedReader(_Pieces(pieces), _PIECE_BYTES)


@contextmanager
def unsealed(path: Path, identities: list[x25519.Identity]) -> Iterator[IO[bytes]]:
    """A stream of what was sealed. Leaving the block raises where the file is not whole."""
    read_end, write_end = os.pipe()
    failures: list[Exception] = []

    def decrypt() -> None:
        try:
            with os.fdopen(write_end, "wb") as sink, path.open("rb") as sealed:
                pyrage.decrypt_io(sealed, sink, identities)
        except Exception as error:  # noqa: BLE001 - told in the reader's thread
            failures.append(error)

    thread = threading.Thread(target=decrypt, name="unsealing")
    thread.start()
    told: Exception | None = None
    try:
        with os.fdopen(read_end, "rb") as stream:
            yield stream
            while stream.read(_PIECE_BYTES):
                pass
    except Exception as error:  # noqa: BLE001 - raised below, unless the seal explains it
        told = error
    finally:
        thread.join()
    if failures and not isinstance(failures[0], BrokenPipeError):
        raise _not_unsealed(path, failures[0])
    if told is not None:
        raise told


class _Pieces(io.RawIOBase):
    """Pieces as a file to read; their error is kept, since age would hide its kind."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer).cast("B")
        try:
            while not self._rest:
                self._rest = memoryview(next(self._pieces))
        except StopIteration:
            return 0
        except BaseException as error:
            self.error = error
            raise
        taken = min(len(room), len(self._rest))
        room[:taken], self._rest = self._rest[:taken], self._rest[taken:]
        return taken


def _encrypt(
    source: _Pieces, file: IO[bytes], recipients: list[x25519.Recipient], path: Path
) -> None:
    try:
        pyrage.encrypt_io(source, file, recipients)  # type: ignore[arg-type]
    except (pyrage.EncryptError, OSError) as error:
        if source.error is not None:
            raise source.error from None
        raise ExamctlError(f"{path} cannot be written: {error}", "is the disk full?") from error


def _not_unsealed(path: Path, error: Exception) -> ExamctlError:
    if isinstance(error, pyrage.DecryptError) and "matching keys" in str(error):
        return ExamctlError(f"{path} is sealed to another key", "name the right --identity")
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return UnreadableInputError(f"{path} cannot be read: {error.strerror}")
    return ExamctlError(
        f"{path} is not whole: it was cut off, altered, or is no sealed file",
        "take another copy of it; what was read is not to be trusted",
    )


def _refuse_what_exists(path: Path, partial: Path) -> None:
    if path.exists():
        raise UnreadableInputError(
            f"{path} exists already", "it is never overwritten; name another file"
        )
    if partial.exists():
        raise UnreadableInputError(
            f"{partial} was left by an export that was broken off, or one is under way",
            "a sealed file can't be continued: delete the part and export anew",
        )


def _give_name(partial: Path, path: Path) -> None:
    """A hard link, unlike a rename, never replaces a file that appeared meanwhile."""
    try:
        os.link(partial, path)
    except FileExistsError as error:
        raise UnreadableInputError(f"{path} exists already", "name another file") from error
    except OSError:  # no hard links on this file system
        partial.rename(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _recipient(key: str) -> x25519.Recipient:
    try:
        return x25519.Recipient.from_str(key)
    except pyrage.RecipientError as error:
        secret = key.upper().startswith("AGE-SECRET-KEY")
        what = "the private key; it belongs to nobody else" if secret else f"{key[:80]!r}"
        raise UnreadableInputError(
            f"this is no public key: {what}", "a public key begins with age1"
        ) from error


def _lines(path: Path) -> list[str]:
    try:
        text = read_file(path).decode("ascii")
    except UnicodeDecodeError as error:
        raise UnreadableInputError(f"{path} is no file of keys") from error
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]
