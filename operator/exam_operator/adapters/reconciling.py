"""The loop of both edges: look, plan, obey, look again. Level-based, so nothing is ever missed.

Keys wait in one coalesced queue (a key stands in it once), each is worked on by one worker at a
time, failures back off with full jitter, and a jittered sweep is the net under every lost signal.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

import structlog

from exam_operator.adapters.metrics import OperatorMetrics
from exam_operator.core import commands as c
from exam_operator.core import pacing, planning
from exam_operator.core.commands import Command
from exam_operator.core.world import Key, Observed
from exam_operator.errors import Busy, EdgeError, Refused, Stale

log = structlog.get_logger(__name__)
_SWEEP_SECONDS = 60.0
_TIMEOUT_SECONDS = 60.0
_FIRST_BACKOFF_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 30.0
_STALE_IN_A_ROW = 3
_STEPS_IN_A_ROW = 8
"""So many looks come first for one that moves on; then it waits in turn, whatever it does."""


class Edge(Protocol):
    """Where deliveries live: pods and claims, or processes and folders."""

    def all_keys(self) -> Iterable[Key]: ...

    async def observe(self, key: Key) -> Observed | None:
        """Look at everything around one object; None when it is gone. Raises EdgeError."""

    async def apply(self, key: Key, command: Command) -> None:
        """Obey one command, idempotently. Raises EdgeError."""


class Reconciler:
    """Keeps every object's world as its plan wants it."""

    def __init__(
        self,
        edge: Edge,
        now: Callable[[], datetime],
        metrics: OperatorMetrics,
        *,
        pace: pacing.Pace = pacing.ONE_MACHINE,
        workers: int = 16,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._edge, self._now, self._metrics, self._chance = edge, now, metrics, chance
        self._pace = pace
        self._workers = asyncio.Semaphore(workers)
        self._due: dict[Key, float] = {}
        self._busy: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._stale: dict[Key, int] = {}
        self._not_before: dict[Key, float] = {}
        self._in_a_row: dict[Key, int] = {}
        self._wake = asyncio.Event()

    def enqueue(self, key: Key, after_seconds: float = 0.0) -> None:
        """Look at this key no later than that, unless the platform asked for a pause."""
        due = time.monotonic() + after_seconds
        soonest = min(due, self._due.get(key, due))
        self._due[key] = max(soonest, self._not_before.get(key, soonest))
        self._metrics.queue_depth.set(len(self._due))
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep())
            while True:
                await self._workers.acquire()
                while (key := self._take_due()) is None:
                    await self._wait()
                tasks.create_task(self._work(key))

    async def reconcile(self, key: Key) -> float | None:
        """One look, plan and obey. Returns when to look again; None when the object is gone."""
        observed = await self._edge.observe(key)
        if observed is None:
            self._metrics.forget(key)
            return None
        now = self._now()
        pace = pacing.among(self._pace, len(self._due) + len(self._busy))
        decided = planning.plan(observed, now, pace)
        self._metrics.standing(key, observed.object.status.phase)
        refused: dict[type[Command], Refused] = {}
        for command in decided.commands:
            await self._obey(key, command, refused)
            if isinstance(command, c.WriteStatus):
                self._metrics.changed(key, observed.object, command.status, now)
        for refusal in refused.values():
            raise refusal
        return decided.requeue_seconds

    async def _obey(
        self, key: Key, command: Command, refused: dict[type[Command], Refused]
    ) -> None:
        """What the platform refuses holds up what builds on it, and nothing else.

        Everything builds on the status: an epoch that is not written might be given twice.
        """
        if c.Protect in refused and isinstance(command, c.EnsureSecret | c.EnsureVolume):
            return
        try:
            await self._edge.apply(key, command)
        except Refused as refusal:
            if isinstance(command, c.WriteStatus):
                raise
            refused[type(command)] = refusal

    def _take_due(self) -> Key | None:
        """The next one: what is in the middle of something before what only began to wait."""
        now = time.monotonic()
        ready = (key for key, due in self._due.items() if due <= now and key not in self._busy)
        key = min(
            ready, key=lambda one: (not self._in_a_row.get(one), self._due[one]), default=None
        )
        if key is None:
            return None
        self._metrics.queue_lag_seconds.observe(now - self._due.pop(key))
        self._busy.add(key)
        self._metrics.queue_depth.set(len(self._due))
        return key

    async def _wait(self) -> None:
        """Until something is due, or something changed what is due."""
        due = [due for key, due in self._due.items() if key not in self._busy]
        seconds = min(due) - time.monotonic() if due else _SWEEP_SECONDS
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _work(self, key: Key) -> None:
        try:
            with self._metrics.reconcile_seconds.time():
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    again = await self.reconcile(key)
            self._failures.pop(key, None)
            self._stale.pop(key, None)
            self._not_before.pop(key, None)
            self._note_steps(key, again)
            if again is not None:
                self.enqueue(key, again)
        except Stale as error:
            self._again_at_once(key, str(error))
        except (EdgeError, TimeoutError) as error:
            log.warning("reconcile.failed", delivery=key.name, reason=str(error) or "timeout")
            if isinstance(error, Busy):
                self._not_before[key] = time.monotonic() + error.after_seconds
            self._again_later(key)
        except Exception:
            # The outermost guard of one delivery: the others go on, and so does this one later.
            log.exception("reconcile.crashed", delivery=key.name)
            self._again_later(key)
        finally:
            self._busy.discard(key)
            self._workers.release()
            self._wake.set()

    def _note_steps(self, key: Key, again: float | None) -> None:
        """Many begun at once would all end late, if each waited for every other's every step."""
        steps = self._in_a_row.pop(key, 0) + 1
        if again is not None and again <= pacing.SOON_SECONDS and steps <= _STEPS_IN_A_ROW:
            self._in_a_row[key] = steps

    def _again_at_once(self, key: Key, reason: str) -> None:
        """Somebody else was quicker; who is so again and again is a failure like any other."""
        self._stale[key] = self._stale.get(key, 0) + 1
        if self._stale[key] <= _STALE_IN_A_ROW:
            self.enqueue(key)
            return
        log.warning("reconcile.stale", delivery=key.name, reason=reason)
        self._again_later(key)

    def _again_later(self, key: Key) -> None:
        self._metrics.reconcile_failures.inc()
        self._in_a_row.pop(key, None)
        failures = min(self._failures.get(key, 0) + 1, 10)
        self._failures[key] = failures
        most = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0**failures)
        self.enqueue(key, self._chance() * most)

    async def _sweep(self) -> None:
        while True:
            for key in self._edge.all_keys():
                self.enqueue(key)
            await asyncio.sleep(_SWEEP_SECONDS * (0.75 + self._chance() / 2))
