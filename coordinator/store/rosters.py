"""Rosters: who sits, with verifiers of their codes and never the codes."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class StoredEntry:
    position: int
    identifier: str
    name: str
    email: str
    time_multiplier: str
    extra_seconds: int
    code_verifier: str = field(repr=False)
    takeover_verifiers: list[str] = field(repr=False)


async def add(db: AsyncConnection, wanted_id: str, name: str, entries: list[StoredEntry]) -> str:
    """Store a roster under the wanted id, or that id with a number where it is taken."""
    roster_id = await _free_id(db, wanted_id)
    await db.execute(
        text("INSERT INTO rosters (id, name) VALUES (:id, :name)"), {"id": roster_id, "name": name}
    )
    columns = {
        column: [getattr(entry, column) for entry in entries]
        for column in StoredEntry.__slots__
        if column != "takeover_verifiers"
    }
    takeovers = ["\n".join(entry.takeover_verifiers) for entry in entries]
    await db.execute(
        text(
            "INSERT INTO roster_entries SELECT :roster_id, p, i, n, e, m, x, c,"
            " string_to_array(t, E'\\n') FROM unnest(CAST(:position AS int[]),"
            " CAST(:identifier AS text[]), CAST(:name AS text[]), CAST(:email AS text[]),"
            " CAST(:time_multiplier AS text[]), CAST(:extra_seconds AS int[]),"
            " CAST(:code_verifier AS text[]), CAST(:takeovers AS text[]))"
            " AS entry (p, i, n, e, m, x, c, t)"
        ),
        {"roster_id": roster_id, "takeovers": takeovers, **columns},
    )
    return roster_id


async def page(db: AsyncConnection, after: str, limit: int) -> list[dict[str, Any]]:
    found = await db.execute(
        text(
            "SELECT r.id AS roster_id, r.name, r.created_at, count(e.identifier) AS participants"
            " FROM rosters r LEFT JOIN roster_entries e ON e.roster_id = r.id"
            " WHERE r.id > :after GROUP BY r.id ORDER BY r.id LIMIT :limit"
        ),
        {"after": after, "limit": limit},
    )
    return [dict(row) for row in found.mappings()]


async def get(db: AsyncConnection, roster_id: str) -> dict[str, Any] | None:
    found = await db.execute(
        text("SELECT id AS roster_id, name, created_at FROM rosters WHERE id = :id"),
        {"id": roster_id},
    )
    row = found.mappings().one_or_none()
    return None if row is None else dict(row)


async def entries(
    db: AsyncConnection, roster_id: str, after: int, limit: int
) -> list[dict[str, Any]]:
    """Entries without codes or verifiers, in the order of the file."""
    found = await db.execute(
        text(
            "SELECT position, identifier, name, email, time_multiplier, extra_seconds"
            " FROM roster_entries WHERE roster_id = :id AND position > :after"
            " ORDER BY position LIMIT :limit"
        ),
        {"id": roster_id, "after": after, "limit": limit},
    )
    return [dict(row) for row in found.mappings()]


async def size(db: AsyncConnection, roster_id: str) -> int | None:
    """How many it lists; None for no such roster."""
    found = await db.execute(
        text(
            "SELECT (SELECT count(*) FROM roster_entries e WHERE e.roster_id = r.id)"
            " FROM rosters r WHERE r.id = :id"
        ),
        {"id": roster_id},
    )
    return found.scalar_one_or_none()


async def _free_id(db: AsyncConnection, wanted: str) -> str:
    # The lock keeps two imports of one name from choosing the same id.
    await db.execute(text("LOCK TABLE rosters IN SHARE ROW EXCLUSIVE MODE"))
    found = await db.execute(
        text("SELECT id FROM rosters WHERE id = :wanted OR id LIKE :pattern"),
        {"wanted": wanted, "pattern": wanted.replace("_", "\\_") + "-%"},
    )
    taken = set(found.scalars())
    number, candidate = 1, wanted
    while candidate in taken:
        number += 1
        candidate = f"{wanted}-{number}"
    return candidate
