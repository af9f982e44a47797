"""The checker's own SQL against the real schema, and ``examctl verify`` over it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from examctl.main import run
from examctl.verification.checks import verify
from examctl.verification.database import COLUMNS, DeliveryUnknownError, Row, read_stored
from tests.support.transferred import (
    DELIVERY,
    UID,
    Transferred,
    ledger_bytes,
    make_transferred,
)

Connection = psycopg.Connection[Any]
FITTING: dict[str, object] = {
    "text": "x",
    "bigint": 1,
    "integer": 1,
    "boolean": False,
    "jsonb": "{}",
    "bytea": b"x",
    "timestamp with time zone": "2026-01-15T10:00:00Z",
}


@pytest.fixture
def made() -> Transferred:
    return make_transferred()


@pytest.fixture
def database(pg_dsn: str, made: Transferred) -> Iterator[Connection]:
    """The real schema with one transferred delivery in it."""
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        # The rows under test, without the rosters and exams that foreign keys would ask for.
        connection.execute("SET session_replication_role = replica")
        store(connection, made)
        yield connection


def store(connection: Connection, made: Transferred) -> None:
    for table, rows in made.stored.tables.items():
        for row in rows:
            insert(connection, f"result_{table}", {"delivery_id": DELIVERY, **row})
    for row in made.stored.audit_log:
        insert(connection, "audit_log", row)
    transfer = made.stored.transfer
    assert transfer is not None
    names = transfer.__dataclass_fields__
    insert(
        connection,
        "transfers",
        {"delivery_id": DELIVERY, **{name: getattr(transfer, name) for name in names}},
    )
    for (epoch, incarnation), (kid, x) in made.stored.client_keys.items():
        key = {"delivery_id": DELIVERY, "epoch": epoch, "incarnation": incarnation}
        insert(connection, "client_keys", {**key, "kid": kid, "x": x})
    for kid, x in made.stored.signing_keys.items():
        insert(connection, "signing_keys", {"kid": kid, "x": x})
    insert(connection, "deliveries", {"id": DELIVERY, "uid": UID})


def insert(connection: Connection, table: str, row: Row) -> None:
    """A row with what it is about; required columns that the checker never reads get anything."""
    required = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s"
        " AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'",
        (table,),
    ).fetchall()
    whole = {name: FITTING[kind] for name, kind in required} | row
    query = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, whole)),
        sql.SQL(", ").join([sql.Placeholder()] * len(whole)),
    )
    connection.execute(query, list(whole.values()))


def test_rows_are_read_as_they_were_stored(database: Connection, made: Transferred) -> None:
    found = read_stored(database, DELIVERY)
    assert found.tables == made.stored.tables
    assert (found.transfer, found.client_keys) == (made.stored.transfer, made.stored.client_keys)
    assert verify(made.history, found).holds


def test_a_delivery_that_is_not_there_is_told(database: Connection) -> None:
    with pytest.raises(DeliveryUnknownError, match="no delivery 99"):
        read_stored(database, 99)


def test_a_read_only_account_is_enough(database: Connection, pg_dsn: str) -> None:
    with psycopg.connect(pg_dsn, options="-c default_transaction_read_only=on") as connection:
        assert read_stored(connection, DELIVERY).delivery_uid == UID


@pytest.mark.parametrize("table", sorted(COLUMNS))
def test_an_edited_row_in_any_table_is_found(
    database: Connection, made: Transferred, table: str
) -> None:
    key, columns = COLUMNS[table]
    # The last text column of each table, whatever it says.
    kinds = dict(
        database.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s",
            (f"result_{table}",),
        ).fetchall()
    )
    column = [name for name in columns if kinds[name] == "text"][-1]
    database.execute(
        sql.SQL(
            "UPDATE {table} SET {column} = {column} || ' '"
            " WHERE {key} = (SELECT min({key}) FROM {table})"
        ).format(
            table=sql.Identifier(f"result_{table}"),
            column=sql.Identifier(column),
            key=sql.Identifier(key),
        )
    )
    verdict = verify(made.history, read_stored(database, DELIVERY))
    assert not verdict.check("manifest_matches_rows")
    assert not verdict.check("receipt_matches_rows")


def test_the_command_exits_0_only_when_everything_holds(
    database: Connection,
    pg_dsn: str,
    made: Transferred,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(b"".join(ledger_bytes(made.lines)))
    arguments = ["verify", "--ledger", str(ledger), "--database-url", pg_dsn, "-o", "json"]
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True
    assert run(["audit", "verify", "--database-url", pg_dsn]) == 0
    database.execute("DELETE FROM result_answer_revisions WHERE id = 3")
    capsys.readouterr()
    assert run(arguments) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["lost"], said["stored"]) == (1, 14)
    assert run([*arguments, "--delivery", "99"]) == 2


def test_kept_keys_are_believed_instead_of_the_database(
    database: Connection, pg_dsn: str, made: Transferred, tmp_path: Path
) -> None:
    ledger, trust = tmp_path / "ledger.jsonl", tmp_path / "trust.json"
    ledger.write_bytes(b"".join(ledger_bytes(made.lines)))
    arguments = ["verify", "--ledger", str(ledger), "--database-url", pg_dsn]
    arguments += ["--trust", str(trust)]
    (kid, x), *_ = made.stored.signing_keys.items()
    trust.write_text(json.dumps({"issuer": "i", "keys": [{"kid": kid, "x": x}]}))
    assert run(arguments) == 0
    forged = made.stored.client_keys[(2, 3)][1]
    trust.write_text(json.dumps({"issuer": "i", "keys": [{"kid": kid, "x": forged}]}))
    assert run(arguments) == 1
    trust.write_text("{}")
    assert run(arguments) == 2


def test_another_delivery_than_the_ledgers_is_not_in_the_database(
    database: Connection, pg_dsn: str, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text('{"kind": "begin", "delivery_id": 99, "format": 1}\n')
    assert run(["verify", "--ledger", str(ledger), "--database-url", pg_dsn]) == 3


def test_an_audit_log_edited_by_its_owner_is_found(
    database: Connection, pg_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    database.execute("UPDATE audit_log SET actor = 'staff:9' WHERE id = 2")
    assert run(["audit", "verify", "--database-url", pg_dsn]) == 1
    assert "entry 2 was altered" in capsys.readouterr().err
