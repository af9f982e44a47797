"""The PostgreSQL behind a home: somebody's own by DATABASE_URL, else one that we keep running."""

import asyncio

import psycopg
import structlog

from examctl.errors import ExamctlError, UnreachableError
from examctl.machine.options import Options, postgres_folder
from examctl.postgres import LocalPostgres

log = structlog.get_logger(__name__)
_CHECK_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 15.0


def own_server(options: Options) -> LocalPostgres:
    """The server that belongs to the home."""
    return LocalPostgres(postgres_folder(options.home), port=options.postgres_port)


def check_given(dsn: str) -> None:
    """Raises UnreachableError saying what PostgreSQL or the network said."""
    try:
        with psycopg.connect(dsn, connect_timeout=5, autocommit=True) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        said = str(error).strip().splitlines()
        raise UnreachableError(
            f"the PostgreSQL of DATABASE_URL does not answer: {said[0] if said else 'no reason'}",
            "set DATABASE_URL right, or unset it: then examctl runs a PostgreSQL of its own",
        ) from error


async def keep_running(server: LocalPostgres) -> None:
    """Start it again whenever it is gone; what was committed is there again after its recovery."""
    failures = 0
    while True:
        await asyncio.sleep(_CHECK_SECONDS)
        if await asyncio.to_thread(server.is_alive):
            failures = 0
            continue
        log.warning("postgres.ended", failures=failures)
        try:
            await asyncio.to_thread(server.start)
        except ExamctlError as error:
            failures += 1
            log.error("postgres.not_started", reason=error.message)
            await asyncio.sleep(min(_LONGEST_BACKOFF_SECONDS, 0.5 * 2.0**failures))
