"""The database fixture that other tests trust: fresh for each test, shared by all workers."""

import socket
import struct
import time

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support import postgres

PROTOCOL = 196_608  # 3.0
AUTHENTICATION_TIMEOUT_SECONDS = 60


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_database_of_its_own(pg_dsn: str, turn: int) -> None:
    with psycopg.connect(pg_dsn) as connection:
        connection.execute("CREATE TABLE mine (turn int)")
        connection.execute("INSERT INTO mine VALUES (%s)", [turn])
        rows = connection.execute("SELECT turn FROM mine").fetchall()

    assert rows == [(turn,)]


def test_a_connection_left_open_does_not_keep_the_database(pg_server: str) -> None:
    with postgres.fresh_database(pg_server) as dsn:
        left_open = psycopg.connect(dsn)
    left_open.close()

    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(dsn)


class GivenUp:
    """A connection that stopped in the middle of signing in, and that only the collector finds."""

    def __init__(self, dsn: str) -> None:
        parts = conninfo_to_dict(dsn)
        self.socket = socket.create_connection((str(parts["host"]), int(str(parts["port"]))))
        said = f"user\0{parts['user']}\0database\0{parts['dbname']}\0\0".encode()
        self.socket.sendall(struct.pack("!ii", len(said) + 8, PROTOCOL) + said)
        assert self.socket.recv(1) == b"R", "asked who it is"
        self.itself = self

    def __del__(self) -> None:
        self.socket.close()


def test_a_sign_in_that_was_given_up_does_not_keep_the_database(pg_server: str) -> None:
    with postgres.fresh_database(pg_server) as dsn:
        GivenUp(dsn)
        began = time.monotonic()
    assert time.monotonic() - began < AUTHENTICATION_TIMEOUT_SECONDS / 2


@pytest.mark.parametrize(
    "dsn",
    ["postgresql://me:p%40ss@127.0.0.1:5433/old", "host=127.0.0.1 port=5433 user=me password=p@ss"],
)
def test_with_database_keeps_all_but_the_name(dsn: str) -> None:
    assert postgres.with_database(dsn, "new") == "postgresql://me:p%40ss@127.0.0.1:5433/new"
