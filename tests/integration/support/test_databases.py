"""The database fixture that other tests trust: fresh for each test, shared by all workers."""

import psycopg
import pytest

from tests.support import postgres


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


@pytest.mark.parametrize(
    "dsn",
    ["postgresql://me:p%40ss@127.0.0.1:5433/old", "host=127.0.0.1 port=5433 user=me password=p@ss"],
)
def test_with_database_keeps_all_but_the_name(dsn: str) -> None:
    assert postgres.with_database(dsn, "new") == "postgresql://me:p%40ss@127.0.0.1:5433/new"
