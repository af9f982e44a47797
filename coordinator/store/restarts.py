"""Restarts that the coordinator asked for: one row for each delivery, so that one replica asks."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def requested(db: AsyncConnection, delivery_ids: list[int]) -> dict[int, datetime]:
    """When the last request of each was placed."""
    found = await db.execute(
        text(
            "SELECT delivery_id, requested_at FROM restart_requests"
            " WHERE placed AND delivery_id = ANY(:ids)"
        ),
        {"ids": delivery_ids},
    )
    return {int(row.delivery_id): row.requested_at for row in found}


async def claim(
    db: AsyncConnection,
    delivery_id: int,
    now: datetime,
    heard_at: datetime | None,
    cooled_before: datetime,
    retry_before: datetime,
) -> bool:
    """Whether it is this replica that asks now. The row's lock lets one of them win.

    Again only when the exam-client was heard since and the pause is over, or, where a request could
    not be placed, a little later.
    """
    found = await db.execute(
        text(
            "INSERT INTO restart_requests AS r (delivery_id, requested_at, placed)"
            " VALUES (:id, :now, false) ON CONFLICT (delivery_id) DO UPDATE"
            " SET requested_at = excluded.requested_at, placed = false"
            " WHERE (r.placed AND r.requested_at < CAST(:heard AS timestamptz)"
            "        AND r.requested_at < :cooled)"
            " OR (NOT r.placed AND r.requested_at < :retry) RETURNING 1"
        ),
        {
            "id": delivery_id,
            "now": now,
            "heard": heard_at,
            "cooled": cooled_before,
            "retry": retry_before,
        },
    )
    return found.scalar_one_or_none() is not None


async def place(db: AsyncConnection, delivery_id: int) -> None:
    """The object holds the request now."""
    await db.execute(
        text("UPDATE restart_requests SET placed = true WHERE delivery_id = :id"),
        {"id": delivery_id},
    )
