"""What becomes of one answer: the hottest decision, and the strictest.

Every check comes before the first change, so a refused answer leaves no trace in the draft.
"""

from typing import NoReturn

import msgspec

from exam_client.core import events, timing
from exam_client.core.commands import Late, SaveAnswer, Saved
from exam_client.core.instants import text as instant_text
from exam_client.core.paper import Judged, Paper
from exam_client.core.records import CommandRecord, Current, Sitting, Tally
from exam_client.core.state import Draft
from exam_client.errors import Refusal
from exam_contract.answers import AnswerInvalid
from exam_contract.problems import ProblemCode
from exam_contract.progress import AttemptState

MAX_LATE = 200
"""Late revisions kept per participant; later ones are refused and not kept."""


def save(draft: Draft, paper: Paper, command: SaveAnswer) -> Saved | Late:
    """Accept an answer, repeat the outcome of its command id, or raise Refusal."""
    participant_id, question_id = command.participant_id, command.question_id
    sitting = draft.sitting(participant_id)
    if question_id not in paper.items:
        raise Refusal(ProblemCode.UNKNOWN_QUESTION, f"question {question_id} is not in this exam")
    judged = _judge(paper, command)
    fingerprint = hash((question_id, command.base_revision, judged.text))
    known = draft.command(participant_id, command.command_id)
    if known is not None:
        return _repeat(draft, sitting, known, fingerprint)
    late = _refuse_or_late(draft, sitting, command)
    current = draft.current(participant_id, question_id)
    in_force = 0 if current is None else current.revision
    if late:
        return _keep_late(draft, sitting, command, judged, fingerprint, current)
    if command.base_revision != in_force:
        _conflict(current, in_force)
    if current is not None and current.answered and not paper.exam.review.change_answers:
        raise Refusal(ProblemCode.CONFLICT, "this exam does not allow an answer to be changed")
    return _accept(draft, paper, sitting, command, judged, fingerprint, current)


def _judge(paper: Paper, command: SaveAnswer) -> Judged:
    try:
        return paper.judge(command.question_id, command.answer)
    except AnswerInvalid as error:
        raise Refusal(
            ProblemCode.ANSWER_INVALID, str(error), question_id=command.question_id
        ) from None


def _repeat(draft: Draft, sitting: Sitting, known: CommandRecord, fingerprint: int) -> Saved | Late:
    if known.fingerprint != fingerprint:
        raise Refusal(
            ProblemCode.COMMAND_REUSED, "draw a new command_id for every change of an answer"
        )
    if not known.counted:
        return Late(known.question_id, known.revision)
    return Saved(
        question_id=known.question_id,
        revision=known.revision,
        saved_at=known.saved_at,
        seq=known.seq,
        sitting=sitting,
        tally=draft.tally(sitting.participant_id),
    )


def _refuse_or_late(draft: Draft, sitting: Sitting, command: SaveAnswer) -> bool:
    """True when the answer came too late; raises when it may not even be kept."""
    if draft.whole.frozen_at is not None:
        raise Refusal(ProblemCode.DELIVERY_FROZEN, "the exam is over and being handed over")
    match sitting.state:
        case AttemptState.REGISTERED | AttemptState.CHECKED_IN:
            raise Refusal(ProblemCode.ATTEMPT_NOT_STARTED, "begin with POST /exam/start")
        case AttemptState.PAUSED:
            raise Refusal(ProblemCode.ATTEMPT_PAUSED, "an invigilator paused the exam; wait")
        case AttemptState.IN_PROGRESS:
            _refuse_foreign_item(draft, sitting, command.question_id)
            due = sitting.deadline or 0
            return command.arrived_at > timing.accepts_until(due, draft.terms())
        case AttemptState.AUTO_SUBMITTED:
            _refuse_foreign_item(draft, sitting, command.question_id)
            return True
        case _:
            raise Refusal(ProblemCode.ATTEMPT_CLOSED, "the attempt was handed in")


def _refuse_foreign_item(draft: Draft, sitting: Sitting, question_id: int) -> None:
    # The index is there once the attempt's beginning is committed; the tuple is searched before.
    if question_id not in draft.state.positions.get(sitting.participant_id, sitting.item_order):
        raise Refusal(ProblemCode.UNKNOWN_QUESTION, f"question {question_id} was not drawn for you")


def _conflict(current: Current | None, in_force: int) -> NoReturn:
    raise Refusal(
        ProblemCode.REVISION_CONFLICT,
        "take the answer in force, decide again, and send it with base_revision = revision",
        revision=in_force,
        answer=None if current is None or in_force == 0 else msgspec.json.decode(current.text),
    )


