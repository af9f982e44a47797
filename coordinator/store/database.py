"""The pool to PostgreSQL: bounded, timed, and in one place turned into ``DatabaseUnavailable``.

A lost server makes requests fail in words; SQLAlchemy throws dead connections away, so that the
first request after its return works again.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from coordinator.errors import DatabaseUnavailable
from coordinator.settings import Settings
from coordinator.store.migrate import check, unreachable
from coordinator.store.notify import KEEPALIVE

_AWAY_SECONDS = 1.0
_LOST = "the database does not answer; nothing was changed, try again in a moment"


@dataclass(frozen=True, slots=True)
class Database:
    """``begin`` for one transaction, ``read`` for statements that stand alone."""

    engine: AsyncEngine
    dsn: str = field(repr=False)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Commits at the end, rolls back on any error. Raises DatabaseUnavailable."""
        with _told_as_unavailable():
            async with self.engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Autocommit: no BEGIN and no ROLLBACK around a lone SELECT."""
        with _told_as_unavailable():
            async with self.engine.connect() as plain:
                yield await plain.execution_options(isolation_level="AUTOCOMMIT")

    async def ping(self) -> None:
        """One round trip. Raises DatabaseUnavailable."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def check_schema(self) -> None:
        """Raises NotYet while PostgreSQL is away or to be migrated, StartFailed for all else."""
        try:
            async with self.engine.connect() as connection:
                await connection.run_sync(check)
        except (DBAPIError, psycopg.Error, OSError) as error:
            raise unreachable(error) from error


def open_database(settings: Settings) -> Database:
    """The pool; no connection is made yet."""
    dsn = settings.database_url.get_secret_value()
    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=_Connector(dsn, settings).connect,
        pool_size=settings.pool_size,
        max_overflow=settings.pool_overflow,
        pool_timeout=settings.pool_timeout_seconds,
        pool_recycle=3600,
        # Error messages would repeat names and answers otherwise, and end in the log.
        hide_parameters=True,
    )
    return Database(engine, dsn)


@dataclass(slots=True)
class _Connector:
    """A server that could not be reached is not tried again for a second: requests would queue up
    behind its timeout, also those that can do without it.
    """

    dsn: str = field(repr=False)
    settings: Settings
    _away_until: float = 0.0

    async def connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        if time.monotonic() < self._away_until:
            raise psycopg.OperationalError("PostgreSQL could not be reached a moment ago")
        try:
            return await psycopg.AsyncConnection.connect(
                self.dsn,
                connect_timeout=self.settings.connect_timeout_seconds,
                options=_session_options(self.settings),
                application_name="medxamion-coordinator",
                **KEEPALIVE,
            )
        except psycopg.OperationalError:
            self._away_until = time.monotonic() + _AWAY_SECONDS
            raise


def _session_options(settings: Settings) -> str:
    statement = int(settings.statement_timeout_seconds * 1000)
    return (
        f"-c statement_timeout={statement} -c lock_timeout={statement}"
        " -c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
    )


class _told_as_unavailable:  # noqa: N801 -- reads as the clause it is
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (OperationalError, InterfaceError, PoolTimeout)):
            raise DatabaseUnavailable(_LOST) from error
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise DatabaseUnavailable(_LOST) from error
        if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
            raise DatabaseUnavailable(_LOST) from error
