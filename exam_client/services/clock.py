"""The delivery's clock: wall time at the start, moved on by the monotonic clock.

A wall clock that is set by an hour mid-exam moves no deadline; ``step`` tells by how much it was.
"""

import time

from exam_client.core.instants import SECOND


class Clock:
    """Calling it gives the present instant."""

    def __init__(self) -> None:
        self._wall = time.time_ns() // 1000
        self._mono = time.monotonic_ns() // 1000

    def __call__(self) -> int:
        return self._wall + time.monotonic_ns() // 1000 - self._mono

    def step_seconds(self) -> int:
        """By how many whole seconds the wall clock was moved since the start."""
        return (time.time_ns() // 1000 - self()) // SECOND
