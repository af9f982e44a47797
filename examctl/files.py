"""Reading the files people name and writing the ones they keep, with errors in words."""

import os
from pathlib import Path

from examctl.errors import UnreadableInputError

LARGEST_BYTES = 64 * 2**20


def read_file(path: Path) -> bytes:
    """The whole file. Raises UnreadableInputError."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise UnreadableInputError(f"{path} is larger than {LARGEST_BYTES // 2**20} MiB")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UnreadableInputError(f"there is no file {path}", "check its name") from error
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be read: {error.strerror}") from error


def create_private(path: Path) -> int:
    """A descriptor of a new 0600 file; one that exists is never overwritten."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        hint = "it is never overwritten; name another file or move it away"
        raise UnreadableInputError(f"{path} exists already", hint) from error
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be written: {error.strerror}") from error
