"""LocalPostgres: a real PostgreSQL on this machine, for one-machine exams and for tests.

It outlives whoever started it (an exam's results must not hang on a terminal), and whoever comes
next adopts it. It listens on loopback alone and asks for a password that lies in a 0600 file.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT, Signals

import psutil
import psycopg
from psycopg import sql

from examctl import ports
from examctl import postgres_binaries as binaries
from examctl.postgres_errors import (
    PostgresDiskFullError,
    PostgresFolderError,
    PostgresStartError,
)
from examctl.postmaster import (
    HOST,
    explain,
    find_postmaster,
    is_running,
    port_taken,
)

NAME = "medxamion"  # of the database and of its owner
FREE_BYTES_NEEDED = 256 * 1024 * 1024
POLL_SECONDS = 0.02
# sun_path holds 107 bytes; PostgreSQL appends "/.s.PGSQL.65535".
LONGEST_SOCKET_FOLDER = 90
LOG_BYTES_KEPT = 5 * 1024 * 1024
# The shell prints the server's pid and ends, so the server is init's to reap: it is nobody's
# child, and the one who started it may go or stay.
DETACH = '"$@" </dev/null >&2 & echo $!'

SETTINGS = {
    "listen_addresses": HOST,
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "cluster_name": NAME,
    "unix_socket_permissions": "0700",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# For clusters that die with the test run: nothing is waited for.
DISPOSABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class LocalPostgres:
    """One PostgreSQL cluster in one folder, and the server that runs on it.

    Any number of objects, in any number of processes, may stand for the same folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        durable: bool = True,
        start_timeout_seconds: float = 60.0,
    ) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self._port = port
        self._durable = durable
        self._start_timeout_seconds = start_timeout_seconds

    def start(self) -> str:
        """Adopts the server that runs here, or starts one (making the cluster at first).

        Returns the DSN. Raises PostgresError with words for a person.
        """
        self._prepare_folder()
        with self._lock():
            if (running := find_postmaster(self.data)) is not None:
                self._await_adopted(running.pid)
            else:
                programs = binaries.find_programs()
                self._ensure_cluster(programs)
                self._launch(programs)
            self._ensure_database()
        return self.dsn

    def adopt(self) -> str | None:
        """The DSN of the server that already runs here; None, and nothing done, without one."""
        return self.dsn if self.is_alive() else None

    def stop(self, timeout_seconds: float = 30.0) -> None:
        """Ends the server cleanly: sessions are cut off, every commit is kept. Idempotent."""
        if not self.folder.is_dir():
            return
        with self._lock():
            if self._signal(SIGINT, timeout_seconds) or self._signal(SIGQUIT, timeout_seconds):
                return
            raise PostgresStartError(
                f"PostgreSQL (process {self.pid}) does not end. Its log is {self.log}."
            )

    def kill(self) -> None:
        """Ends the server as a power cut would, for tests of what survives that."""
        self._signal(SIGKILL, 10.0)

    def is_alive(self) -> bool:
        """Whether a server runs here and takes connections."""
        postmaster = find_postmaster(self.data)
        return postmaster is not None and postmaster.ready

    @property
    def pid(self) -> int | None:
        postmaster = find_postmaster(self.data)
        return postmaster.pid if postmaster else None

    @property
    def dsn(self) -> str:
        """`postgresql://…` of the product's database on the running server."""
        postmaster = find_postmaster(self.data)
        if postmaster is None:
            raise PostgresStartError(f"No PostgreSQL runs in {self.folder}.")
        return self._dsn(postmaster.port, NAME)

    def _dsn(self, port: int, database: str) -> str:
        password = self._password_file.read_text().strip()
        return f"postgresql://{NAME}:{password}@{HOST}:{port}/{database}"

    @property
    def _password_file(self) -> Path:
        return self.folder / "password"

    @property
    def _port_file(self) -> Path:
        return self.folder / "port"

    def _prepare_folder(self) -> None:
        uid = binaries.server_uid()
        try:
            # The server's uid passes through to `data` and reads nothing else.
            self.folder.mkdir(mode=0o700 if uid is None else 0o711, parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise PostgresFolderError(
                f"PostgreSQL's folder {self.folder} cannot be written ({error.strerror}). "
                "Name another folder, or make this one yours."
            ) from error
        if not binaries.reachable(self.folder, uid):
            raise PostgresFolderError(
                f"PostgreSQL runs as uid {uid} here and cannot reach {self.folder}, because a "
                f"folder above it is closed to others. Name one such as "
                f"{binaries.SYSTEM_FOLDER}."
            )

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One start or stop at a time; what the file system refuses becomes words."""
        try:
            with (self.folder / "lock").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise explain(str(error), self.folder) from error

    def _ensure_cluster(self, programs: binaries.Programs) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            self._make_cluster(programs)
            return
        if found != programs.major:
            raise PostgresFolderError(
                f"{self.data} was made by PostgreSQL {found}, and this is {programs.major}. "
                f"Move {self.folder} aside for a new one, or set DATABASE_URL to a server of "
                f"version {found}."
            )

    def _make_cluster(self, programs: binaries.Programs) -> None:
        """Makes it aside and renames, so that an interrupted initdb leaves nothing behind."""
        self._require_space()
        staging = self.folder / "data.new"
        shutil.rmtree(staging, ignore_errors=True)
        password = secrets.token_urlsafe(24)
        write_private(self._password_file, password)
        with self._handed_over(password) as password_file:
            self._initdb(programs, staging, password_file)
        if (uid := binaries.server_uid()) is not None:
            give_tree(staging, uid)
        staging.rename(self.data)

    @contextlib.contextmanager
    def _handed_over(self, password: str) -> Iterator[Path]:
        """The password in a file that initdb's uid may read, while it does."""
        path = self.folder / "initdb.password"
        write_private(path, password, owner=binaries.initdb_uid())
        try:
            yield path
        finally:
            path.unlink()

    def _initdb(self, programs: binaries.Programs, data: Path, password_file: Path) -> None:
        uid = binaries.initdb_uid()
        data.mkdir(mode=0o700)
        if uid is not None:
            os.chown(data, uid, uid)
        command = [
            programs.initdb,
            f"--pgdata={data}",
            f"--username={NAME}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            *([] if self._durable else ["--no-sync"]),
        ]
        done = binaries.run_as(uid, command, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise explain(done.stderr, self.folder)

    def _launch(self, programs: binaries.Programs) -> None:
        """Starts a postmaster; again while backends of a killed one still hold its memory."""
        deadline = time.monotonic() + self._start_timeout_seconds
        while True:
            self._drop_stale_locks()
            port = self._choose_port()
            said = self._spawn(programs, port)
            if said is None:
                self._port_file.write_text(str(port))
                return
            busy = "pre-existing shared memory block" in said
            lost_port = "Address already in use" in said and self._port is None
            if not (busy or lost_port) or time.monotonic() > deadline:
                raise explain(said, self.folder, port)
            time.sleep(POLL_SECONDS)

    def _spawn(self, programs: binaries.Programs, port: int) -> str | None:
        """Starts the server as nobody's child; returns what it said if it ended instead."""
        self._trim_log()
        with self.log.open("ab") as log:
            self.log.chmod(0o600)
            before = log.seek(0, os.SEEK_END)
            launched = binaries.run_as(
                binaries.server_uid(),
                ["/bin/sh", "-c", DETACH, "sh", *self._command(programs, port)],
                stderr=log,
            )
        return None if self._became_ready(int(launched.stdout)) else self._logged_since(before)

    def _command(self, programs: binaries.Programs, port: int) -> list[str]:
        socket_folder = str(self.data) if len(str(self.data)) <= LONGEST_SOCKET_FOLDER else ""
        settings = {
            **SETTINGS,
            **(DURABLE if self._durable else DISPOSABLE),
            "port": str(port),
            "unix_socket_directories": socket_folder,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [programs.postgres, "-D", str(self.data), *options]

    def _await_adopted(self, pid: int) -> None:
        if not self._became_ready(pid):
            raise explain(self._logged_since(0), self.folder)

    def _became_ready(self, pid: int) -> bool:
        """Waits until the server takes connections; False when it ended instead."""
        deadline = time.monotonic() + self._start_timeout_seconds
        while is_running(pid):
            if self.is_alive():
                return True
            if time.monotonic() > deadline:
                raise PostgresStartError(
                    f"PostgreSQL (process {pid}) is not ready after "
                    f"{self._start_timeout_seconds:.0f} s. Its log is {self.log}."
                )
            time.sleep(POLL_SECONDS)
        return False

    def _ensure_database(self) -> None:
        postmaster = find_postmaster(self.data)
        if postmaster is None:
            raise explain(self._logged_since(0), self.folder)
        maintenance = self._dsn(postmaster.port, "postgres")
        try:
            with psycopg.connect(maintenance, autocommit=True, connect_timeout=10) as connection:
                query = "SELECT 1 FROM pg_database WHERE datname = %s"
                if connection.execute(query, [NAME]).fetchone() is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
        except psycopg.Error as error:
            raise PostgresStartError(
                f"PostgreSQL in {self.folder} runs but does not serve: {error}. "
                f"Does {self._password_file} belong to this cluster?"
            ) from error

    def _choose_port(self) -> int:
        if self._port is not None:
            if not ports.is_free(self._port):
                raise port_taken(self._port)
            return self._port
        # The same port as last time, so that clients find the server again.
        with contextlib.suppress(OSError, ValueError):
            remembered = int(self._port_file.read_text())
            if ports.is_free(remembered):
                return remembered
        return ports.free_ports(1)[0]

    def _drop_stale_locks(self) -> None:
        """Removes lock files whose pid is now another process's, or a zombie's.

        PostgreSQL takes over a dead pid's files itself, but asks no more than whether the pid
        exists. Called when no server runs on `data`; orphaned backends still stop a new one by
        the shared memory they hold.
        """
        for path in (self.data / "postmaster.pid", *self.data.glob(".s.PGSQL.*.lock")):
            with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
                if psutil.pid_exists(int(path.read_text().splitlines()[0])):
                    path.unlink()

    def _signal(self, signal: Signals, timeout_seconds: float) -> bool:
        """Signals the server and waits; True when it is gone."""
        postmaster = find_postmaster(self.data)
        if postmaster is None:
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(postmaster.pid, signal)
        # Not psutil's wait: where init reaps late, it waits for the zombie to go.
        deadline = time.monotonic() + timeout_seconds
        while is_running(postmaster.pid) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return not is_running(postmaster.pid)

    def _require_space(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < FREE_BYTES_NEEDED:
            raise PostgresDiskFullError(
                f"{self.folder} has {free // 2**20} MB free, and PostgreSQL needs "
                f"{FREE_BYTES_NEEDED // 2**20} MB to begin with. Make room, or name another folder."
            )

    def _trim_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_BYTES_KEPT:
                self.log.replace(self.log.with_suffix(".log.1"))

    def _logged_since(self, offset: int) -> str:
        with self.log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")


def cluster_folder(home: Path) -> Path:
    """Where the cluster of everything in `home` lies: inside, where the server can reach that.

    Started by root for a home below root's own, it lies in a system folder, named after the home.
    """
    inside = home.resolve() / "postgres"
    if binaries.reachable(inside, binaries.server_uid()):
        return inside
    name = hashlib.sha256(str(inside).encode()).hexdigest()[:16]
    return binaries.SYSTEM_FOLDER / "clusters" / name


def write_private(path: Path, text: str, owner: int | None = None) -> None:
    """Writes a 0600 file whole or not at all."""
    staging = path.with_name(f"{path.name}.new")
    staging.unlink(missing_ok=True)
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        if owner is not None:
            os.fchown(file.fileno(), owner, owner)
    staging.replace(path)


def give_tree(folder: Path, uid: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)
