"""The one thread that writes: takes what waits, decides it in memory, commits once, then answers.

Natural group commit without a timer. An outcome leaves this thread only after COMMIT and after the
files were seen to be still there; a failed commit leaves the state untouched.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Protocol

import structlog

from exam_client.core import commands
from exam_client.core.commands import Command
from exam_client.core.deciding import decide
from exam_client.core.state import Draft
from exam_client.errors import Refusal, StorageFailed, StorageFull, StorageLost
from exam_client.store import database, writing
from exam_client.store.journal import Journal
from exam_contract.problems import ProblemCode

MAX_BATCH = 256
MAX_WAITING = 8192
_ALWAYS = (
    commands.Recovered
    | commands.Tick
    | commands.NoteStorage
    | commands.NoteAudit
    | commands.SetDesired
    | commands.Act
    | commands.Freeze
    | commands.RollBack
    | commands.SetTransfer
)
"""What still runs on the ballast's space when the volume is full, and behind a fence: whoever may
take no answer has to come back from a crash all the same, to show and hand over what it holds."""

log = structlog.get_logger("exam_client.writer")


class Meter(Protocol):
    """What the writer tells about each commit."""

    def committed(self, commands: int, seconds: float, waiting: int) -> None: ...


class _Job(NamedTuple):
    command: Command
    future: "asyncio.Future[Any]"


class _Call(NamedTuple):
    """Something to be run on the writer's thread between batches."""

    function: Callable[[], Any]
    future: "asyncio.Future[Any]"


class WriterDied(Exception):
    """The writer thread ended; the process must end too."""


