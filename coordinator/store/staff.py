"""Staff accounts, their grants, sessions and API tokens (tokens only as hashes)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.core.permissions import Grant, Role


@dataclass(frozen=True, slots=True)
class Account:
    id: int
    username: str
    display_name: str
    active: bool
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """An account seen through its session; ``csrf_token`` is None for API tokens."""

    account: Account
    csrf_token: str | None = field(repr=False)
    expires_at: datetime | None


_GRANTS = (
    "COALESCE((SELECT array_agg(ARRAY[g.role, g.exam_id] ORDER BY g.role, g.exam_id)"
    " FROM staff_grants g WHERE g.staff_id = s.id), '{}') AS grants"
)
_ACCOUNT = f"s.id, s.username, s.display_name, s.active, {_GRANTS}"


async def by_session(db: AsyncConnection, token_hash: bytes, now: datetime) -> Session | None:
    """The live session of an active account."""
    found = await db.execute(
        text(
            f"SELECT {_ACCOUNT}, t.csrf_token, t.expires_at FROM sessions t"  # noqa: S608 -- constants
            " JOIN staff s ON s.id = t.staff_id"
            " WHERE t.token_hash = :hash AND t.expires_at > :now AND s.active"
        ),
        {"hash": token_hash, "now": now},
    )
    row = found.one_or_none()
    return None if row is None else Session(_account(row), row.csrf_token, row.expires_at)


async def by_api_token(db: AsyncConnection, token_hash: bytes) -> Session | None:
    """The active account of an API token that is not revoked."""
    found = await db.execute(
        text(
            f"SELECT {_ACCOUNT} FROM api_tokens t JOIN staff s ON s.id = t.staff_id"  # noqa: S608
            " WHERE t.token_hash = :hash AND t.revoked_at IS NULL AND s.active"
        ),
        {"hash": token_hash},
    )
    row = found.one_or_none()
    return None if row is None else Session(_account(row), None, None)


async def password_of(db: AsyncConnection, username: str) -> tuple[int, str] | None:
    """Id and verifier of an active account that has a password."""
    found = await db.execute(
        text(
            "SELECT id, password_hash FROM staff"
            " WHERE username = :username AND active AND password_hash IS NOT NULL"
        ),
        {"username": username},
    )
    row = found.one_or_none()
    return None if row is None else (int(row.id), str(row.password_hash))


async def page(db: AsyncConnection, after: int, limit: int) -> list[Account]:
    found = await db.execute(
        text(f"SELECT {_ACCOUNT} FROM staff s WHERE s.id > :after ORDER BY s.id LIMIT :limit"),  # noqa: S608
        {"after": after, "limit": limit},
    )
    return [_account(row) for row in found]


async def get(db: AsyncConnection, staff_id: int) -> Account | None:
    found = await db.execute(
        text(f"SELECT {_ACCOUNT} FROM staff s WHERE s.id = :id"),  # noqa: S608
        {"id": staff_id},
    )
    row = found.one_or_none()
    return None if row is None else _account(row)


async def id_of(db: AsyncConnection, username: str) -> int:
    """The id of an account that exists."""
    found = await db.execute(
        text("SELECT id FROM staff WHERE username = :username"), {"username": username}
    )
    return int(found.scalar_one())


async def add(
    db: AsyncConnection, username: str, display_name: str, password_hash: str | None
) -> int | None:
    """The new account's id; None when the user name is taken."""
    found = await db.execute(
        text(
            "INSERT INTO staff (username, display_name, password_hash)"
            " VALUES (:username, :display_name, :password_hash)"
            " ON CONFLICT (username) DO NOTHING RETURNING id"
        ),
        {"username": username, "display_name": display_name, "password_hash": password_hash},
    )
    return found.scalar_one_or_none()


async def change(db: AsyncConnection, staff_id: int, changes: dict[str, Any]) -> None:
    """Set ``display_name``, ``active`` and ``password_hash`` where given (not None)."""
    await db.execute(
        text(
            "UPDATE staff SET display_name = COALESCE(:display_name, display_name),"
            " active = COALESCE(:active, active),"
            " password_hash = COALESCE(:password_hash, password_hash) WHERE id = :id"
        ),
        {"display_name": None, "active": None, "password_hash": None, **changes, "id": staff_id},
    )


