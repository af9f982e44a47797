"""What is read back from the file: outbox rows for the sender, whole tables for the export.

On a connection and a thread of its own, so that reading never waits for writing nor holds it up.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from exam_client.store import database
from exam_client.store.journal import Journal

Row = dict[str, Any]
_PAGE = 2000

EXPORTS: dict[str, str] = {
    "participants": "SELECT id, identifier, name, email, status FROM participants",
    "attempts": """SELECT a.id AS id, a.participant_id, a.started_at, a.ended_at,
        coalesce(p.current_question, a.current_question) AS current_question, a.status, a.deadline,
        a.deadline_version, a.granted_seconds + a.credited_seconds AS granted_seconds,
        a.paused_seconds, a.item_order FROM attempts a
        LEFT JOIN progress p ON p.participant_id = a.participant_id""",
    "answers": """SELECT id, attempt_id, question_id, answer, submitted_at, score, points,
        max_points, scoring, revision FROM answers""",
    "progress": """SELECT participant_id AS id, participant_id, questions_answered, total_questions,
        current_score, time_remaining, last_activity FROM progress""",
    "answer_revisions": """SELECT id, attempt_id, question_id, revision, command_id, answer,
        submitted_at, seq, counted FROM answer_revisions""",
    "client_audit": "SELECT id, at, actor, action, detail, prev, hash FROM audit",
}
"""Each as ``exam_contract.results`` lists its columns; ``id`` is the key rows are ordered by."""


class Reader:
    """One read-only connection behind one thread."""

    def __init__(self, journal: Journal) -> None:
        self.pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")
        self._journal = journal
        self._connection: database.Connection | None = None

    def outbox(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Events with a higher seq, in order."""
        rows = self._open().execute(
            "SELECT seq, payload FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
        )
        return [(int(seq), bytes(payload)) for seq, payload in rows]

    def rows(self, table: str, through: int | None = None) -> Iterator[Row]:
        """All rows of an export in key order, a page at a time; ``through`` bounds the key."""
        after = 0
        while True:
            page = self._page(table, after, through)
            yield from (self._without_sort_key(table, row) for row in page)
            if len(page) < _PAGE:
                return
            after = int(page[-1]["id"])

    def _page(self, table: str, after: int, through: int | None) -> list[Row]:
        bound = 2**62 if through is None else through
        cursor = self._open().execute(
            f"SELECT * FROM ({EXPORTS[table]}) WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",  # noqa: S608  a constant of this module
            (after, bound, _PAGE),
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    @staticmethod
    def _without_sort_key(table: str, row: Row) -> Row:
        if table == "progress":
            del row["id"]
        if table == "answer_revisions":
            row["counted"] = bool(row["counted"])
        return row

    def close(self) -> None:
        """End the thread and its connection."""
        if self._connection is not None:
            self.pool.submit(self._connection.close).result(timeout=10)
            self._connection = None
        self.pool.shutdown(wait=True)

    def _open(self) -> database.Connection:
        if self._connection is None:
            self._connection = database.reader(self._journal.path, self._journal.key)
        return self._connection
