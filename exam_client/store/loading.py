"""The file as a state in memory: what a successor continues from."""

import json

import msgspec

from exam_client.core import audit, instants, records
from exam_client.core.paper import Paper
from exam_client.core.state import State, positions
from exam_client.errors import FileDamaged
from exam_client.store.database import Connection
from exam_contract.answers import is_answered
from exam_contract.progress import AttemptState


def meta(connection: Connection, name: str) -> str | None:
    """One document of ``meta``, or None."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def load_whole(connection: Connection, state: State) -> None:
    """What needs no bundle: modes, marks, numbering, audit head. Raises FileDamaged."""
    stored = meta(connection, "whole")
    if stored is not None:
        state.whole = msgspec.json.decode(stored, type=records.Whole)
    mark = meta(connection, "mark")
    state.last_mark = None if mark is None else int(mark)
    state.last_seq = _scalar(connection, "SELECT coalesce(max(seq), 0) FROM outbox")
    state.next_attempt = 1 + _scalar(connection, "SELECT coalesce(max(id), 0) FROM attempts")
    state.next_answer = 1 + _scalar(connection, "SELECT coalesce(max(id), 0) FROM answers")
    state.next_revision = 1 + _scalar(
        connection, "SELECT coalesce(max(id), 0) FROM answer_revisions"
    )
    state.answer_count = _scalar(connection, "SELECT count(*) FROM answers")
    state.revision_count = _scalar(connection, "SELECT count(*) FROM answer_revisions")
    if state.last_seq != _scalar(connection, "SELECT count(*) FROM outbox"):
        raise FileDamaged("the outbox has a gap; the file was edited: restore the volume")
    _load_audit(connection, state)


def load_people(connection: Connection, state: State, paper: Paper) -> None:
    """Attempts, answers, commands, sessions and codes of a delivery that has its bundle."""
    state.adopt(paper)
    _load_sittings(connection, state)
    _load_answers(connection, state, paper)
    _load_commands(connection, state)
    _load_access(connection, state)


def _load_audit(connection: Connection, state: State) -> None:
    entries = [
        audit.Entry(*row)
        for row in connection.execute(
            "SELECT id, at, actor, action, detail, prev, hash FROM audit ORDER BY id"
        )
    ]
    broken = audit.first_break(entries)
    if broken is not None:
        raise FileDamaged(
            f"the audit chain breaks at entry {broken}; the file was edited: restore the volume"
        )
    if entries:
        state.audit_id, state.audit_head = entries[-1].id, entries[-1].hash


def _load_sittings(connection: Connection, state: State) -> None:
    for row in connection.execute(
        """SELECT p.id, p.status, p.checked_in_at, p.granted_seconds, p.closed_by,
            p.deadline_version, a.id, a.started_at, a.ended_at, a.deadline, a.paused_seconds,
            a.credited_seconds, a.paused_since, a.item_order, a.receipt_code
            FROM participants p LEFT JOIN attempts a ON a.participant_id = p.id"""
    ):
        sitting = records.Sitting(
            participant_id=row[0],
            state=AttemptState(row[1]),
            checked_in_at=instants.parse_or_none(row[2]),
            granted=row[3],
            closed_by=row[4],
            version=row[5],
            attempt_id=row[6],
            started_at=instants.parse_or_none(row[7]),
            ended_at=instants.parse_or_none(row[8]),
            deadline=instants.parse_or_none(row[9]),
            paused=row[10] or 0,
            credited=row[11] or 0,
            paused_since=instants.parse_or_none(row[12]),
            item_order=tuple(json.loads(row[13])) if row[13] else (),
            receipt_code=row[14],
        )
        state.sittings[sitting.participant_id] = sitting
        if sitting.item_order:
            state.positions[sitting.participant_id] = positions(sitting)


def _load_answers(connection: Connection, state: State, paper: Paper) -> None:
    """Current answers and the running sums over them, recomputed from the rows."""
    sums: dict[int, list[int]] = {pid: [0, 0, 0, 0, 0] for pid in state.sittings}
    for row in connection.execute(
        """SELECT participant_id, question_id, id, revision, answer, submitted_at, points,
            max_points, scoring FROM answers"""
    ):
        current = records.Current(
            answer_id=row[2],
            revision=row[3],
            top=row[3],
            text=row[4],
            saved_at=instants.parse(row[5]),
            points=paper.scaled(row[6]),
            out_of=paper.scaled(row[7]),
            manual=row[8] == "manual",
            answered=is_answered(json.loads(row[4])),
        )
        state.answers.setdefault(row[0], {})[row[1]] = current
        total = sums[row[0]]
        total[0] += int(current.answered)
        total[1] += current.points
        total[2] += current.out_of if current.answered else 0
        total[3] += int(current.manual)
    for participant_id, count in connection.execute(
        "SELECT participant_id, count(*) FROM answer_revisions GROUP BY participant_id"
    ):
        sums[participant_id][4] = count
    for row in connection.execute(
        "SELECT participant_id, last_activity, last_save, current_question FROM progress"
    ):
        answered, points, out_of, manual, revisions = sums[row[0]]
        state.tallies[row[0]] = records.Tally(
            answered=answered,
            points=points,
            out_of=out_of,
            manual=manual,
            revisions=revisions,
            current_question=row[3],
            last_activity=instants.parse_or_none(row[1]),
            last_save=instants.parse_or_none(row[2]),
        )


def _load_commands(connection: Connection, state: State) -> None:
    nothing = records.Current(0, 0, 0, "null", 0, 0, 0, manual=False, answered=False)
    for row in connection.execute(
        """SELECT participant_id, command_id, question_id, base_revision, answer, revision,
            submitted_at, seq, counted FROM answer_revisions ORDER BY id"""
    ):
        state.commands.setdefault(row[0], {})[row[1]] = records.CommandRecord(
            fingerprint=hash((row[2], row[3], row[4])),
            question_id=row[2],
            revision=row[5],
            saved_at=instants.parse(row[6]),
            seq=row[7],
            counted=bool(row[8]),
        )
        held = state.answers.setdefault(row[0], {})
        current = held.get(row[2], nothing)
        if row[5] > current.top:
            held[row[2]] = msgspec.structs.replace(current, top=row[5])


def _load_access(connection: Connection, state: State) -> None:
    for row in connection.execute(
        """SELECT token_hash, participant_id, device_id, created_at, ended_at FROM sessions
            ORDER BY created_at"""
    ):
        session = records.Session(
            row[0], row[1], row[2], instants.parse(row[3]), instants.parse_or_none(row[4])
        )
        state.sessions[session.token_hash] = session
        if session.ended_at is None:
            held = state.open_sessions.get(session.participant_id, ())
            state.open_sessions[session.participant_id] = (*held, session.token_hash)
    for row in connection.execute(
        "SELECT jti, participant_id, device_id, expires_at FROM token_bindings"
    ):
        state.bindings[row[0]] = records.Binding(row[0], row[1], row[2], instants.parse(row[3]))
    for row in connection.execute(
        "SELECT action_id, participant_id, verifier, expires_at FROM takeover_codes"
    ):
        code = records.IssuedCode(row[0], row[1], row[2], instants.parse(row[3]))
        state.issued[code.participant_id] = (*state.issued.get(code.participant_id, ()), code)
    state.used_codes = {
        (row[0], row[1])
        for row in connection.execute("SELECT participant_id, reference FROM used_codes")
    }
    state.actions = dict(connection.execute("SELECT action_id, outcome FROM actions").fetchall())
    state.announcements = tuple(
        records.Announcement(
            row[0],
            instants.parse(row[1]),
            row[2],
            None if row[3] is None else frozenset(json.loads(row[3])),
        )
        for row in connection.execute(
            "SELECT id, at, text, participant_ids FROM announcements ORDER BY id"
        )
    )


def _scalar(connection: Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])
