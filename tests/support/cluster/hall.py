"""People who sit while the cluster breaks, and how long they felt each break.

They sit in a thread of their own and answer until they are told that it is enough, so that a test
reads as what it does to the cluster.
"""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from examctl.simulation.sitting import Behaviour
from examctl.simulation.tally import Tally
from tests.support.cluster.api import Json
from tests.support.cluster.deadlines import Felt
from tests.support.cluster.exam_day import ExamDay
from tests.support.cluster.objects import container_of
from tests.support.waiting import until

T = TypeVar("T")
ENDURING = Behaviour(
    think_seconds=0.5,
    change_share=0.0,
    skip_share=0.0,
    device_change_share=0.2,
    arrival_seconds=4,
    patience_seconds=300,
    item_limit=12,
    goes_on=True,
)
_PAUSE_SECONDS = 0.05
_FINISH_SECONDS = 180.0


class Cut(NamedTuple):
    """Moments of ``time.monotonic``: when service was cut, and from when on an answer that leaves
    can only be acknowledged by a successor."""

    began: float
    certain: float


class _Left(Exception):
    """Everybody is sent home."""


class Hall:
    """A context: people come in, and are sent home at its end if they still sit."""

    def __init__(self, day: ExamDay, behaviour: Behaviour = ENDURING) -> None:
        self.day = day
        self.felt: list[Felt] = []
        self._behaviour = behaviour
        self._sent_home = False
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clock_offset = 0.0
        self._thread = threading.Thread(target=self._sit, name="hall", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        everybody = self.tally.participants
        self.wait(lambda: self.tally.started == everybody, what="everybody to have begun")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        self._sent_home = True
        self._poke()
        self._thread.join(timeout=30)

    @property
    def tally(self) -> Tally:
        return self.day.tally

    def wait(self, holds: Callable[[], T], *, seconds: float = 90, what: str) -> T:
        """What ``holds`` says once it is true; ends at once when somebody gave up."""

        def found() -> T:
            assert self._failure is None, f"the hall fell apart: {self._failure!r}"
            assert not self.tally.gave_up, f"somebody gave up: {dict(self.tally.gave_up)}"
            return holds()

        return until(found, seconds=seconds, what=what, pause_seconds=_PAUSE_SECONDS)

    def answers(self, more: int, *, seconds: float = 90) -> None:
        """Return once so many more answers are acknowledged."""
        wanted = self.tally.acknowledged + more
        self.wait(
            lambda: self.tally.acknowledged >= wanted,
            seconds=seconds,
            what=f"{more} more answers to be acknowledged",
        )

    def outage(self, strike: Callable[[], Cut], *, seconds: float = 120) -> float:
        """Strike while answers are on their way; seconds until a successor acknowledged one."""
        self.wait(lambda: self.tally.in_flight > 0, what="answers to be on their way")
        cut = strike()
        over = self.first_accepted(cut.certain, seconds=seconds)
        started = self._container_started(since=_wall(cut.began))
        # A pod that is being deleted still answers for a while.
        last = max(at for at in self._heard() if at < started)
        self.felt.append(Felt(last, started, _wall(over)))
        return over - cut.began

    def first_accepted(self, moment: float, *, seconds: float = 120) -> float:
        """When the first answer that left after that moment was acknowledged."""

        async def first() -> float:
            return await self.tally.first_accepted(moment + self._clock_offset)

        assert self._loop is not None
        waiting = asyncio.run_coroutine_threadsafe(first(), self._loop)
        self.wait(waiting.done, seconds=seconds, what="an answer to be acknowledged again")
        return waiting.result() - self._clock_offset

    def longest_silence(self, began: float, over: float) -> float:
        """The longest time without an acknowledgement between two moments, by the ledger."""
        first, last = _wall(began), _wall(over)
        moments = [first, *(at for at in self._heard() if first <= at <= last), last]
        return max((after - before).total_seconds() for before, after in pairwise(moments))

    def entries(self) -> list[Json]:
        """The ledger so far."""
        whole, _, _ = self.day.ledger.read_text("utf-8").rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def _heard(self) -> list[datetime]:
        """When answers were acknowledged."""
        return [datetime.fromisoformat(one["at"]) for one in self.entries() if one["kind"] == "ok"]

    def _container_started(self, since: datetime) -> datetime:
        """When the container that serves now was started."""

        def started() -> datetime | None:
            state = container_of(self.day.delivery.pod()).get("state", {})
            told = state.get("running", {}).get("startedAt")
            at = None if told is None else datetime.fromisoformat(told)
            return at if at and at >= since.replace(microsecond=0) else None

        found = until(started, seconds=30, what="the pod's status to be true", pause_seconds=0.1)
        assert found is not None
        return found

    def finish(self) -> None:
        """Everybody submits; return when all have."""
        self.tally.enough = True
        everybody = self.tally.participants
        self.wait(
            lambda: self.tally.completed == everybody,
            seconds=_FINISH_SECONDS,
            what="everybody to have submitted",
        )
        self._thread.join(timeout=30)

    def _sit(self) -> None:
        try:
            self.day.sit(self._behaviour, meanwhile=self._attend)
        except* _Left:
            pass
        except* Exception as error:  # noqa: BLE001 - told by whoever waits next
            self._failure = error

    def _attend(self, tally: Tally) -> Awaitable[None]:
        self._loop = asyncio.get_running_loop()
        self._clock_offset = self._loop.time() - time.monotonic()
        return self._until_over(tally)

    async def _until_over(self, tally: Tally) -> None:
        await tally.until(lambda: self._sent_home or tally.finished >= tally.participants)
        if tally.finished < tally.participants:
            raise _Left

    def _poke(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.tally.moved)


def _wall(moment: float) -> datetime:
    """A moment of ``time.monotonic`` by the wall clock."""
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - moment)
