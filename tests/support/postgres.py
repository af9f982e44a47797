"""One real PostgreSQL for a whole test run, and a fresh migrated database for each test.

The process that was started by hand (under xdist: the controller) owns the run: it names it, and
clears up behind it. The first worker that needs a database starts the server and migrates the
template, under a lock; all others find them there.
"""

import contextlib
import fcntl
import gc
import importlib
import importlib.util
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from examctl.postgres import LocalPostgres
from examctl.postgres_errors import PostgresError

RUN = "MEDXAMION_TEST_RUN"
PREFIX = "medxamion-tests-"
MIGRATIONS = "coordinator.store.migrate"


class Migrations(Protocol):
    def upgrade(self, dsn: str) -> None: ...


def open_run() -> None:
    """Names this run for the workers to come. Its folder is made now, its server when needed."""
    _clear_dead_runs()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    folder.chmod(0o711)  # the server's own uid passes through
    os.environ[RUN] = str(folder)


def close_run() -> None:
    """Ends the server of this run, or drops its template from a server that was lent."""
    folder = Path(os.environ.pop(RUN))
    lent = os.environ.get("DATABASE_URL")
    if lent and (folder / "migrated").exists():
        drop_database(lent, template_name(folder))
    _clear(folder)


def server_dsn() -> str:
    """A DSN with the right to create databases: DATABASE_URL, else this run's own server.

    Raises PostgresError that says how to get one.
    """
    folder = Path(os.environ[RUN])
    with _lock(folder):
        dsn = _lent_server() or _own_server(folder).start()
        if not (folder / "migrated").exists():
            _make_template(dsn, template_name(folder))
            (folder / "migrated").touch()
    return dsn


@contextlib.contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """A database of its own, cloned from the migrated template; gone afterwards."""
    name = f"medxamion_test_{secrets.token_hex(8)}"
    create_database(server, name, template=template_name(Path(os.environ[RUN])))
    try:
        yield with_database(server, name)
    finally:
        drop_database(server, name)


def create_database(server: str, name: str, *, template: str = "template1") -> None:
    command = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    _execute(server, command.format(sql.Identifier(name), sql.Identifier(template)))


def drop_database(server: str, name: str) -> None:
    """Also while connections to it are open."""
    command = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SET statement_timeout = '2s'")
        try:
            connection.execute(command)
        except psycopg.errors.QueryCanceled:
            # A connection that was given up while it signed in holds up every drop for a minute,
            # until its socket is closed: by whoever forgot it, when the collector comes.
            gc.collect()
            connection.execute("RESET statement_timeout")
            connection.execute(command)


def with_database(dsn: str, name: str) -> str:
    """The same server, another database. Understands both forms of a DSN, answers in a URL."""
    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    user, password = parts.get("user", ""), parts.get("password", "")
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    address = f"{parts.get('host', '127.0.0.1')}:{parts.get('port', '5432')}"
    return f"postgresql://{login}{address}/{name}"


def template_name(run: Path) -> str:
    """Another run may have another schema, so each has a template of its own."""
    return run.name.replace("-", "_")


def _own_server(run: Path) -> LocalPostgres:
    return LocalPostgres(run / "postgres", durable=False)


def _lent_server() -> str | None:
    dsn = os.environ.get("DATABASE_URL")
    if not dsn:
        return None
    try:
        psycopg.connect(dsn, connect_timeout=10).close()
    except psycopg.Error as error:
        raise PostgresError(
            f"DATABASE_URL names a PostgreSQL that does not answer: {error}\n"
            "Mend it, or unset it: the tests then start a server of their own."
        ) from error
    return dsn


def _make_template(server: str, name: str) -> None:
    drop_database(server, name)  # a half-made one of a migration that failed
    create_database(server, name)
    if importlib.util.find_spec(MIGRATIONS):
        migrations = cast(Migrations, importlib.import_module(MIGRATIONS))
        migrations.upgrade(with_database(server, name))


def _execute(server: str, command: sql.Composed) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(command)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _clear(folder: Path) -> None:
    _own_server(folder).stop()
    shutil.rmtree(folder, ignore_errors=True)


def _clear_dead_runs() -> None:
    """A run that was killed could not clear up; its name holds the pid of its owner."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if folder.stat().st_uid == os.geteuid() and not psutil.pid_exists(int(owner)):
            _clear(folder)
