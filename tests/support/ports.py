"""Ports for processes that are told theirs, or must find it again after a restart.

A port that the kernel hands out is somebody else's a moment after it was given back: another
worker's, another run's, or the near end of any connection. These lie below the range that the
kernel hands out, and a lock keeps each block with its process for as long as that lives.
"""

import contextlib
import fcntl
import itertools
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

BLOCK = 30
# Control ports lie 1,000 above: in another block's last ten, which are left to them.
CLIENTS = range(10, 20)
_FIRST_BLOCKS = range(11_000, 30_000, BLOCK)
_FOLDER = Path(tempfile.gettempdir()) / f"medxamion-test-ports-{os.geteuid()}"
_SINGLES = 80
_own: list[int] = []
_turn = itertools.count()


def one() -> int:
    """A port that nobody uses, of this process's own; another one at every call for long."""
    while len(_own) < _SINGLES:
        ports, _ = _claim()  # the lock is let go by the end of the process
        _own.extend(ports[: CLIENTS.stop])
    for _ in _own:
        port = _own[next(_turn) % len(_own)]
        if _is_free(port):
            return port
    raise AssertionError(f"all of the ports {_own} are in use")


@contextlib.contextmanager
def block() -> Iterator[int]:
    """The first of twenty ports in a row that are this block's alone; exam-clients take `CLIENTS`
    of them, and their control ports are free as well."""
    ports, lock = _claim()
    try:
        yield ports[0]
    finally:
        os.close(lock)


def _claim() -> tuple[range, int]:
    """Ports, and the descriptor that holds the lock on them."""
    _FOLDER.mkdir(exist_ok=True)
    firsts = list(_FIRST_BLOCKS)
    random.shuffle(firsts)
    for first in firsts:
        ports = range(first, first + BLOCK)
        lock = os.open(_FOLDER / str(first), os.O_CREAT | os.O_RDWR, 0o600)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if all(_is_free(port) for port in _touched(ports)):
                return ports, lock
        os.close(lock)
    raise AssertionError(f"no twenty free ports in a row; locks are in {_FOLDER}")


def _touched(ports: range) -> Iterator[int]:
    yield from ports[: CLIENTS.stop]
    yield from (ports.start + offset + 1000 for offset in CLIENTS)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
