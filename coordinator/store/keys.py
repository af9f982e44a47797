"""The coordinator's signing keys; private halves arrive and leave sealed."""

from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_LOCK = 7_305_480_013


@dataclass(frozen=True, slots=True)
class StoredKey:
    kid: str
    x: str
    sealed: bytes = field(repr=False)


async def lock(db: AsyncConnection) -> None:
    """Only one replica at a time may make the first key."""
    await db.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


async def all_keys(db: AsyncConnection) -> list[StoredKey]:
    """Every key, the newest first."""
    found = await db.execute(
        text("SELECT kid, x, private_ciphertext FROM signing_keys ORDER BY created_at DESC, kid")
    )
    return [StoredKey(row.kid, row.x, bytes(row.private_ciphertext)) for row in found]


async def add(db: AsyncConnection, key: StoredKey) -> None:
    await db.execute(
        text(
            "INSERT INTO signing_keys (kid, x, private_ciphertext) VALUES (:kid, :x, :sealed)"
            " ON CONFLICT (kid) DO NOTHING"
        ),
        {"kid": key.kid, "x": key.x, "sealed": key.sealed},
    )
