"""The audit chain in PostgreSQL: appended in the transaction of the change it tells of."""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.core.audit import Entry, next_entry

_LOCK = 7_305_480_012


async def append(
    db: AsyncConnection, at: str, actor: str, action: str, target: str, detail: dict[str, object]
) -> Entry:
    """Add one entry. The lock is held until COMMIT, so that ids and hashes form one chain."""
    await db.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    found = await db.execute(text("SELECT id, hash FROM audit_log ORDER BY id DESC LIMIT 1"))
    row = found.one_or_none()
    last = (0, "") if row is None else (int(row.id), str(row.hash))
    entry = next_entry(last, at, actor, action, target, detail)
    await db.execute(
        text(
            "INSERT INTO audit_log (id, at, actor, action, target, detail, prev, hash)"
            " VALUES (:id, :at, :actor, :action, :target, :detail, :prev, :hash)"
        ),
        {name: getattr(entry, name) for name in Entry.__slots__},
    )
    return entry


async def page(db: AsyncConnection, after: int, limit: int) -> list[Entry]:
    """Entries with an id greater than ``after``, in order."""
    found = await db.execute(
        text(
            "SELECT id, at, actor, action, target, detail, prev, hash FROM audit_log"
            " WHERE id > :after ORDER BY id LIMIT :limit"
        ),
        {"after": after, "limit": limit},
    )
    return [_entry(row) for row in found]


async def newest(db: AsyncConnection, before: int, limit: int) -> list[Entry]:
    """Entries with an id smaller than ``before``, the newest first."""
    found = await db.execute(
        text(
            "SELECT id, at, actor, action, target, detail, prev, hash FROM audit_log"
            " WHERE id < :before ORDER BY id DESC LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return [_entry(row) for row in found]


async def walk(db: AsyncConnection) -> AsyncIterator[list[Entry]]:
    """The whole chain, a thousand entries at a time."""
    after = 0
    while entries := await page(db, after, 1000):
        yield entries
        after = entries[-1].id


def _entry(row: Any) -> Entry:
    return Entry(
        id=int(row.id),
        at=row.at,
        actor=row.actor,
        action=row.action,
        target=row.target,
        detail=row.detail,
        prev=row.prev,
        hash=row.hash,
    )
