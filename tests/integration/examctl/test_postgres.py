"""LocalPostgres against the real server programs: it starts, outlives, is adopted, and ends."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from examctl import postgres_binaries
from examctl.postgres import LocalPostgres, cluster_folder
from examctl.postgres_errors import (
    PostgresDiskFullError,
    PostgresFolderError,
    PostgresPortError,
    PostgresStartError,
)
from tests.support.waiting import until

# A starter that says its DSN and then stays until it is killed.
STARTER = """
import pathlib, signal, sys
from examctl.postgres import LocalPostgres, cluster_folder
print(LocalPostgres(pathlib.Path(sys.argv[1]), durable=False).start(), flush=True)
signal.pause()
"""


@pytest.fixture
def server(open_folder: Path) -> Iterator[LocalPostgres]:
    server = LocalPostgres(open_folder / "postgres", durable=False)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def running() -> Iterator[LocalPostgres]:
    """One started server for the tests that only look at it."""
    with tempfile.TemporaryDirectory(prefix="medxamion-") as folder:
        Path(folder).chmod(0o711)
        server = LocalPostgres(Path(folder) / "postgres", durable=False)
        server.start()
        yield server
        server.stop()


def write_row(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept (answer text)")
        connection.execute("INSERT INTO kept VALUES ('A')")


def read_rows(dsn: str) -> list[tuple[str]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT answer FROM kept").fetchall()


PRIVATE = {"data": 0o700, "password": 0o600, "postgres.log": 0o600}


def test_it_serves_a_database_of_the_shipped_version(running: LocalPostgres) -> None:
    with psycopg.connect(running.dsn) as connection:
        version = connection.info.server_version // 10000

    assert running.is_alive()
    assert str(version) == postgres_binaries.find_programs().major


def test_it_listens_on_loopback_alone(running: LocalPostgres) -> None:
    listening = psutil.Process(running.pid).net_connections("tcp")

    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}


def test_it_does_not_run_as_root(running: LocalPostgres) -> None:
    assert psutil.Process(running.pid).uids().effective != 0


def test_it_has_a_session_of_its_own(running: LocalPostgres) -> None:
    assert running.pid is not None
    assert os.getsid(running.pid) != os.getsid(0)


def test_files_are_closed_to_others(running: LocalPostgres) -> None:
    modes = {name: stat.S_IMODE((running.folder / name).stat().st_mode) for name in PRIVATE}

    assert modes == PRIVATE


def test_a_wrong_password_is_refused(running: LocalPostgres) -> None:
    password = (running.folder / "password").read_text()

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(running.dsn.replace(password, "wrong"))


def test_a_second_start_adopts_the_running_server(running: LocalPostgres) -> None:
    another = LocalPostgres(running.folder)

    assert another.adopt() == running.dsn
    assert another.start() == running.dsn
    assert another.pid == running.pid


def test_adopting_nothing_changes_nothing(server: LocalPostgres) -> None:
    assert server.adopt() is None
    assert not server.folder.exists()


def test_sigkill_of_the_starter_leaves_it_running(server: LocalPostgres) -> None:
    command = [sys.executable, "-c", STARTER, str(server.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        dsn = starter.stdout.readline().strip()
        starter.kill()

    assert starter.returncode == -signal.SIGKILL
    assert server.adopt() == dsn
    write_row(dsn)


def test_stop_ends_it_and_keeps_what_was_committed(server: LocalPostgres) -> None:
    dsn = server.start()
    write_row(dsn)
    server.stop()
    server.stop()

    assert not server.is_alive()
    assert server.pid is None
    assert server.start() == dsn
    assert read_rows(dsn) == [("A",)]


def test_committed_rows_survive_the_death_of_the_server(open_folder: Path) -> None:
    server = LocalPostgres(open_folder / "postgres")
    dsn = server.start()
    try:
        write_row(dsn)
        assert settings(dsn) == {"fsync": "on", "synchronous_commit": "on"}
        server.kill()
        assert not server.is_alive()
        assert server.start() == dsn
        assert read_rows(dsn) == [("A",)]
    finally:
        server.stop()


def settings(dsn: str) -> dict[str, str]:
    query = "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit')"
    with psycopg.connect(dsn) as connection:
        return dict(connection.execute(query).fetchall())


def test_a_pid_file_that_names_another_process_is_stale(server: LocalPostgres) -> None:
    """After a crash of the machine the old number may be anybody's."""
    dsn = server.start()
    pid_file = server.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.kill()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    assert server.pid is None
    assert server.start() == dsn


def test_an_interrupted_initdb_leaves_nothing_in_the_way(server: LocalPostgres) -> None:
    half = server.folder / "data.new"
    half.mkdir(parents=True)
    server.folder.chmod(0o711)
    (half / "PG_VERSION").write_text("18\n")

    assert server.start()


def test_a_taken_port_is_named(open_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = LocalPostgres(open_folder / "postgres", port=port, durable=False)

        with pytest.raises(PostgresPortError, match=f"Port {port} .* is taken"):
            server.start()


def test_a_remembered_port_that_was_taken_meanwhile_is_changed(server: LocalPostgres) -> None:
    first = server.start()
    port = int((server.folder / "port").read_text())
    server.stop()

    with socket.create_server(("127.0.0.1", port)):
        assert server.start() != first


def test_a_file_in_the_folders_place_is_named(open_folder: Path) -> None:
    (open_folder / "file").write_text("")

    with pytest.raises(PostgresFolderError, match="cannot be written"):
        LocalPostgres(open_folder / "file" / "postgres").start()


def test_a_cluster_of_another_version_is_left_alone(server: LocalPostgres) -> None:
    server.data.mkdir(parents=True)
    server.folder.chmod(0o711)
    (server.data / "PG_VERSION").write_text("9\n")

    with pytest.raises(PostgresFolderError, match="made by PostgreSQL 9"):
        server.start()


def test_a_full_disk_is_named_before_anything_is_made(
    server: LocalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("examctl.postgres.FREE_BYTES_NEEDED", 2**62)

    with pytest.raises(PostgresDiskFullError, match="MB free"):
        server.start()
    assert not server.data.exists()


def test_a_damaged_cluster_is_explained_in_the_servers_words(server: LocalPostgres) -> None:
    server.start()
    server.stop()
    (server.data / "global" / "pg_control").unlink()

    with pytest.raises(PostgresStartError, match="pg_control"):
        server.start()


def test_without_a_server_there_is_no_dsn(server: LocalPostgres) -> None:
    with pytest.raises(PostgresStartError, match="No PostgreSQL runs"):
        _ = server.dsn


def test_backends_of_a_killed_server_do_not_block_the_next(server: LocalPostgres) -> None:
    dsn = server.start()
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT 1")
        server.kill()
        assert server.start() == dsn
        connection.close()

    assert until(server.is_alive)


def test_a_home_that_the_server_reaches_holds_its_cluster(open_folder: Path) -> None:
    assert cluster_folder(open_folder) == open_folder.resolve() / "postgres"


def test_a_closed_home_never_keeps_the_server_out(tmp_path: Path) -> None:
    home = tmp_path / "closed"
    home.mkdir(mode=0o700)
    folder = cluster_folder(home)

    assert postgres_binaries.reachable(folder, postgres_binaries.server_uid())
    assert folder == cluster_folder(home)
    assert folder != cluster_folder(tmp_path / "another")
