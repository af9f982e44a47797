"""Questions about stored results: pages, exports, item figures, and what waits for a scorer."""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_DECISION = (
    " LEFT JOIN LATERAL (SELECT m.points, m.comment, m.decided_at, m.scorer_id"
    " FROM manual_scores m WHERE m.delivery_id = a.delivery_id AND m.answer_id = a.id"
    " ORDER BY m.id DESC LIMIT 1) m ON true"
)


async def page(
    db: AsyncConnection, delivery_id: int, after: int, limit: int
) -> list[dict[str, Any]]:
    """One row per participant with the final score in force."""
    found = await db.execute(
        text(
            "SELECT p.id AS participant_id, p.identifier, p.name, p.status,"
            " t.id AS attempt_id, t.started_at, t.ended_at, f.final_score,"
            " f.score_numerator, f.score_denominator, f.manual_pending,"
            " (SELECT count(*) FROM result_answers a WHERE a.delivery_id = p.delivery_id"
            "  AND a.attempt_id = t.id) AS answers,"
            " (SELECT count(*) FROM result_answers a WHERE a.delivery_id = p.delivery_id"
            "  AND a.attempt_id = t.id AND a.score_check = 'mismatch') AS score_mismatches"
            " FROM result_participants p"
            " LEFT JOIN result_attempts t ON t.delivery_id = p.delivery_id"
            "  AND t.participant_id = p.id"
            " LEFT JOIN final_scores f ON f.delivery_id = p.delivery_id AND f.attempt_id = t.id"
            " WHERE p.delivery_id = :id AND p.id > :after ORDER BY p.id LIMIT :limit"
        ),
        {"id": delivery_id, "after": after, "limit": limit},
    )
    return [dict(row) for row in found.mappings()]


async def historical(db: AsyncConnection, delivery_id: int) -> list[dict[str, Any]]:
    """Everything a live-progress row shows, from the result tables."""
    found = await db.execute(
        text(
            "SELECT p.id AS participant_id, p.identifier, p.name, p.status, t.started_at,"
            " t.ended_at, t.deadline, t.deadline_version, f.final_score, f.score_numerator,"
            " f.score_denominator, f.manual_pending, g.questions_answered, g.total_questions,"
            " g.current_score, g.last_activity FROM result_participants p"
            " LEFT JOIN result_attempts t ON t.delivery_id = p.delivery_id"
            "  AND t.participant_id = p.id"
            " LEFT JOIN final_scores f ON f.delivery_id = p.delivery_id AND f.attempt_id = t.id"
            " LEFT JOIN result_progress g ON g.delivery_id = p.delivery_id"
            "  AND g.participant_id = p.id"
            " WHERE p.delivery_id = :id ORDER BY p.id"
        ),
        {"id": delivery_id},
    )
    return [dict(row) for row in found.mappings()]


async def count_held(db: AsyncConnection, delivery_id: int) -> dict[str, int]:
    """Answers (cleared ones too: their row stays) and their revisions."""
    found = await db.execute(
        text(
            "SELECT (SELECT count(*) FROM result_answers WHERE delivery_id = :id) AS answers,"
            " (SELECT count(*) FROM result_answer_revisions WHERE delivery_id = :id) AS revisions"
        ),
        {"id": delivery_id},
    )
    return dict(found.mappings().one())


async def final_percents(db: AsyncConnection, delivery_id: int) -> list[int]:
    """Final scores in force of every attempt that has one."""
    found = await db.execute(
        text(
            "SELECT final_score FROM final_scores WHERE delivery_id = :id"
            " AND final_score IS NOT NULL"
        ),
        {"id": delivery_id},
    )
    return [int(value) for value in found.scalars()]


async def item_points(
    db: AsyncConnection, delivery_id: int
) -> list[tuple[int, int, str, str, str, str]]:
    """(attempt, question, points in force, max points, scoring, answer) of every answer."""
    found = await db.execute(
        text(
            "SELECT a.attempt_id, a.question_id, COALESCE(m.points, a.points) AS points,"  # noqa: S608 -- constant
            " a.max_points, CASE WHEN m.points IS NULL THEN a.scoring ELSE 'decided' END"
            f" AS scoring, a.answer FROM result_answers a{_DECISION}"
            " WHERE a.delivery_id = :id ORDER BY a.id"
        ),
        {"id": delivery_id},
    )
    return [
        (int(r.attempt_id), int(r.question_id), r.points, r.max_points, r.scoring, r.answer)
        for r in found
    ]


async def attempts_with(db: AsyncConnection, delivery_id: int) -> list[tuple[int, str]]:
    """(attempt id, item order) of every attempt."""
    found = await db.execute(
        text("SELECT id, item_order FROM result_attempts WHERE delivery_id = :id ORDER BY id"),
        {"id": delivery_id},
    )
    return [(int(row.id), str(row.item_order)) for row in found]


