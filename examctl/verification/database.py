"""What PostgreSQL holds of one delivery, read by our own SQL from docs/protocol.md section 9.

One read-only REPEATABLE READ transaction, so all tables are seen at one moment.
"""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

Row = dict[str, Any]

COLUMNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "participants": ("id", ("id", "identifier", "name", "email", "status")),
    "attempts": (
        "id",
        (
            "id", "participant_id", "started_at", "ended_at", "current_question", "status",
            "deadline", "deadline_version", "granted_seconds", "paused_seconds", "item_order",
            "final_score", "score_numerator", "score_denominator", "manual_pending",
        ),
    ),
    "answers": (
        "id",
        (
            "id", "attempt_id", "question_id", "answer", "submitted_at", "score", "points",
            "max_points", "scoring", "revision",
        ),
    ),
    "progress": (
        "participant_id",
        (
            "participant_id", "questions_answered", "total_questions", "current_score",
            "time_remaining", "last_activity",
        ),
    ),
    "answer_revisions": (
        "id",
        (
            "id", "attempt_id", "question_id", "revision", "command_id", "answer",
            "submitted_at", "seq", "counted",
        ),
    ),
    "client_audit": ("id", ("id", "at", "actor", "action", "detail", "prev", "hash")),
}  # fmt: skip
"""Result table to its key and the columns that are hashed."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """The row of ``transfers``: both signed documents as they were stored."""

    manifest_payload: str
    manifest_signature: str
    manifest_kid: str
    manifest_digest: str
    receipt_payload: str | None
    receipt_signature: str | None
    receipt_kid: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything the checks need. ``client_keys``: (epoch, incarnation) to (kid, x)."""

    delivery_id: int
    delivery_uid: str
    tables: dict[str, list[Row]]
    score_mismatches: int
    transfer: Transfer | None
    client_keys: dict[tuple[int, int], tuple[str, str]]
    signing_keys: dict[str, str]
    audit_log: list[Row]


def pinned_keys(trust: object) -> dict[str, str]:
    """``kid`` to key out of a ``trust.json`` that was kept outside the database."""
    keys = trust.get("keys") if isinstance(trust, dict) else None
    try:
        return {str(key["kid"]): str(key["x"]) for key in keys or []}
    except (TypeError, KeyError):
        return {}


class DeliveryUnknownError(ValueError):
    """The database holds no delivery of that id."""


def read_stored(connection: psycopg.Connection[Any], delivery_id: int) -> Stored:
    """Read one delivery and the audit log. Raises DeliveryUnknownError or psycopg.Error."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "SELECT uid::text AS uid FROM deliveries WHERE id = %s", (delivery_id,)
        ).fetchone()
        if found is None:
            raise DeliveryUnknownError(f"the database holds no delivery {delivery_id}")
        return Stored(
            delivery_id,
            str(found["uid"]),
            {table: _rows(cursor, table, delivery_id) for table in COLUMNS},
            _score_mismatches(cursor, delivery_id),
            _transfer(cursor, delivery_id),
            _client_keys(cursor, delivery_id),
            _signing_keys(cursor),
            read_audit_log(cursor),
        )


def read_audit_log(cursor: psycopg.Cursor[Row]) -> list[Row]:
    """The coordinator's whole audit chain, in order."""
    cursor.execute(
        "SELECT id, at, actor, action, target, detail, prev, hash FROM audit_log ORDER BY id"
    )
    return cursor.fetchall()


def _rows(cursor: psycopg.Cursor[Row], table: str, delivery_id: int) -> list[Row]:
    key, columns = COLUMNS[table]
    query = sql.SQL("SELECT {} FROM {} WHERE delivery_id = %s ORDER BY {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(f"result_{table}"),
        sql.Identifier(key),
    )
    return cursor.execute(query, (delivery_id,)).fetchall()


def _score_mismatches(cursor: psycopg.Cursor[Row], delivery_id: int) -> int:
    cursor.execute(
        "SELECT count(*) AS wrong FROM result_answers"
        " WHERE delivery_id = %s AND score_check = 'mismatch'",
        (delivery_id,),
    )
    found = cursor.fetchone()
    return int(found["wrong"]) if found else 0


def _transfer(cursor: psycopg.Cursor[Row], delivery_id: int) -> Transfer | None:
    cursor.execute(
        "SELECT manifest_payload, manifest_signature, manifest_kid, manifest_digest,"
        " receipt_payload, receipt_signature, receipt_kid FROM transfers WHERE delivery_id = %s",
        (delivery_id,),
    )
    found = cursor.fetchone()
    return Transfer(**found) if found else None


def _client_keys(
    cursor: psycopg.Cursor[Row], delivery_id: int
) -> dict[tuple[int, int], tuple[str, str]]:
    cursor.execute(
        "SELECT epoch, incarnation, kid, x FROM client_keys WHERE delivery_id = %s", (delivery_id,)
    )
    return {(row["epoch"], row["incarnation"]): (row["kid"], row["x"]) for row in cursor}


def _signing_keys(cursor: psycopg.Cursor[Row]) -> dict[str, str]:
    return {row["kid"]: row["x"] for row in cursor.execute("SELECT kid, x FROM signing_keys")}
