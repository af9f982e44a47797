"""A participant's line to one service: patience, a fresh connection when one breaks, and a limit.

Every call made through it may be repeated safely (the protocol makes them idempotent), so an
unknown outcome is simply asked again. Answers have rules of their own in ``sitting``.
"""

import asyncio
import random
import ssl
from collections.abc import Mapping

from examctl.simulation.wire import Connection, Origin, Reply, WireError

RETRIED_CODES = frozenset(
    {"fenced", "not_ready", "not_registered", "stopping", "too_many_attempts"}
)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_REPLY_SECONDS = 30.0
"""Longer than any service should take: giving up early only makes it do the work again."""


class OutOfPatienceError(Exception):
    """The service did not answer usefully within the participant's patience."""


class Line:
    """Calls to one origin with back-off (full jitter) until ``patience_seconds`` have passed."""

    def __init__(
        self,
        origin: Origin,
        rng: random.Random,
        patience_seconds: float,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.connection = Connection(origin, trust)
        self._rng = rng
        self._patience_seconds = patience_seconds

    async def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Reply:
        """The first reply that is an answer and no excuse. Raises OutOfPatienceError."""
        limit = self.limit()
        for turn in range(1_000_000):
            reason = "no reply"
            try:
                reply = await self.connection.request(
                    method, path, headers=headers, body=body, timeout_seconds=_REPLY_SECONDS
                )
                if not is_excuse(reply):
                    return reply
                reason = reply.code
            except WireError as error:
                reason = str(error)
            await self.pause(turn, limit, reason)
        raise OutOfPatienceError("too many turns")

    def limit(self) -> float:
        """Until when to try, by the event loop's clock."""
        return asyncio.get_running_loop().time() + self._patience_seconds

    async def pause(self, turn: int, limit: float, reason: str) -> None:
        """Wait before the next turn. Raises OutOfPatienceError past the limit."""
        if asyncio.get_running_loop().time() > limit:
            raise OutOfPatienceError(reason)
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(turn, 10))
        await asyncio.sleep(self._rng.uniform(0.01, longest))


def is_excuse(reply: Reply) -> bool:
    """A reply that says: not now, ask again."""
    return reply.status >= 500 or reply.status == 429 or reply.code in RETRIED_CODES
