"""What the crowd has done so far: counters, latencies, and who waits for the next acceptance."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from examctl.simulation.latency import Latencies


@dataclass(slots=True)
class Tally:
    """Shared by all participants of one simulation (one event loop, no locks)."""

    participants: int
    admitted: int = 0
    """Sign-ins that the coordinator granted, those of device changes included."""
    signed_in: int = 0
    started: int = 0
    completed: int = 0
    acknowledged: int = 0
    answered: int = 0
    """Distinct (participant, question) with an acknowledged answer."""
    changed: int = 0
    expected: int = 0
    """Answer commands that are planned, as far as participants know their items."""
    in_flight: int = 0
    """Answers that left and have no reply yet."""
    reconnects: int = 0
    device_changes: int = 0
    indeterminate: int = 0
    resends: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    gave_up: Counter[str] = field(default_factory=Counter)
    """Participants who could not finish, by the reason."""
    scores: list[int] = field(default_factory=list)
    enough: bool = False
    """Those who go on until they are told may submit now."""
    latencies: Latencies = field(default_factory=Latencies)
    _watchers: list[tuple[float, "asyncio.Future[float]"]] = field(default_factory=list)
    _conditions: list[tuple[Callable[[], bool], asyncio.Event]] = field(default_factory=list)

    def accepted(self, sent: float, received: float) -> None:
        """An answer was acknowledged (times of the event loop's clock)."""
        self.acknowledged += 1
        self.latencies.add(received - sent)
        for after, first in self._watchers:
            if sent >= after and not first.done():
                first.set_result(received)
        self._watchers = [watcher for watcher in self._watchers if not watcher[1].done()]
        self.moved()

    def moved(self) -> None:
        """Something was counted: wake whoever waits for it."""
        for holds, waiting in self._conditions:
            if holds():
                waiting.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once a condition over this tally holds (or has held in between)."""
        waiting = asyncio.Event()
        condition = (holds, waiting)
        self._conditions.append(condition)
        try:
            if not holds():
                await waiting.wait()
        finally:
            self._conditions.remove(condition)

    def first_accepted(self, sent_after: float) -> "asyncio.Future[float]":
        """When the first answer sent after that moment is acknowledged."""
        first: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._watchers.append((sent_after, first))
        return first

    @property
    def finished(self) -> int:
        return self.completed + self.gave_up.total()
