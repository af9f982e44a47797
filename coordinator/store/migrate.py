"""Brings a database to the schema this version needs; safe to run by several replicas at once.

An advisory lock lets one of them work while the others wait and then find nothing to do.
"""

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, pool, text

from coordinator.errors import StartFailed

_LOCK = 7_305_480_011
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
    except psycopg.OperationalError as error:
        raise StartFailed(unreachable(error), exit_code=3) from error
    except Exception as error:
        if isinstance(error.__cause__, psycopg.OperationalError):
            raise StartFailed(unreachable(error.__cause__), exit_code=3) from error
        raise
    finally:
        engine.dispose()


def is_current(connection: Connection) -> bool:
    """Whether the database stands at the newest version that this code knows."""
    context = MigrationContext.configure(connection, opts={"version_table": "schema_version"})
    return context.get_current_revision() == newest()


def newest() -> str:
    """The newest schema version."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise StartFailed("the package holds no migrations; install it again")
    return head


def unreachable(error: BaseException) -> str:
    """One line: what PostgreSQL or the network said, and what to do."""
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    return (
        f"PostgreSQL does not answer: {said[0] if said else 'no reason given'};"
        " check MEDXAMION_COORDINATOR_DATABASE_URL and that the server runs"
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
