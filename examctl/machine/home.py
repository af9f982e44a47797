"""The one folder: made, checked and locked before anything starts in it."""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from exam_operator.local import kernel
from examctl.errors import ExamctlError, RefusedError
from examctl.runtime import cli_token_file, edge_token_file, write_private

_BYTES_NEEDED = 64 * 2**20
_LOCK = "up.lock"


def prepare(home: Path) -> None:
    """Make the folder and prove that it can be written. Raises ExamctlError in words."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # PostgreSQL runs under a uid of its own when we are root: it passes through, no more.
        home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for name in ("secrets", "logs", "key-secrets"):
            (home / name).mkdir(mode=0o700, exist_ok=True)
        write_private(home / "logs" / ".probe", b"writable?" * 512)
        (home / "logs" / ".probe").unlink()
    except OSError as error:
        raise _folder_error(home, error) from error
    free = shutil.disk_usage(home).free
    if free < _BYTES_NEEDED:
        raise _full(home, free)


def ensure_secrets(home: Path) -> None:
    """Draw what is missing; what is there is never changed."""
    _ensure(home / "secrets" / "coordinator.secret", secrets.token_bytes(32))
    for path in (operator_key_file(home), edge_token_file(home), cli_token_file(home)):
        _ensure(path, secrets.token_hex(32).encode())


def new_first_admin_token(home: Path) -> str:
    """A fresh one-time token; the one before it is void."""
    token = secrets.token_urlsafe(32)
    write_private(first_admin_file(home), token.encode())
    return token


def operator_key_file(home: Path) -> Path:
    return home / "secrets" / "operator.key"


def first_admin_file(home: Path) -> Path:
    return home / "secrets" / "first-admin.token"


@contextlib.contextmanager
def owned(home: Path) -> Iterator[None]:
    """Hold the folder for this process. Raises RefusedError naming who holds it."""
    descriptor = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip() or "unknown"
            raise RefusedError(
                f"another `examctl up` (process {holder}) already runs {home}",
                "use it as it is, end it with `examctl down`, or name another folder by --home",
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def owner_pid(home: Path) -> int | None:
    """The process that took the folder last."""
    with contextlib.suppress(OSError, ValueError):
        return int((home / _LOCK).read_text())
    return None


def is_owned(home: Path) -> bool:
    """Whether some ``up`` holds the folder now. A look, that leaves its holder's name in place."""
    return kernel.is_locked(home / _LOCK)


def _ensure(path: Path, data: bytes) -> None:
    if not path.exists():
        write_private(path, data)


def _folder_error(home: Path, error: OSError) -> ExamctlError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(home, 0)
    return ExamctlError(
        f"{home} can't be written: {error.strerror}",
        "make it yours, or name another folder by --home or MEDXAMION_HOME",
    )


def _full(home: Path, free: int) -> ExamctlError:
    return ExamctlError(
        f"{home} is full: {free // 2**20} MB are free and {_BYTES_NEEDED // 2**20} MB are needed",
        "make room, or name a folder on another disk by --home",
    )