def _accept(
    draft: Draft,
    paper: Paper,
    sitting: Sitting,
    command: SaveAnswer,
    judged: Judged,
    fingerprint: int,
    current: Current | None,
) -> Saved:
    participant_id = command.participant_id
    following = _following(draft, command.arrived_at, judged, current)
    tally = _retally(draft, sitting, command.question_id, judged, current)
    draft.answers[(participant_id, command.question_id)] = following
    draft.tallies[participant_id] = tally
    seq = draft.emit(
        "answer_submitted",
        participant_id,
        {
            "attempt_id": sitting.attempt_id,
            "question_id": command.question_id,
            "revision": following.revision,
            "progress": events.progress(paper, sitting, tally, draft.now),
        },
    )
    _record(draft, sitting, command, following, fingerprint, seq, counted=True)
    return Saved(
        question_id=command.question_id,
        revision=following.revision,
        saved_at=following.saved_at,
        seq=seq,
        sitting=sitting,
        tally=tally,
    )


def _following(draft: Draft, at: int, judged: Judged, current: Current | None) -> Current:
    """The next current answer; a question's row keeps its id through all revisions."""
    if current is None or current.revision == 0:
        answer_id = draft.next_answer
        draft.next_answer += 1
    else:
        answer_id = current.answer_id
    revision = 1 if current is None else current.top + 1
    return Current(
        answer_id=answer_id,
        revision=revision,
        top=revision,
        text=judged.text,
        saved_at=draft.now,
        points=judged.points,
        out_of=judged.out_of,
        manual=judged.manual,
        answered=judged.answered,
    )


def _retally(
    draft: Draft, sitting: Sitting, question_id: int, judged: Judged, current: Current | None
) -> Tally:
    before = draft.tally(sitting.participant_id)
    answered, points = int(judged.answered), judged.points
    out_of, manual = judged.out_of * answered, int(judged.manual)
    if current is not None and current.revision > 0:
        was = int(current.answered)
        answered, points = answered - was, points - current.points
        out_of, manual = out_of - current.out_of * was, manual - int(current.manual)
    positions = draft.state.positions.get(sitting.participant_id)
    number = positions[question_id] if positions else sitting.item_order.index(question_id) + 1
    return Tally(
        answered=before.answered + answered,
        points=before.points + points,
        out_of=before.out_of + out_of,
        manual=before.manual + manual,
        revisions=before.revisions + 1,
        current_question=number,
        last_save=draft.now,
        last_activity=draft.now,
    )


def _keep_late(
    draft: Draft,
    sitting: Sitting,
    command: SaveAnswer,
    judged: Judged,
    fingerprint: int,
    current: Current | None,
) -> Late:
    tally = draft.tally(sitting.participant_id)
    stored = draft.state.commands.get(sitting.participant_id, {})
    if sum(1 for record in list(stored.values()) if not record.counted) >= MAX_LATE:
        raise Refusal(ProblemCode.DEADLINE_PASSED, "the time is over", quarantined=False)
    top = 1 if current is None else current.top + 1
    nothing = Current(0, 0, 0, "null", draft.now, 0, 0, manual=False, answered=False)
    kept = msgspec.structs.replace(current or nothing, top=top)
    late = msgspec.structs.replace(kept, revision=top, text=judged.text, saved_at=draft.now)
    draft.answers[(command.participant_id, command.question_id)] = kept
    draft.tallies[command.participant_id] = msgspec.structs.replace(
        tally, revisions=tally.revisions + 1
    )
    _record(draft, sitting, command, late, fingerprint, 0, counted=False)
    return Late(command.question_id, top)


def _record(
    draft: Draft,
    sitting: Sitting,
    command: SaveAnswer,
    saved: Current,
    fingerprint: int,
    seq: int,
    *,
    counted: bool,
) -> None:
    """The append-only revision row, and the command id for when it comes again."""
    draft.revisions.append(
        (
            draft.next_revision,
            sitting.attempt_id,
            command.participant_id,
            command.question_id,
            saved.revision,
            command.base_revision,
            command.command_id,
            saved.text,
            instant_text(saved.saved_at),
            seq,
            int(counted),
        )
    )
    draft.next_revision += 1
    draft.commands[(command.participant_id, command.command_id)] = CommandRecord(
        fingerprint=fingerprint,
        question_id=command.question_id,
        revision=saved.revision,
        saved_at=saved.saved_at,
        seq=seq,
        counted=counted,
    )
