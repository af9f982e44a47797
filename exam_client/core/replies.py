"""What participants are told, as JSON objects: start, question, saved answer, progress, completion.

Keys never pass through here: replies are built from content and from the participant's own rows.
"""

from typing import Any

import msgspec

from exam_client.core import attempts, events, instants, timing
from exam_client.core.commands import Saved
from exam_client.core.paper import Paper, percent
from exam_client.core.records import Sitting, Tally
from exam_client.core.state import Draft, State
from exam_contract.content import Item, Stimulus

Json = dict[str, Any]


def attempt_members(sitting: Sitting, now: int) -> Json:
    """What every reply about an attempt carries."""
    return {
        "server_time": instants.text(now),
        "deadline": instants.text_or_none(sitting.deadline),
        "deadline_version": sitting.version,
        "state": str(sitting.state),
    }


def start(state: State, paper: Paper, sitting: Sitting, now: int) -> Json:
    """``StartReply``; sections are null until the attempt began."""
    person, exam, terms = state.people[sitting.participant_id], paper.exam, state.terms()
    return {
        "delivery_id": state.identity.delivery_id,
        "delivery_uid": state.identity.delivery_uid,
        "participant": {"id": person.id, "name": person.name},
        "exam": {
            "id": exam.id,
            "version": exam.version,
            "title": exam.title,
            "language": exam.language,
            "instructions": exam.instructions,
            "navigation": exam.navigation,
            "review": exam.review.model_dump(mode="json"),
        },
        "window": {
            "opens_at": instants.text(terms.opens_at),
            "closes_at": instants.text(terms.closes_at),
            "grace_seconds": terms.grace_seconds,
        },
        "time_limit_seconds": _own_limit(state, sitting, now),
        "attempt_id": sitting.attempt_id,
        "started_at": instants.text_or_none(sitting.started_at),
        "sections": None if sitting.attempt_id is None else _sections(paper, sitting),
        **attempt_members(sitting, now),
    }


def question(state: State, paper: Paper, sitting: Sitting, item_id: int, now: int) -> Json:
    """``QuestionReply``: one item as this participant sees it, with what is stored."""
    item = paper.items[item_id]
    current = state.answers.get(sitting.participant_id, {}).get(item_id)
    counted = current is not None and current.revision > 0
    return {
        "question_id": item_id,
        "number": sitting.item_order.index(item_id) + 1,
        "total": len(sitting.item_order),
        "section_id": paper.section_of[item_id],
        "type": item.type,
        "stem": item.stem,
        "max_points": item.max_points,
        "stimuli": [_stimulus(paper.stimuli[name]) for name in item.stimuli],
        "answer": msgspec.json.decode(current.text) if current is not None and counted else None,
        "revision": current.revision if current is not None else 0,
        **_type_members(paper, sitting.participant_id, item),
        **attempt_members(sitting, now),
    }


def answer(paper: Paper, saved: Saved, delivered_seq: int, now: int) -> Json:
    """``AnswerReply`` of a committed answer."""
    return {
        "question_id": saved.question_id,
        "revision": saved.revision,
        "saved_at": instants.text(saved.saved_at),
        "seq": saved.seq,
        "delivered_seq": delivered_seq,
        "secured_seq": None,
        "progress": progress_members(paper, saved.sitting, saved.tally, now),
        **attempt_members(saved.sitting, now),
    }


def progress_members(paper: Paper, sitting: Sitting, tally: Tally, now: int) -> Json:
    """Counts and time; the score only where the exam shows it."""
    members: Json = {
        "questions_answered": tally.answered,
        "total_questions": len(sitting.item_order),
        "time_remaining": events.time_remaining(sitting, now),
    }
    if shows_score(paper, sitting):
        members["current_score"] = percent(tally.points, tally.out_of)
        members["score_numerator"] = paper.rational(tally.points)
        members["score_denominator"] = paper.rational(tally.out_of)
    return members


def progress(state: State, paper: Paper, sitting: Sitting, delivered: int, now: int) -> Json:
    """``GET /exam/progress``: own progress, own answers, what was announced."""
    held = list(state.answers.get(sitting.participant_id, {}).items())
    return {
        "progress": progress_members(paper, sitting, state.tallies[sitting.participant_id], now),
        "answers": {
            str(item_id): {
                "answer": msgspec.json.decode(current.text),
                "revision": current.revision,
                "saved_at": instants.text(current.saved_at),
            }
            for item_id, current in held
            if current.revision > 0
        },
        "announcements": [
            {"id": told.id, "at": instants.text(told.at), "text": told.text}
            for told in state.announcements
            if told.participant_ids is None or sitting.participant_id in told.participant_ids
        ],
        "delivered_seq": delivered,
        **attempt_members(sitting, now),
    }


def completed(state: State, paper: Paper, sitting: Sitting, now: int) -> Json:
    """The receipt of a closed attempt."""
    reply: Json = {
        "receipt_code": sitting.receipt_code,
        "ended_at": instants.text_or_none(sitting.ended_at),
        "progress": progress_members(paper, sitting, state.tallies[sitting.participant_id], now),
        **attempt_members(sitting, now),
    }
    if shows_score(paper, sitting):
        reply["final_score"] = attempts.final_score(Draft(state, now), paper, sitting)[0]
    return reply


def shows_score(paper: Paper, sitting: Sitting) -> bool:
    match paper.exam.review.show_score:
        case "live":
            return True
        case "at_end":
            return sitting.is_closed
        case "never":
            return False


def _own_limit(state: State, sitting: Sitting, now: int) -> int:
    """Seconds this participant has in all, capped at the close."""
    person, terms = state.people[sitting.participant_id], state.terms()
    own = timing.Allowance(multiplier=person.multiplier, extra=person.extra_seconds)
    begins = sitting.started_at or max(now, terms.opens_at)
    ends = timing.deadline(begins, terms, own)
    return timing.seconds_left(ends, begins)


def _sections(paper: Paper, sitting: Sitting) -> list[Json]:
    shown = sitting.item_order
    return [
        {
            "id": section.id,
            "title": section.title,
            "instructions": section.instructions,
            "items": [item for item in shown if paper.section_of[item] == section.id],
        }
        for section in paper.exam.sections
    ]


def _stimulus(stimulus: Stimulus) -> Json:
    return {
        "id": stimulus.id,
        "title": stimulus.title,
        "text": stimulus.text,
        "media_url": None if stimulus.media is None else f"/exam/media/{stimulus.media}",
        "alt": stimulus.alt,
    }


def _type_members(paper: Paper, participant_id: int, item: Item) -> Json:
    match item.type:
        case "numeric":
            return {"unit": item.unit}
        case "short_text" | "essay":
            return {"max_length": item.max_length}
        case "single_best" | "multiple_true_false" | "pick_n":
            texts = {option.id: option.text for option in item.options}
            shown = paper.options_for(participant_id, item)
            members: Json = {"options": [{"id": name, "text": texts[name]} for name in shown]}
            return {**members, "pick": item.pick} if item.type == "pick_n" else members
        case _:
            raise ValueError(f"item {item.id}: {item.type} is not delivered")
