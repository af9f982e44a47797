"""What was read last, for the time when the database is away: bounded, and not for ever."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """The value used longest ago is forgotten first, and each after ``seconds``."""

    def __init__(
        self, seconds: float, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._most, self._clock = seconds, most, clock
        self._kept: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def keep(self, key: K, value: V) -> None:
        self._kept[key] = (value, self._clock() + self._seconds)
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def get(self, key: K) -> V | None:
        """None when it was never read, or too long ago."""
        found = self._kept.get(key)
        return None if found is None or found[1] <= self._clock() else found[0]

    def forget(self, key: K) -> None:
        self._kept.pop(key, None)
