"""Stands in the middle of a final transfer, where one of its states begins in PostgreSQL.

A trigger waits there for an advisory lock that the test holds, so the coordinator's transaction is
open and the exam-client waits for its reply for as long as the test likes. What is killed meanwhile
was killed in that state, on any machine.
"""

import contextlib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import LiteralString

import psycopg
from psycopg import sql

from tests.support.waiting import until

_FIRST_LOCK = 420_117
_FUNCTION = sql.SQL(
    "CREATE OR REPLACE FUNCTION tests_wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::bigint); RETURN COALESCE(NEW, OLD); END $$"
)


class State(StrEnum):
    """Where a transfer is held."""

    CHUNK = "a chunk is being kept"
    ROWS = "rows are being stored"
    COMMIT = "rows and manifest are being committed"
    RECEIPT = "the receipt is being written"
    CONFIRMATION = "the receipt is being confirmed"
    ERASURE = "the erasure is being confirmed"


_POINTS: dict[State, tuple[LiteralString, LiteralString, LiteralString]] = {
    State.CHUNK: ("TRIGGER {} BEFORE INSERT ON", "staged_chunks", "NEW.delivery_id"),
    State.ROWS: ("TRIGGER {} BEFORE INSERT ON", "result_attempts", "NEW.delivery_id"),
    # Deferred: it waits within COMMIT.
    State.COMMIT: ("CONSTRAINT TRIGGER {} AFTER INSERT ON", "transfers", "NEW.delivery_id"),
    State.RECEIPT: (
        *("TRIGGER {} BEFORE UPDATE OF receipt_payload ON", "transfers"),
        "NEW.delivery_id",
    ),
    State.CONFIRMATION: ("TRIGGER {} BEFORE DELETE ON", "staged_chunks", "OLD.delivery_id"),
    State.ERASURE: ("TRIGGER {} BEFORE UPDATE OF confirmed_erased ON", "deliveries", "NEW.id"),
}


class HeldTransfer:
    """One delivery's transfer is held at those states, until each is released."""

    def __init__(self, database: psycopg.Connection, delivery_id: int) -> None:
        self._database = database
        self._delivery_id = delivery_id

    def release(self, state: State) -> None:
        """Let everybody through who waits there or comes there."""
        self._run(sql.SQL("SELECT pg_advisory_unlock({})").format(_lock(state)))

    def wait_reached(self, state: State) -> None:
        """Return once a transaction waits at that state whose step began after this call."""
        now = self._database.execute("SELECT clock_timestamp()::text").fetchone()
        assert now is not None
        self._wait(state, now[0])

    def wait_held(self, state: State) -> None:
        """Return once a transaction waits at that state, and be it since long."""
        self._wait(state, "-infinity")

    def _wait(self, state: State, since: str) -> None:
        def waits() -> bool:
            found = self._database.execute(
                "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                " WHERE l.locktype = 'advisory' AND l.objid = %s AND NOT l.granted"
                " AND a.query_start > %s::timestamptz",
                (_number(state), since),
            ).fetchone()
            return bool(found and found[0])

        until(waits, seconds=120, what=f"the transfer to be held: {state}", pause_seconds=0.1)

    def hold(self, states: Iterable[State]) -> None:
        self._run(_FUNCTION)
        for state in states:
            self._run(sql.SQL("SELECT pg_advisory_lock({})").format(_lock(state)))
            self._run(_trigger(state, self._delivery_id))

    def forget(self) -> None:
        """Triggers are taken away after everybody is through: it needs each table for itself."""
        self._run(sql.SQL("SELECT pg_advisory_unlock_all()"))
        for state, (_, table, _) in _POINTS.items():
            drop = sql.SQL("DROP TRIGGER IF EXISTS {} ON {}")
            self._run(drop.format(_name(state), sql.Identifier(table)))
        self._run(sql.SQL("DROP FUNCTION IF EXISTS tests_wait()"))

    def _run(self, statement: sql.SQL | sql.Composed) -> None:
        self._database.execute(statement)


@contextlib.contextmanager
def held(dsn: str, delivery_id: int, states: Iterable[State]) -> Iterator[HeldTransfer]:
    """``dsn`` leads to the coordinator's PostgreSQL, as the owner of its tables."""
    with psycopg.connect(dsn, autocommit=True) as database:
        transfer = HeldTransfer(database, delivery_id)
        try:
            transfer.hold(states)
            yield transfer
        finally:
            transfer.forget()


def _trigger(state: State, delivery_id: int) -> sql.Composed:
    head, table, column = _POINTS[state]
    deferred = sql.SQL("DEFERRABLE INITIALLY DEFERRED " if state is State.COMMIT else "")
    when = sql.SQL("WHEN ({} = {}) ").format(sql.SQL(column), sql.Literal(delivery_id))
    return sql.SQL(" ").join(
        [
            sql.SQL("CREATE"),
            sql.SQL(head).format(_name(state)),
            sql.Identifier(table),
            deferred,
            sql.SQL("FOR EACH ROW"),
            when,
            sql.SQL("EXECUTE FUNCTION tests_wait({})").format(sql.Literal(str(_number(state)))),
        ]
    )


def _name(state: State) -> sql.Identifier:
    return sql.Identifier(f"tests_wait_{state.name.lower()}")


def _lock(state: State) -> sql.Literal:
    return sql.Literal(_number(state))


def _number(state: State) -> int:
    return _FIRST_LOCK + list(State).index(state)
