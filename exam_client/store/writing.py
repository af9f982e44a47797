"""A draft as rows: one executemany per table, in an order that foreign keys accept."""

from collections.abc import Iterable

import msgspec

from exam_client.core import events, instants
from exam_client.core.paper import percent
from exam_client.core.records import Sitting
from exam_client.core.state import Draft
from exam_client.store.database import Connection

_encoder = msgspec.json.Encoder(enc_hook=str)

_SQL = {
    "participants": """INSERT INTO participants (id, name, email, identifier, status, checked_in_at,
        granted_seconds, closed_by, deadline_version) VALUES (?,?,?,?,?,?,?,?,?)
        ON CONFLICT(id) DO UPDATE SET status=excluded.status, checked_in_at=excluded.checked_in_at,
        granted_seconds=excluded.granted_seconds, closed_by=excluded.closed_by,
        deadline_version=excluded.deadline_version""",
    "attempts": """INSERT INTO attempts (id, participant_id, started_at, ended_at, status, deadline,
        deadline_version, granted_seconds, paused_seconds, credited_seconds, paused_since,
        item_order, receipt_code, closed_by) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)
        ON CONFLICT(id) DO UPDATE SET ended_at=excluded.ended_at, status=excluded.status,
        deadline=excluded.deadline, deadline_version=excluded.deadline_version,
        granted_seconds=excluded.granted_seconds, paused_seconds=excluded.paused_seconds,
        credited_seconds=excluded.credited_seconds, paused_since=excluded.paused_since,
        receipt_code=excluded.receipt_code, closed_by=excluded.closed_by""",
    "answers": """INSERT INTO answers (id, attempt_id, question_id, answer, submitted_at, score,
        participant_id, revision, points, max_points, scoring) VALUES (?,?,?,?,?,?,?,?,?,?,?)
        ON CONFLICT(id) DO UPDATE SET answer=excluded.answer, submitted_at=excluded.submitted_at,
        score=excluded.score, revision=excluded.revision, points=excluded.points,
        max_points=excluded.max_points, scoring=excluded.scoring""",
    "progress": """INSERT INTO progress (participant_id, questions_answered, total_questions,
        current_score, time_remaining, last_activity, last_save, current_question)
        VALUES (?,?,?,?,?,?,?,?) ON CONFLICT(participant_id) DO UPDATE SET
        questions_answered=excluded.questions_answered, total_questions=excluded.total_questions,
        current_score=excluded.current_score, time_remaining=excluded.time_remaining,
        last_activity=excluded.last_activity, last_save=excluded.last_save,
        current_question=excluded.current_question""",
    "answer_revisions": """INSERT INTO answer_revisions
        (id, attempt_id, participant_id, question_id, revision, base_revision, command_id,
        answer, submitted_at, seq, counted)
        VALUES (?,?,?,?,?,?,?,?,?,?,?)""",
    "outbox": "INSERT INTO outbox (seq, payload) VALUES (?,?)",
    "sessions": """INSERT INTO sessions
        (token_hash, participant_id, device_id, created_at, ended_at)
        VALUES (?,?,?,?,?) ON CONFLICT(token_hash) DO UPDATE SET ended_at=excluded.ended_at""",
    "token_bindings": """INSERT INTO token_bindings (jti, participant_id, device_id, expires_at)
        VALUES (?,?,?,?)""",
    "takeover_codes": """INSERT INTO takeover_codes
        (action_id, participant_id, verifier, expires_at)
        VALUES (?,?,?,?)""",
    "used_codes": "INSERT INTO used_codes (participant_id, reference) VALUES (?,?)",
    "actions": "INSERT INTO actions (action_id, outcome) VALUES (?,?)",
    "announcements": "INSERT INTO announcements (id, at, text, participant_ids) VALUES (?,?,?,?)",
    "audit": """INSERT INTO audit (id, at, actor, action, detail, prev, hash)
        VALUES (?,?,?,?,?,?,?)""",
    "meta": """INSERT INTO meta (name, value) VALUES (?,?)
        ON CONFLICT(name) DO UPDATE SET value=excluded.value""",
}

Rows = list[tuple[object, ...]]


def write(connection: Connection, draft: Draft) -> None:
    """Put every row of a draft into the open transaction."""
    for table, rows in _tables(draft):
        if rows:
            connection.executemany(_SQL[table], rows)