class Writer:
    """``submit`` from the event loop; everything with an underscore and ``_run`` in the thread."""

    def __init__(
        self,
        journal: Journal,
        clock: Callable[[], int],
        meter: Meter,
        on_commit: Callable[[], None],
    ) -> None:
        self.journal = journal
        self.state = journal.state
        self.lost: str | None = None
        self.full = journal.state.whole.storage_full
        self.beat = time.monotonic()
        """When the thread last finished a round; the live probe reads it."""
        self._clock = clock
        self._meter = meter
        self._on_commit = on_commit
        self._queue: SimpleQueue[_Job | _Call | None] = SimpleQueue()
        self._waiting = 0
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Future[None]

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._thread.start()

    def submit(self, command: Command) -> "asyncio.Future[Any]":
        """Queue a command; the future brings its outcome or raises Refusal."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self.lost is not None:
            future.set_exception(self._lost_refusal())
        elif self._waiting >= MAX_WAITING:
            future.set_exception(
                Refusal(ProblemCode.NOT_READY, "too much waits to be saved; send it again soon")
            )
        else:
            self._waiting += 1
            self._queue.put(_Job(command, future))
        return future

    def call(self, function: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Run a function on the writer's thread, between batches."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting += 1
        self._queue.put(_Call(function, future))
        return future

    async def checkpoint(self, *, close: bool = False) -> None:
        """Fold the log into the file, unless that is no longer ours. Raises StorageFailed."""
        await self.call(lambda: self._checkpoint(close=close))

    async def ended(self) -> None:
        """Returns when the thread was stopped; raises WriterDied when it died."""
        await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """Finish what was accepted, then end the thread."""
        self._queue.put(None)
        await asyncio.shield(self._ended)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        return self._waiting

    # In the thread.

    def _run(self) -> None:
        try:
            while self._round():
                self.beat = time.monotonic()
        except BaseException as error:
            if not isinstance(error, StorageFailed):
                log.exception("writer_died")
            self._loop.call_soon_threadsafe(self._end, WriterDied(str(error)))
        else:
            self._loop.call_soon_threadsafe(self._end, None)

    def _round(self) -> bool:
        first = self._queue.get()
        jobs: list[_Job] = []
        entry: _Job | _Call | None = first
        while isinstance(entry, _Job):
            jobs.append(entry)
            if len(jobs) >= MAX_BATCH:
                break
            try:
                entry = self._queue.get_nowait()
            except Empty:
                break
        if jobs:
            self._handle(jobs)
        if isinstance(entry, _Call):
            self._run_call(entry)
        return entry is not None

    def _run_call(self, call: _Call) -> None:
        try:
            result: Any = call.function()
        except Exception as error:  # noqa: BLE001  handed to whoever called
            result = error
        self._loop.call_soon_threadsafe(self._resolve, [call], [result])

    def _handle(self, jobs: list[_Job]) -> None:
        started = time.perf_counter()
        try:
            outcomes = self._commit(jobs)
        except StorageFailed as error:
            log.error("commit_failed", reason=str(error), commands=len(jobs))
            self._answer(jobs, [self._indeterminate()] * len(jobs))
            raise
        self._answer(jobs, outcomes)
        self._meter.committed(len(jobs), time.perf_counter() - started, self._queue.qsize())

    def _commit(self, jobs: list[_Job]) -> list[Any]:
        """Outcomes in the order of the jobs; refusals are outcomes too."""
        try:
            self._check_storage()
            draft, outcomes = self._decide(jobs)
            if not draft.is_empty:
                with database.transaction(self.journal.connection) as connection:
                    writing.write(connection, draft)
            self._check_storage()
            draft.apply()
        except StorageLost:
            return [self._lost_refusal()] * len(jobs)
        except StorageFull:
            self._turn_full()
            return [_full_refusal()] * len(jobs)
        self._resume_when_room(jobs)
        return outcomes

    def _decide(self, jobs: list[_Job]) -> tuple[Draft, list[Any]]:
        """Decide all on one draft; a decision that breaks is left out and the rest decided anew."""
        broken: set[int] = set()
        while True:
            draft = Draft(self.state, self._clock())
            outcomes: list[Any] = []
            for index, job in enumerate(jobs):
                try:
                    outcomes.append(self._decide_one(draft, job.command, index in broken))
                except Refusal as refusal:
                    outcomes.append(refusal)
                except Exception:
                    log.exception("decision_broke", command=type(job.command).__name__)
                    broken.add(index)
                    break
            else:
                return draft, outcomes

    def _decide_one(self, draft: Draft, command: Command, broken: bool) -> Any:
        if broken:
            raise Refusal(ProblemCode.INTERNAL, "this request could not be decided")
        if self.full and not isinstance(command, _ALWAYS):
            raise _full_refusal()
        if draft.whole.fenced and not isinstance(command, _ALWAYS):
            raise fenced_refusal()
        return decide(draft, command)

    def _check_storage(self) -> None:
        if self.lost is not None:
            raise StorageLost(self.lost)
        try:
            self.journal.guard.check()
        except StorageLost as error:
            self.lost = str(error)
            log.error("storage_lost", reason=self.lost)
            raise

    def _turn_full(self) -> None:
        """Read-only from here on; the ballast's space carries the alarm, closing and transfer."""
        if not self.full:
            log.error("storage_full")
        self.full = True
        self.journal.ballast.release()
        self._write_storage_mark(full=True)

    def _resume_when_room(self, jobs: list[_Job]) -> None:
        if not self.full or not any(isinstance(job.command, commands.Tick) for job in jobs):
            return
        ballast = self.journal.ballast
        if ballast.room_to_hold() and ballast.hold():
            self.full = False
            self._write_storage_mark(full=False)
            log.info("storage_ok")

    def _write_storage_mark(self, *, full: bool) -> None:
        draft = Draft(self.state, self._clock())
        decide(draft, commands.NoteStorage(full=full))
        try:
            with database.transaction(self.journal.connection) as connection:
                writing.write(connection, draft)
        except StorageFull:
            return  # told again by the next batch that fails
        draft.apply()

    def _lost_refusal(self) -> Refusal:
        return Refusal(
            ProblemCode.STORAGE_LOST,
            "keep your answers: nothing more can be saved here until the exam's storage is back",
        )

    def _indeterminate(self) -> Refusal:
        return Refusal(
            ProblemCode.STORAGE_LOST,
            "whether this was saved is unknown; send it again with the same command_id",
        )

    def _checkpoint(self, *, close: bool) -> None:
        if self.lost is None:
            database.checkpoint(self.journal.connection)
            if close:
                self.journal.connection.close()

    # From the thread to the loop.

    def _answer(self, jobs: list[_Job], outcomes: list[Any]) -> None:
        self._loop.call_soon_threadsafe(self._resolve, jobs, outcomes)

    def _resolve(self, jobs: list[Any], outcomes: list[Any]) -> None:
        self._waiting -= len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.future.done():
                continue
            if isinstance(outcome, Exception):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)
        self._on_commit()

    def _end(self, error: WriterDied | None) -> None:
        if not self._ended.done():
            if error is None:
                self._ended.set_result(None)
            else:
                self._ended.set_exception(error)


def fenced_refusal() -> Refusal:
    """A person stopped the writer; only they know for how long."""
    return Refusal(
        ProblemCode.FENCED,
        "saving was stopped on purpose; keep the answer and send it again",
    )


def _full_refusal() -> Refusal:
    return Refusal(
        ProblemCode.STORAGE_FULL,
        "keep your answers and tell an invigilator: the exam's storage is full",
    )
