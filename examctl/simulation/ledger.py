"""The ledger: what participants asked and what they were told, one JSON object per line.

A line is written to the kernel before the request leaves, so the simulator's own death loses
nothing; an acknowledgement counts only after an fsync, shared by all who wait for one, so a power
cut loses nothing that was counted. It holds answers: a private test artefact of mode 0600.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from examctl.errors import UnreadableInputError

FORMAT = 1


class Begin(msgspec.Struct, frozen=True, tag_field="kind", tag="begin"):
    """First line."""

    at: str
    delivery_id: int
    seed: int
    participants: int
    format: int = FORMAT


class Invoke(msgspec.Struct, frozen=True, tag_field="kind", tag="invoke"):
    """A command leaves for the ``send``-th time (from 1). ``answer`` is what it asks to store."""

    at: str
    participant: int
    question: int
    command: str
    base: int
    answer: object
    digest: str
    send: int


class Acknowledged(msgspec.Struct, frozen=True, tag_field="kind", tag="ok"):
    """The exam-client said that it is durable."""

    at: str
    participant: int
    question: int
    command: str
    revision: int
    seq: int
    saved_at: str
    ms: float


class Refused(msgspec.Struct, frozen=True, tag_field="kind", tag="fail"):
    """The exam-client said that it was not stored as counted."""

    at: str
    participant: int
    question: int
    command: str
    status: int
    code: str


class Indeterminate(msgspec.Struct, frozen=True, tag_field="kind", tag="indeterminate"):
    """Nobody said anything: it may be stored or not, until a resend tells."""

    at: str
    participant: int
    question: int
    command: str
    why: str


class End(msgspec.Struct, frozen=True, tag_field="kind", tag="end"):
    """Last line of a simulation that ended by itself."""

    at: str
    outcome: Literal["complete", "stopped"]


Entry = Begin | Invoke | Acknowledged | Refused | Indeterminate | End


class Ledger:
    """An open ledger file. One event loop writes; one thread syncs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileExistsError as error:
            hint = "every run keeps its own ledger; name another file"
            raise UnreadableInputError(f"{path} exists already", hint) from error
        except OSError as error:
            raise UnreadableInputError(f"{path} cannot be written: {error.strerror}") from error
        self._encoder = msgspec.json.Encoder()
        self._waiting: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    def write(self, entry: Entry) -> None:
        """Hand a line to the kernel: it survives this process, not yet a power cut."""
        line = self._encoder.encode(entry) + b"\n"
        while line:
            line = line[os.write(self._file, line) :]

    async def durable(self) -> None:
        """Return once everything written so far is on the disk."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._wake.set()
        await done

    async def sync_for_ever(self) -> None:
        """Serve ``durable``: one fsync for all who wait. Runs until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            await loop.run_in_executor(self._thread, os.fdatasync, self._file)
            for done in waiting:
                if not done.done():
                    done.set_result(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)
        os.fdatasync(self._file)
        os.close(self._file)
