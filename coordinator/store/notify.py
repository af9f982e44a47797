"""NOTIFY and LISTEN between replicas. One may be lost: a slow sweep heals that."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.errors import DatabaseUnavailable

# A server that is gone without a word is noticed within seconds, not after the kernel's minutes.
KEEPALIVE: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
CHANNEL = "medxamion_coordinator"
LISTENING = ""


async def send(db: AsyncConnection, payloads: list[str]) -> None:
    """One statement for any number of notices; outside of any other transaction."""
    await db.execute(
        text("SELECT pg_notify(:channel, p) FROM unnest(CAST(:payloads AS text[])) AS n (p)"),
        {"channel": CHANNEL, "payloads": payloads},
    )


async def listen(dsn: str, connect_timeout_seconds: int) -> AsyncIterator[str]:
    """Payloads as they arrive; the first is ``LISTENING``, said once nothing is missed any more."""
    try:
        connection = await psycopg.AsyncConnection.connect(
            dsn,
            autocommit=True,
            connect_timeout=connect_timeout_seconds,
            application_name="medxamion-coordinator-listen",
            **KEEPALIVE,
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            yield LISTENING
            async for notice in connection.notifies():
                yield notice.payload
    except psycopg.Error as error:
        raise DatabaseUnavailable("the notification connection is lost") from error
