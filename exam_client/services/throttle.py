"""Slows guessing down: a bucket of tries per name and per address, refilled over time.

In memory on purpose: a restart forgives, and codes are long enough for that.
"""

from collections import OrderedDict

from exam_client.core.instants import SECOND
from exam_client.errors import Refusal
from exam_contract.problems import ProblemCode

_MOST_BUCKETS = 50_000


class Throttle:
    """``tries`` at once, one more every ``seconds_per_try``."""

    def __init__(self, tries: int, seconds_per_try: float) -> None:
        self._tries = tries
        self._micros = int(seconds_per_try * SECOND)
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def take(self, name: str, now: int) -> None:
        """Use one try. Raises Refusal with ``retry_after`` when there is none."""
        full_at = max(self._full_at.get(name, now), now) + self._micros
        wait = full_at - now - self._tries * self._micros
        if wait > 0:
            seconds = -(-wait // SECOND)
            raise Refusal(
                ProblemCode.TOO_MANY_ATTEMPTS,
                f"wait {seconds} seconds before the next try",
                retry_after=seconds,
            )
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        while len(self._full_at) > _MOST_BUCKETS:
            self._full_at.popitem(last=False)

    def forgive(self, name: str) -> None:
        """After a success the name starts afresh."""
        self._full_at.pop(name, None)
