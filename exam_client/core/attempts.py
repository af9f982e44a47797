"""The life of an attempt: begin, complete, close by the clock, freeze and its rollback.

Closing is the same act whoever causes it; what differs is the state it leaves and who is named.
"""

import msgspec

from exam_client.core import events, instants, state, timing
from exam_client.core.paper import Paper, percent
from exam_client.core.records import Sitting
from exam_client.core.state import Draft
from exam_client.errors import Refusal
from exam_contract.control import Mode
from exam_contract.problems import ProblemCode
from exam_contract.progress import AttemptState

_replace = msgspec.structs.replace


def begin(draft: Draft, paper: Paper, participant_id: int) -> Sitting:
    """Start the clock; the same attempt again when it already runs. Raises Refusal."""
    sitting = draft.sitting(participant_id)
    if sitting.attempt_id is not None:
        return sitting
    _refuse_before_or_after(draft)
    if sitting.state in (AttemptState.ABSENT, AttemptState.VOIDED):
        raise Refusal(ProblemCode.ATTEMPT_CLOSED, "this attempt can no longer be started")
    if draft.whole.all_paused:
        raise Refusal(ProblemCode.ATTEMPT_PAUSED, "an invigilator paused the exam; wait")
    begun = _begun(draft, paper, sitting)
    draft.put_sitting(begun)
    draft.tallies[participant_id] = _replace(draft.tally(participant_id), last_activity=draft.now)
    draft.note(f"participant:{participant_id}", "attempt_started", {"attempt_id": begun.attempt_id})
    draft.emit(
        "participant_started",
        participant_id,
        {
            "attempt_id": begun.attempt_id,
            "deadline": instants.text_or_none(begun.deadline),
            "deadline_version": begun.version,
            "total_questions": len(begun.item_order),
        },
    )
    return begun


def complete(draft: Draft, paper: Paper, participant_id: int, receipt_code: str) -> Sitting:
    """Hand in. Again after that: the same receipt. Raises Refusal."""
    sitting = draft.sitting(participant_id)
    if sitting.is_closed:
        return sitting
    if draft.whole.frozen_at is not None:
        raise Refusal(ProblemCode.DELIVERY_FROZEN, "the exam is over and being handed over")
    match sitting.state:
        case AttemptState.IN_PROGRESS:
            return close(draft, paper, sitting, AttemptState.SUBMITTED, "participant", receipt_code)
        case AttemptState.PAUSED:
            raise Refusal(ProblemCode.ATTEMPT_PAUSED, "an invigilator paused the exam; wait")
        case AttemptState.ABSENT | AttemptState.VOIDED:
            raise Refusal(ProblemCode.ATTEMPT_CLOSED, "this attempt is closed")
        case _:
            raise Refusal(ProblemCode.ATTEMPT_NOT_STARTED, "begin with POST /exam/start")


def close(
    draft: Draft,
    paper: Paper,
    sitting: Sitting,
    closed_as: AttemptState,
    closed_by: str,
    receipt_code: str | None = None,
) -> Sitting:
    """Close an open attempt: final score, event, audit entry."""
    paused = 0
    if sitting.paused_since is not None:
        paused = timing.whole_seconds(draft.now - sitting.paused_since)
        sitting = state.with_deadline(
            draft, _replace(sitting, paused=sitting.paused + paused, paused_since=None)
        )
    closed = _replace(
        sitting,
        state=closed_as,
        ended_at=draft.now,
        receipt_code=receipt_code or receipt(draft, sitting),
        closed_by=closed_by,
    )
    draft.put_sitting(closed)
    draft.note(
        f"participant:{sitting.participant_id}" if closed_by == "participant" else closed_by,
        "attempt_closed",
        {"participant_id": sitting.participant_id, "state": str(closed_as)},
    )
    _emit_completed(draft, paper, closed)
    return closed


def sweep(draft: Draft, paper: Paper) -> list[int]:
    """Close every running attempt whose deadline and grace are over, browser or not."""
    terms = draft.terms()
    over = [
        sitting
        for sitting in (draft.sitting(pid) for pid in draft.participant_ids())
        if sitting.state is AttemptState.IN_PROGRESS
        and sitting.deadline is not None
        and draft.now > timing.accepts_until(sitting.deadline, terms)
    ]
    for sitting in over:
        close(draft, paper, sitting, AttemptState.AUTO_SUBMITTED, "clock")
    return [sitting.participant_id for sitting in over]


def final_score(draft: Draft, paper: Paper, sitting: Sitting) -> tuple[int, str, str]:
    """Percent of the whole exam, with numerator and denominator."""
    points = draft.tally(sitting.participant_id).points
    whole = paper.maximum(sitting.item_order)
    return percent(points, whole), paper.rational(points), paper.rational(whole)


def receipt(draft: Draft, sitting: Sitting) -> str:
    """A code for an attempt that nobody handed in: it follows from its last audit entry."""
    head = draft.audit[-1].hash if draft.audit else draft.state.audit_head
    return f"{sitting.attempt_id:04d}-{head[-8:]}".upper()


def _refuse_before_or_after(draft: Draft) -> None:
    whole, terms = draft.whole, draft.terms()
    opens_at = instants.text(terms.opens_at)
    if whole.frozen_at is not None:
        raise Refusal(ProblemCode.DELIVERY_FROZEN, "the exam is over and being handed over")
    if whole.mode is Mode.PREPARE or draft.now < terms.opens_at:
        raise Refusal(ProblemCode.NOT_OPEN_YET, f"it opens at {opens_at}", opens_at=opens_at)
    if draft.now >= terms.closes_at:
        closed_at = instants.text(terms.closes_at)
        raise Refusal(ProblemCode.WINDOW_CLOSED, f"it closed at {closed_at}", closes_at=closed_at)


def _begun(draft: Draft, paper: Paper, sitting: Sitting) -> Sitting:
    attempt_id = draft.next_attempt
    draft.next_attempt += 1
    started = _replace(
        sitting,
        state=AttemptState.IN_PROGRESS,
        attempt_id=attempt_id,
        started_at=draft.now,
        checked_in_at=sitting.checked_in_at or draft.now,
        item_order=paper.order_for(sitting.participant_id),
    )
    return state.with_deadline(draft, started)


def _emit_completed(draft: Draft, paper: Paper, closed: Sitting) -> None:
    tally = draft.tally(closed.participant_id)
    score, numerator, denominator = final_score(draft, paper, closed)
    draft.emit(
        "participant_completed",
        closed.participant_id,
        {
            "attempt_id": closed.attempt_id,
            "state": str(closed.state),
            "final_score": score,
            "score_numerator": numerator,
            "score_denominator": denominator,
            "manual_pending": tally.manual,
            "progress": events.progress(paper, closed, tally, draft.now),
        },
    )