async def export(db: AsyncConnection, delivery_id: int) -> AsyncIterator[list[dict[str, Any]]]:
    """One row per participant and answered item, a thousand at a time by a server-side cursor."""
    stream = await db.stream(
        text(
            "SELECT p.id AS participant_id, p.identifier, p.name, p.status, t.id AS attempt_id,"  # noqa: S608 -- constant
            " t.started_at, t.ended_at, f.final_score, f.score_numerator, f.score_denominator,"
            " a.id AS answer_id, a.question_id, a.answer, a.submitted_at, a.revision,"
            " COALESCE(m.points, a.points) AS points, a.max_points, a.scoring, a.score_check"
            " FROM result_participants p"
            " LEFT JOIN result_attempts t ON t.delivery_id = p.delivery_id"
            "  AND t.participant_id = p.id"
            " LEFT JOIN final_scores f ON f.delivery_id = p.delivery_id AND f.attempt_id = t.id"
            " LEFT JOIN result_answers a ON a.delivery_id = p.delivery_id AND a.attempt_id = t.id"
            f"{_DECISION} WHERE p.delivery_id = :id ORDER BY p.id, a.id"
        ),
        {"id": delivery_id},
    )
    async for rows in stream.mappings().partitions(1000):
        yield [dict(row) for row in rows]


async def manual_queue(
    db: AsyncConnection, delivery_id: int, after: int, limit: int, decided: bool
) -> list[dict[str, Any]]:
    """Answers that wait for a scorer (or were decided); no name and no identifier."""
    wanted = "IS NOT NULL" if decided else "IS NULL"
    found = await db.execute(
        text(
            "SELECT a.id AS answer_id, a.attempt_id, a.question_id, a.answer, a.max_points,"  # noqa: S608 -- constants
            " a.submitted_at, m.points, m.comment, m.decided_at, m.scorer_id,"
            " (SELECT count(*) FROM manual_scores h WHERE h.delivery_id = a.delivery_id"
            "  AND h.answer_id = a.id) AS decisions"
            f" FROM result_answers a{_DECISION}"
            " WHERE a.delivery_id = :id AND a.scoring = 'manual' AND a.id > :after"
            f" AND m.points {wanted} ORDER BY a.id LIMIT :limit"
        ),
        {"id": delivery_id, "after": after, "limit": limit},
    )
    return [dict(row) for row in found.mappings()]


async def manual_totals(db: AsyncConnection, delivery_id: int) -> tuple[int, int]:
    """How many answers wait for a scorer, and how many were decided."""
    found = await db.execute(
        text(
            "SELECT count(*) FILTER (WHERE m.points IS NULL) AS waiting,"  # noqa: S608 -- constant
            f" count(m.points) AS decided FROM result_answers a{_DECISION}"
            " WHERE a.delivery_id = :id AND a.scoring = 'manual'"
        ),
        {"id": delivery_id},
    )
    row = found.one()
    return int(row.waiting), int(row.decided)


async def answer_to_score(
    db: AsyncConnection, delivery_id: int, answer_id: int
) -> dict[str, Any] | None:
    """The answer's attempt, maximum and scoring; locks the attempt's final score."""
    found = await db.execute(
        text(
            "SELECT a.id, a.attempt_id, a.question_id, a.max_points, a.scoring"
            " FROM result_answers a JOIN final_scores f ON f.delivery_id = a.delivery_id"
            " AND f.attempt_id = a.attempt_id"
            " WHERE a.delivery_id = :id AND a.id = :answer_id FOR UPDATE OF f"
        ),
        {"id": delivery_id, "answer_id": answer_id},
    )
    row = found.mappings().one_or_none()
    return None if row is None else dict(row)


async def add_decision(
    db: AsyncConnection, delivery_id: int, answer_id: int, scorer_id: int, points: str, comment: str
) -> int:
    """Keep a scorer's decision; earlier ones stay as history, the newest counts."""
    found = await db.execute(
        text(
            "INSERT INTO manual_scores (delivery_id, answer_id, scorer_id, points, comment)"
            " VALUES (:id, :answer_id, :scorer_id, :points, :comment) RETURNING id"
        ),
        {
            "id": delivery_id,
            "answer_id": answer_id,
            "scorer_id": scorer_id,
            "points": points,
            "comment": comment,
        },
    )
    return int(found.scalar_one())


async def points_of_attempt(
    db: AsyncConnection, delivery_id: int, attempt_id: int
) -> list[tuple[str, bool]]:
    """(points in force, whether a scorer still has to decide) of every answer of an attempt."""
    found = await db.execute(
        text(
            "SELECT COALESCE(m.points, a.points) AS points,"  # noqa: S608 -- constant
            " a.scoring = 'manual' AND m.points IS NULL AS pending"
            f" FROM result_answers a{_DECISION}"
            " WHERE a.delivery_id = :id AND a.attempt_id = :attempt_id"
        ),
        {"id": delivery_id, "attempt_id": attempt_id},
    )
    return [(str(row.points), bool(row.pending)) for row in found]


async def denominator_of(db: AsyncConnection, delivery_id: int, attempt_id: int) -> str:
    """The whole exam's maximum for that attempt, as the exam-client stated it."""
    found = await db.execute(
        text(
            "SELECT score_denominator FROM result_attempts"
            " WHERE delivery_id = :id AND id = :attempt_id"
        ),
        {"id": delivery_id, "attempt_id": attempt_id},
    )
    return str(found.scalar_one())


async def set_final_score(
    db: AsyncConnection,
    delivery_id: int,
    attempt_id: int,
    percent: int,
    numerator: str,
    pending: int,
) -> None:
    await db.execute(
        text(
            "UPDATE final_scores SET final_score = :percent, score_numerator = :numerator,"
            " manual_pending = :pending WHERE delivery_id = :id AND attempt_id = :attempt_id"
        ),
        {
            "id": delivery_id,
            "attempt_id": attempt_id,
            "percent": percent,
            "numerator": numerator,
            "pending": pending,
        },
    )
