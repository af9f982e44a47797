"""Progress of a delivery that is over, drawn from the stored results."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.core import progress
from coordinator.store import results
from exam_contract.progress import (
    STATUS_WORDS,
    AttemptState,
    Connection,
    LiveProgress,
    ParticipantProgress,
)


async def historical(db: AsyncConnection, delivery_id: int, committed_at: datetime) -> LiveProgress:
    """Everybody's outcome, with the final scores in force."""
    rows = [_participant(row) for row in await results.historical(db, delivery_id)]
    stats = progress.stats(rows)
    held = await results.count_held(db, delivery_id)
    return LiveProgress(
        delivery_id=delivery_id,
        source="historical",
        as_of=committed_at,
        stats=stats.model_copy(update=held),
        participants=rows,
        reason="the delivery is complete",
    )


def _participant(row: dict[str, Any]) -> ParticipantProgress:
    state = AttemptState(row["status"])
    return ParticipantProgress.model_validate(
        {
            "participant_id": row["participant_id"],
            "identifier": row["identifier"],
            "name": row["name"],
            "state": state,
            "status": STATUS_WORDS[state],
            "connection": Connection.NEVER_SEEN
            if row["last_activity"] is None
            else Connection.DISCONNECTED,
            "progress": {
                "questions_answered": row["questions_answered"] or 0,
                "total_questions": row["total_questions"] or 0,
                "current_score": row["current_score"] or 0,
                "score_numerator": row["score_numerator"] or "0",
                "score_denominator": row["score_denominator"] or "0",
            },
            "started_at": row["started_at"],
            "ended_at": row["ended_at"],
            "deadline": row["deadline"],
            "deadline_version": row["deadline_version"] or 0,
            "last_activity": row["last_activity"],
            "manual_pending": row["manual_pending"] or 0,
            "final_score": row["final_score"],
        }
    )
