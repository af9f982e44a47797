"""Waiting for a condition with a limit, so that no test sleeps for a guessed while.

The limit tells a hang from a slow machine: it is far above what anything here takes, and costs
nothing where the condition comes true. How fast things are is for `make bench` to say.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE_SECONDS = 0.01
PATIENCE_SECONDS = 90.0


def until(
    condition: Callable[[], T],
    *,
    seconds: float = PATIENCE_SECONDS,
    what: str = "a condition",
    pause_seconds: float = PAUSE_SECONDS,
) -> T:
    """Calls `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while not (outcome := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}; last: {outcome!r}")
        time.sleep(pause_seconds)  # noqa: TID251 - the one pause that all tests share
    return outcome


async def until_async(
    condition: Callable[[], Awaitable[T]],
    *,
    seconds: float = PATIENCE_SECONDS,
    what: str = "a condition",
) -> T:
    """Awaits `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while not (outcome := await condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}; last: {outcome!r}")
        await asyncio.sleep(PAUSE_SECONDS)
    return outcome
