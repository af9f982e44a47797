"""Brings a database to the schema this version needs; safe to run by several replicas at once.

An advisory lock lets one of them work while the others wait and then find nothing to do.
"""

import re
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, pool, text

from coordinator.errors import NotYet, StartFailed

_LOCK = 7_305_480_011
# libpq tells no code for a connection that was not made, only words.
_AWAY = re.compile(
    r"refused|resolve host|translate host|time(d )?out|unreachable|no route|reset by peer"
    r"|closed the connection|is the server running|starting up|shutting down|recovery mode"
    r"|not yet accepting|too many clients|connection slots",
    re.IGNORECASE,
)
_FOLDER = Path(__file__).parent / "migrations"


def upgrade(dsn: str) -> None:
    """Migrate the database behind a libpq DSN or URL. Raises StartFailed in words."""
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(dsn, connect_timeout=5),
        poolclass=pool.NullPool,
    )
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except psycopg.Error as error:
        raise unreachable(error) from error
    except Exception as error:
        if isinstance(error.__cause__, psycopg.OperationalError):
            raise unreachable(error.__cause__) from error
        raise
    finally:
        engine.dispose()


def check(connection: Connection) -> None:
    """Raises NotYet for a schema that is still to be migrated, StartFailed for a newer one."""
    context = MigrationContext.configure(connection, opts={"version_table": "schema_version"})
    current, known = context.get_current_revision(), ScriptDirectory.from_config(_config())
    if current == newest():
        return
    if current is None or current in {version.revision for version in known.walk_revisions()}:
        raise NotYet(
            "the database's schema is not this version's: run `python -m coordinator migrate`",
            exit_code=4,
        )
    raise StartFailed(
        f"the database's schema {current} is a newer version's: run that version",
        exit_code=4,
    )


def newest() -> str:
    """The newest schema version."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise StartFailed("the package holds no migrations; install it again")
    return head


def unreachable(error: BaseException) -> StartFailed:
    """In one line what PostgreSQL or the network said, and what to do.

    NotYet where the server or the way to it may come; a wrong name or password never does.
    """
    said = str(getattr(error, "orig", None) or error).strip()
    kind = NotYet if _AWAY.search(said) else StartFailed
    return kind(
        f"PostgreSQL does not answer: {said.splitlines()[0] if said else 'no reason given'};"
        " check MEDXAMION_COORDINATOR_DATABASE_URL and that the server runs",
        exit_code=3,
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