async def set_grants(db: AsyncConnection, staff_id: int, grants: list[Grant]) -> None:
    """Replace all grants of an account."""
    await db.execute(text("DELETE FROM staff_grants WHERE staff_id = :id"), {"id": staff_id})
    for grant in grants:
        await db.execute(
            text("INSERT INTO staff_grants VALUES (:id, :role, :exam) ON CONFLICT DO NOTHING"),
            {"id": staff_id, "role": grant.role.value, "exam": grant.exam_id},
        )


async def other_admins(db: AsyncConnection, staff_id: int) -> int:
    """How many active accounts besides this one administer all exams."""
    found = await db.execute(
        text(
            "SELECT count(*) FROM staff s JOIN staff_grants g ON g.staff_id = s.id"
            " WHERE s.active AND g.role = 'admin' AND g.exam_id IS NULL AND s.id <> :id"
        ),
        {"id": staff_id},
    )
    return int(found.scalar_one())


async def open_session(
    db: AsyncConnection, token_hash: bytes, staff_id: int, csrf: str, expires_at: datetime
) -> None:
    """Also forgets sessions that are over."""
    await db.execute(text("DELETE FROM sessions WHERE expires_at < now()"))
    await db.execute(
        text(
            "INSERT INTO sessions (token_hash, staff_id, csrf_token, expires_at)"
            " VALUES (:hash, :staff_id, :csrf, :expires_at)"
        ),
        {"hash": token_hash, "staff_id": staff_id, "csrf": csrf, "expires_at": expires_at},
    )


async def close_session(db: AsyncConnection, token_hash: bytes) -> None:
    await db.execute(text("DELETE FROM sessions WHERE token_hash = :hash"), {"hash": token_hash})


async def close_sessions_of(db: AsyncConnection, staff_id: int) -> None:
    await db.execute(text("DELETE FROM sessions WHERE staff_id = :id"), {"id": staff_id})


async def grants_of(db: AsyncConnection, staff_ids: list[int]) -> dict[int, frozenset[Grant]]:
    """What active accounts may do; those that are not active are absent."""
    found = await db.execute(
        text(f"SELECT {_ACCOUNT} FROM staff s WHERE s.id = ANY(:ids) AND s.active"),  # noqa: S608
        {"ids": staff_ids},
    )
    return {account.id: frozenset(account.grants) for account in map(_account, found)}


async def sessions_alive(db: AsyncConnection, token_hashes: list[bytes]) -> frozenset[bytes]:
    """Those of the sessions that nobody ended and that have not ended by themselves."""
    found = await db.execute(
        text(
            "SELECT token_hash FROM sessions WHERE token_hash = ANY(:hashes) AND expires_at > now()"
        ),
        {"hashes": token_hashes},
    )
    return frozenset(bytes(row.token_hash) for row in found)


async def use_bootstrap_link(db: AsyncConnection, token_hash: bytes) -> bool:
    """True for the first use of that link, ever."""
    found = await db.execute(
        text(
            "INSERT INTO bootstrap_links (token_hash) VALUES (:hash)"
            " ON CONFLICT DO NOTHING RETURNING 1"
        ),
        {"hash": token_hash},
    )
    return found.scalar_one_or_none() is not None


async def add_token(db: AsyncConnection, staff_id: int, label: str, token_hash: bytes) -> int:
    found = await db.execute(
        text(
            "INSERT INTO api_tokens (staff_id, label, token_hash)"
            " VALUES (:staff_id, :label, :hash) RETURNING id"
        ),
        {"staff_id": staff_id, "label": label, "hash": token_hash},
    )
    return int(found.scalar_one())


async def tokens_of(db: AsyncConnection, staff_id: int) -> list[dict[str, Any]]:
    """Own tokens that are not revoked, without their secrets."""
    found = await db.execute(
        text(
            "SELECT id, label, created_at FROM api_tokens"
            " WHERE staff_id = :id AND revoked_at IS NULL ORDER BY id LIMIT 1000"
        ),
        {"id": staff_id},
    )
    return [dict(row) for row in found.mappings()]


async def revoke_token(db: AsyncConnection, staff_id: int, token_id: int) -> bool:
    found = await db.execute(
        text(
            "UPDATE api_tokens SET revoked_at = now()"
            " WHERE id = :id AND staff_id = :staff_id AND revoked_at IS NULL RETURNING 1"
        ),
        {"id": token_id, "staff_id": staff_id},
    )
    return found.scalar_one_or_none() is not None


def _account(row: Any) -> Account:
    grants = tuple(Grant(Role(role), exam) for role, exam in row.grants)
    return Account(int(row.id), row.username, row.display_name, bool(row.active), grants)
