"""Where the process stands, as its probes tell it.

Ready means: this replica is of use. It is not before the database was there once, nor while it
stops. When the database goes away later it stays ready: all replicas share the one database, and
taking them all away would also take the live view, the open sockets and the refusals in words. A
replica that alone has lost it closes the connections it refuses on, so that callers find another.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from coordinator.adapters.metrics import Metrics
from coordinator.errors import DatabaseUnavailable, NotYet
from coordinator.settings import Settings
from coordinator.store import migrate
from coordinator.store.database import Database

_log = structlog.get_logger(__name__)
_ANSWER_SECONDS = 1.5
_CACHE_SECONDS = 2.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_TOLD_AGAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Readiness:
    ready: bool
    says: str


class Standing:
    """Made before anything else, so that the probes answer from the first moment."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.waits_for = "it starts"
        self.stopping = False
        self._database: Database | None = None
        self._loaded: Callable[[], bool] = lambda: False
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._answers = False

    def began(self, database: Database, loaded: Callable[[], bool]) -> None:
        """The database was there; ``loaded`` says when the first look at it is done."""
        self._database, self._loaded = database, loaded
        self.waits_for = "it reads the deliveries"

    async def readiness(self) -> Readiness:
        if self.stopping:
            return Readiness(False, "it stops")
        if self._database is None or not self._loaded():
            return Readiness(False, self.waits_for)
        if await self.database_answers():
            return Readiness(True, "the database answers")
        return Readiness(True, "the database is away; what does without it is served")

    async def database_answers(self) -> bool:
        """Asked at most every two seconds, whoever wants to know."""
        async with self._asking:
            if self._database is not None and time.monotonic() - self._asked_at > _CACHE_SECONDS:
                self._answers = await _answers(self._database)
                self._asked_at = time.monotonic()
        self.metrics.database.set(self._answers)
        return self._answers


async def _answers(database: Database) -> bool:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await database.ping()
    except (DatabaseUnavailable, TimeoutError):
        return False
    return True


async def wait_for_database(database: Database, settings: Settings, standing: Standing) -> None:
    """Until it answers and has this version's schema. Raises StartFailed where waiting is vain."""
    pause, told, told_at = _FIRST_PAUSE_SECONDS, "", 0.0
    while True:
        try:
            if settings.migrate:
                await asyncio.to_thread(migrate.upgrade, database.dsn)
            await database.check_schema()
            return
        except NotYet as not_yet:
            standing.waits_for = str(not_yet)
        if standing.waits_for != told or time.monotonic() - told_at > _TOLD_AGAIN_SECONDS:
            told, told_at = standing.waits_for, time.monotonic()
            _log.warning("waiting_for_database", reason=told)
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)
