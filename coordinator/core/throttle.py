"""Slows down guessing: too many failures within a window, and the key has to wait.

Kept in memory; ``services.throttles`` tells the other replicas. Bounded: the key seen longest ago
is forgotten first.
"""

from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Throttle:
    """At most ``limit`` failures per key within ``window_seconds``."""

    limit: int
    window_seconds: float
    most_keys: int = 20_000
    _failures: OrderedDict[str, list[float]] = field(default_factory=OrderedDict)

    def wait_seconds(self, key: str, now: float) -> int:
        """0 when a try is allowed; else after how many seconds one will be."""
        recent = self._recent(key, now)
        if len(recent) < self.limit:
            return 0
        return max(1, round(recent[-self.limit] + self.window_seconds - now + 0.5))

    def failed(self, key: str, now: float) -> None:
        """Count a failure."""
        self._failures[key] = [*self._recent(key, now), now][-self.limit :]
        self._failures.move_to_end(key)
        while len(self._failures) > self.most_keys:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forget the failures of a key that proved itself."""
        self._failures.pop(key, None)

    def _recent(self, key: str, now: float) -> list[float]:
        return [at for at in self._failures.get(key, []) if at > now - self.window_seconds]
