"""What the coordinator knows of each participant from events alone: the last known state.

Folded in the order of the stream, so that it can be drawn when the exam-client does not answer.
"""

from collections.abc import Iterable

from exam_contract.events import (
    AnswerSubmitted,
    AttemptChanged,
    DeliveryChanged,
    Event,
    ParticipantCheckedIn,
    ParticipantCompleted,
    ParticipantStarted,
)
from exam_contract.progress import (
    CLOSED_STATES,
    STATUS_WORDS,
    AttemptState,
    Connection,
    DeliveryStats,
    ParticipantProgress,
    Progress,
)

_NOTHING = Progress(
    questions_answered=0,
    total_questions=0,
    current_score=0,
    score_numerator="0",
    score_denominator="0",
)


def registered(participant_id: int, total_questions: int = 0) -> ParticipantProgress:
    """The state of somebody nothing was heard of yet."""
    return ParticipantProgress(
        participant_id=participant_id,
        state=AttemptState.REGISTERED,
        status="not_started",
        connection=Connection.NEVER_SEEN,
        progress=_NOTHING.model_copy(update={"total_questions": total_questions}),
    )


def fold(before: ParticipantProgress, event: Event) -> ParticipantProgress:
    """The state after an event; an event about the delivery changes nobody's."""
    match event:
        case DeliveryChanged():
            return before
        case ParticipantCheckedIn():
            changes = _checked_in(before)
        case ParticipantStarted():
            changes = _started(before, event)
        case AnswerSubmitted():
            changes = {"progress": event.progress, "last_save": event.timestamp}
        case ParticipantCompleted():
            changes = _completed(event)
        case AttemptChanged():
            changes = _changed(before, event)
    state = changes.get("state", before.state)
    return before.model_copy(
        update={
            **changes,
            "status": STATUS_WORDS[AttemptState(str(state))],
            "last_activity": event.timestamp,
        }
    )


def stats(participants: Iterable[ParticipantProgress], events_pending: int = 0) -> DeliveryStats:
    """Aggregates over the rows shown beside them."""
    rows = list(participants)
    answering = [row for row in rows if row.progress.questions_answered > 0]
    states = [row.state for row in rows]
    return DeliveryStats(
        enrolled=len(rows),
        checked_in=sum(state is not AttemptState.REGISTERED for state in states),
        in_progress=states.count(AttemptState.IN_PROGRESS),
        paused=states.count(AttemptState.PAUSED),
        completed=sum(state in CLOSED_STATES for state in states),
        answers=sum(row.progress.questions_answered for row in rows),
        revisions=0,
        average_score=_mean([_score(row) for row in answering]),
        average_answered=_mean([row.progress.questions_answered for row in answering]),
        online=sum(row.connection is Connection.ONLINE for row in rows),
        disconnected=sum(row.connection is Connection.DISCONNECTED for row in rows),
        events_pending=events_pending,
    )


def _score(row: ParticipantProgress) -> int:
    return row.progress.current_score if row.final_score is None else row.final_score


def _mean(values: list[int]) -> int | None:
    return round(sum(values) / len(values)) if values else None


def _checked_in(before: ParticipantProgress) -> dict[str, object]:
    state = before.state
    if state in (AttemptState.REGISTERED, AttemptState.ABSENT):
        state = AttemptState.CHECKED_IN
    return {"state": state, "connection": Connection.ONLINE}


def _started(before: ParticipantProgress, event: ParticipantStarted) -> dict[str, object]:
    return {
        "state": AttemptState.IN_PROGRESS,
        "connection": Connection.ONLINE,
        "started_at": event.timestamp,
        "deadline": event.deadline,
        "deadline_version": event.deadline_version,
        "progress": before.progress.model_copy(update={"total_questions": event.total_questions}),
    }


def _completed(event: ParticipantCompleted) -> dict[str, object]:
    return {
        "state": event.state,
        "progress": event.progress,
        "ended_at": event.timestamp,
        "final_score": event.final_score,
        "manual_pending": event.manual_pending,
    }


def _changed(before: ParticipantProgress, event: AttemptChanged) -> dict[str, object]:
    reopened = event.reason == "reopened"
    return {
        "state": event.state,
        "deadline": event.deadline or before.deadline,
        "deadline_version": event.deadline_version,
        "ended_at": None if reopened else before.ended_at,
        "final_score": None if reopened else before.final_score,
    }
