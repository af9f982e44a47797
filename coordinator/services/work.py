"""One transaction per request, with its audit entry inside: who changes state leaves a trace.

The edge opens the work and it commits once; use cases only record. A piece of work that ends
without an entry, and without saying that nothing changed, is a programming error and rolls back.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.store import audit
from coordinator.store.database import Database
from exam_contract.base import rfc3339

ANONYMOUS, OPERATOR, SYSTEM = "anonymous", "operator", "system"


@dataclass(slots=True)
class Work:
    """``actor`` is an id such as ``staff:7``, never a name."""

    db: AsyncConnection
    actor: str
    now: datetime
    _entry: tuple[str, str, dict[str, object]] | None = field(default=None)
    _unchanged: bool = False

    def record(self, action: str, target: str, **detail: object) -> None:
        """The one audit entry of this work; ids, codes and counts only."""
        if self._entry is not None:
            raise RuntimeError("a piece of work leaves exactly one audit entry")
        self._entry = (action, target, detail)

    def unchanged(self) -> None:
        """Say that nothing was changed, so that nothing needs an entry."""
        self._unchanged = True

    async def finish(self) -> None:
        """Append the entry as the last thing before COMMIT."""
        if self._entry is None:
            if self._unchanged:
                return
            raise RuntimeError("state was changed without an audit entry")
        action, target, detail = self._entry
        await audit.append(self.db, rfc3339(self.now), self.actor, action, target, detail)


@asynccontextmanager
async def working(database: Database, actor: str) -> AsyncIterator[Work]:
    """Commits at the end, together with the audit entry; rolls back on any error."""
    async with database.begin() as db:
        work = Work(db, actor, datetime.now(UTC))
        yield work
        await work.finish()
