"""Processes as the kernel knows them: identity that survives pid reuse, ends, starts, signals.

A pid alone says nothing: it is reused. A process here is its pid, its start time and the boot.
"""

import contextlib
import fcntl
import os
import select
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_SPAWNING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Identity:
    """``started``: clock ticks after boot, from /proc; ``boot``: the boot's random id."""

    pid: int
    started: int
    boot: str


def identify(pid: int) -> Identity | None:
    """The identity of a process that has not ended; a zombie has."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    state, started = fields[0], int(fields[19])
    return None if state in "ZXx" else Identity(pid, started, _boot())


def open_handle(identity: Identity) -> int | None:
    """A pidfd of exactly that process, or None when it has ended."""
    try:
        handle = os.pidfd_open(identity.pid)
    except OSError:
        return None
    if identify(identity.pid) == identity:
        return handle
    os.close(handle)
    return None


def send(handle: int, number: signal.Signals) -> None:
    """Signal exactly that process; one that has ended is no error."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)


def wait_end(handle: int, timeout_seconds: float) -> bool:
    """Whether that process ended in time. Blocks; anybody's child will do."""
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    return bool(poller.poll(timeout_seconds * 1000))


def reap(pid: int) -> int | None:
    """The exit code of our own child that ended (negative: a signal); None of anybody else's."""
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if done else None


def spawn_locked(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    lock: Path,
    note: bytes = b"",
) -> Identity | None:
    """Start a process in a session of its own that holds ``lock`` for life.

    None when somebody holds the lock already: then nothing was started. ``note`` is left in the
    lock file, so that a holder is known by it.
    """
    with _SPAWNING:
        descriptor = take_lock(lock, note)
        if descriptor is None:
            return None
        try:
            os.set_inheritable(descriptor, True)
            pid = spawn(command, environment, log)
        finally:
            os.close(descriptor)
    return identify(pid) or Identity(pid, 0, _boot())


def take_lock(lock: Path, note: bytes) -> int | None:
    """A locked open file to hand to a process; None when somebody holds it.

    The lock belongs to the open file, so the kernel frees it when its last holder ends and never
    before, whoever took it.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    with contextlib.suppress(OSError):  # a full disk must not stop a recovery
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, note, 0)
    return descriptor


def is_locked(lock: Path) -> bool:
    """Whether a living process holds the lock."""
    if not lock.exists():
        return False
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def find_holder(lock: Path) -> Identity | None:
    """The process that has the lock file open: the last resort when its record is lost."""
    wanted = str(lock.resolve())
    for pid in psutil.pids():
        if pid != os.getpid() and wanted in _open_names(pid):
            return identify(pid)
    return None


def spawn(
    command: Sequence[str], environment: Mapping[str, str], log: Path, stdin: int | None = None
) -> int:
    """Start a process in a session of its own; ``stdin`` is a descriptor for it, else nothing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    given = (
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        if stdin is None
        else (os.POSIX_SPAWN_DUP2, stdin, 0)
    )
    actions = [
        given,
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(
        command[0], list(command), dict(environment), file_actions=actions, setsid=True
    )


def _open_names(pid: int) -> set[str]:
    names = set[str]()
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                names.add(os.readlink(entry.path))
    return names


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
