"""Keeps one spare exam-client process ready, and hands it over when one has to start."""

import contextlib
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from exam_operator.local import kernel
from exam_operator.local.spare import READY

log = structlog.get_logger(__name__)


@dataclass
class _Spare:
    identity: kernel.Identity
    channel: socket.socket
    ready: bool = False


class Spares:
    """At most one spare; without a command, or whenever anything is odd, there is none."""

    def __init__(self, command: Sequence[str] | None, log_file: Path) -> None:
        self._command, self._log = command, log_file
        self._spare: _Spare | None = None

    def prepare(self, environment: Mapping[str, str]) -> None:
        """Start one in the background, unless there is one."""
        if self._command is None or (self._spare is not None and self._lives(self._spare)):
            return
        self._drop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            pid = kernel.spawn(self._command, environment, self._log, stdin=theirs.fileno())
        identity = kernel.identify(pid)
        if identity is None:
            ours.close()
            return
        self._spare = _Spare(identity, ours)

    def ready_pid(self) -> int | None:
        """The process that could take over now."""
        spare = self._spare
        ready = spare is not None and self._lives(spare) and spare.ready
        return spare.identity.pid if spare is not None and ready else None

    def take(
        self, environment: Mapping[str, str], log_file: Path, lock: Path, note: bytes
    ) -> kernel.Identity | None:
        """Let the spare become the exam-client that these describe, holding the lock for life.

        None when there is no spare that is ready, or somebody holds the lock: nothing was started.
        """
        spare = self._spare
        if spare is None or self.ready_pid() is None:
            return None
        descriptor = kernel.take_lock(lock, note)
        if descriptor is None:
            return None
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        output = os.open(log_file, flags, 0o600)
        try:
            message = json.dumps(dict(environment)).encode()
            socket.send_fds(spare.channel, [message], [output, descriptor])
        except OSError:
            return None
        finally:
            os.close(output)
            os.close(descriptor)
        spare.channel.close()
        self._spare = None
        return spare.identity

    def close(self) -> None:
        """Let it go: it ends when its channel does."""
        self._drop()

    def _lives(self, spare: _Spare) -> bool:
        """Takes note of its word that it is ready; a closed channel means that it ended."""
        try:
            said = spare.channel.recv(len(READY), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return kernel.identify(spare.identity.pid) == spare.identity
        except OSError:
            return False
        spare.ready = spare.ready or said == READY
        return bool(said)

    def _drop(self) -> None:
        if self._spare is None:
            return
        self._spare.channel.close()
        with contextlib.suppress(OSError):
            kernel.reap(self._spare.identity.pid)
        self._spare = None
