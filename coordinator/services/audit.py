"""Reading and checking the audit chain."""

from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.core.audit import Verdict, verify
from coordinator.store import audit


async def check(db: AsyncConnection) -> Verdict:
    """Walk the whole chain; stops at the first entry that does not hold."""
    verdict = Verdict(0, "")
    async for entries in audit.walk(db):
        verdict = verify(entries, after=(verdict.entries, verdict.head))
        if verdict.broken_at is not None:
            break
    return verdict
