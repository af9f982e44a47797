"""NOTIFY and LISTEN between replicas. One may be lost: a slow sweep heals that."""

from collections.abc import AsyncIterator

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.errors import DatabaseUnavailable

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
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            yield LISTENING
            async for notice in connection.notifies():
                yield notice.payload
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable("the notification connection is lost") from error