def _tables(draft: Draft) -> Iterable[tuple[str, Rows]]:
    yield "participants", _participants(draft)
    yield "attempts", [_attempt(s) for s in draft.sittings.values() if s.attempt_id is not None]
    yield "answers", _answers(draft)
    yield "progress", _progress(draft)
    yield "answer_revisions", draft.revisions
    yield "outbox", list(draft.outbox)
    yield from _access_tables(draft)
    yield "actions", list(draft.actions.items())
    yield "announcements", _announcements(draft)
    yield "audit", [msgspec.structs.astuple(entry) for entry in draft.audit]
    yield "meta", _meta(draft)


def _participants(draft: Draft) -> Rows:
    """Changed participants; with the bundle, all of them."""
    changed = dict(draft.sittings)
    people = draft.state.people
    if draft.paper is not None:
        people = {person.id: person for person in draft.paper.people}
        changed = {pid: Sitting(participant_id=pid) for pid in people}
    return [
        (
            sitting.participant_id,
            people[sitting.participant_id].name,
            people[sitting.participant_id].email,
            people[sitting.participant_id].identifier,
            str(sitting.state),
            instants.text_or_none(sitting.checked_in_at),
            sitting.granted,
            sitting.closed_by,
            sitting.version,
        )
        for sitting in changed.values()
    ]


def _attempt(sitting: Sitting) -> tuple[object, ...]:
    return (
        sitting.attempt_id,
        sitting.participant_id,
        instants.text_or_none(sitting.started_at),
        instants.text_or_none(sitting.ended_at),
        str(sitting.state),
        instants.text_or_none(sitting.deadline),
        sitting.version,
        sitting.granted,
        sitting.paused,
        sitting.credited,
        instants.text_or_none(sitting.paused_since),
        _encoder.encode(sitting.item_order).decode(),
        sitting.receipt_code,
        sitting.closed_by,
    )


def _answers(draft: Draft) -> Rows:
    paper = draft.state.paper
    if paper is None:
        return []
    return [
        (
            current.answer_id,
            draft.sitting(participant_id).attempt_id,
            question_id,
            current.text,
            instants.text(current.saved_at),
            percent(current.points, current.out_of),
            participant_id,
            current.revision,
            paper.rational(current.points),
            paper.rational(current.out_of),
            "none" if current.out_of == 0 else "manual" if current.manual else "auto",
        )
        for (participant_id, question_id), current in draft.answers.items()
        if current.revision > 0
    ]


def _progress(draft: Draft) -> Rows:
    changed = draft.tallies.keys() | {
        pid for pid, sitting in draft.sittings.items() if sitting.attempt_id is not None
    }
    return [_progress_row(draft, participant_id) for participant_id in changed]


def _progress_row(draft: Draft, participant_id: int) -> tuple[object, ...]:
    sitting, tally = draft.sitting(participant_id), draft.tally(participant_id)
    return (
        participant_id,
        tally.answered,
        len(sitting.item_order),
        percent(tally.points, tally.out_of),
        events.time_remaining(sitting, draft.now),
        instants.text_or_none(tally.last_activity),
        instants.text_or_none(tally.last_save),
        tally.current_question,
    )


def _access_tables(draft: Draft) -> Iterable[tuple[str, Rows]]:
    yield (
        "sessions",
        [
            (
                session.token_hash,
                session.participant_id,
                session.device_id,
                instants.text(session.created_at),
                instants.text_or_none(session.ended_at),
            )
            for session in draft.sessions.values()
        ],
    )
    yield (
        "token_bindings",
        [
            (bound.jti, bound.participant_id, bound.device_id, instants.text(bound.expires_at))
            for bound in draft.bindings.values()
        ],
    )
    yield (
        "takeover_codes",
        [
            (code.action_id, code.participant_id, code.verifier, instants.text(code.expires_at))
            for code in draft.issued
        ],
    )
    yield "used_codes", sorted(draft.used_codes)


def _announcements(draft: Draft) -> Rows:
    return [
        (
            told.id,
            instants.text(told.at),
            told.text,
            None
            if told.participant_ids is None
            else _encoder.encode(sorted(told.participant_ids)).decode(),
        )
        for told in draft.announcements
    ]


def _meta(draft: Draft) -> Rows:
    rows: Rows = []
    if draft.bundle is not None:
        rows.append(("bundle", draft.bundle))
    if draft.whole is not draft.state.whole:
        rows.append(("whole", _encoder.encode(draft.whole).decode()))
    if draft.mark is not None:
        rows.append(("mark", str(draft.mark)))
    return rows
