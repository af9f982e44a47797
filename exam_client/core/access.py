"""Who may sit, and where: sessions, tokens bound to devices, one active device, takeover codes.

Codes and tokens were verified before; here their single use and their device become durable.
"""

import msgspec

from exam_client.core import instants
from exam_client.core.commands import CheckIn, SignedIn, SignOut, TakeOver
from exam_client.core.instants import SECOND
from exam_client.core.records import Binding, Session, Sitting
from exam_client.core.state import Draft
from exam_client.errors import Refusal
from exam_contract.problems import ProblemCode
from exam_contract.progress import AttemptState

SESSIONS_PER_DEVICE = 4
"""A lost reply leaves a session nobody holds; more than this and the oldest ends."""
AFTER_CLOSE_SECONDS = 3600
"""A session outlives its attempt by this, so that receipt and score can still be read."""

_replace = msgspec.structs.replace


def check_in(draft: Draft, command: CheckIn) -> SignedIn:
    """Exchange a verified token for a session. Raises Refusal (replayed, other device)."""
    _bind(draft, command.jti, command.participant_id, command.device_id, command.token_expires_at)
    mine = _open_sessions(draft, command.participant_id)
    if any(session.device_id != command.device_id for session in mine):
        raise Refusal(
            ProblemCode.DEVICE_CONFLICT,
            "the exam is open on another device; ask an invigilator for a takeover code",
        )
    reused = command.present_session in {session.token_hash for session in mine}
    if not reused:
        for session in mine[: max(0, len(mine) - SESSIONS_PER_DEVICE + 1)]:
            _end(draft, session)
        _open(draft, command.participant_id, command.device_id, command.session_hash)
        _note_sign_in(draft, command)
    return SignedIn(_check_in_sitting(draft, command.participant_id, command.offline), reused)


def take_over(draft: Draft, command: TakeOver) -> SignedIn:
    """Move the exam to another device; uses the code up and ends every older session."""
    if draft.code_is_used(command.participant_id, command.code_reference):
        raise Refusal(ProblemCode.TAKEOVER_REFUSED, "this code was used already; ask for another")
    _bind(draft, command.jti, command.participant_id, command.device_id, command.token_expires_at)
    for session in _open_sessions(draft, command.participant_id):
        _end(draft, session)
    _open(draft, command.participant_id, command.device_id, command.session_hash)
    draft.used_codes.add((command.participant_id, command.code_reference))
    draft.note(
        f"participant:{command.participant_id}", "takeover", {"code": command.code_reference}
    )
    sitting = _check_in_sitting(draft, command.participant_id, command.offline)
    draft.emit(
        "attempt_changed",
        command.participant_id,
        {
            "attempt_id": sitting.attempt_id,
            "state": str(sitting.state),
            "deadline": instants.text_or_none(sitting.deadline),
            "deadline_version": sitting.version,
            "reason": "takeover",
            "action_id": None,
        },
    )
    return SignedIn(sitting, reused=False)


def sign_out(draft: Draft, command: SignOut) -> None:
    """End one session; the attempt goes on. Nothing to do when it has ended."""
    session = draft.session(command.session_hash)
    if session is not None and session.ended_at is None:
        _end(draft, session)
        draft.note(f"participant:{session.participant_id}", "sign_out", {})


def is_alive(session: Session, sitting: Sitting, now: int) -> bool:
    """Whether a session may still be used."""
    if session.ended_at is not None:
        return False
    return sitting.ended_at is None or now < sitting.ended_at + AFTER_CLOSE_SECONDS * SECOND


def _bind(
    draft: Draft, jti: str | None, participant_id: int, device_id: str, expires_at: int
) -> None:
    if jti is None:
        return
    bound = draft.binding(jti)
    if bound is None:
        draft.bindings[jti] = Binding(jti, participant_id, device_id, expires_at)
    elif bound.device_id != device_id or bound.participant_id != participant_id:
        raise Refusal(
            ProblemCode.TOKEN_REPLAYED,
            "this sign-in was used on another device; sign in again on this one",
        )


def _open_sessions(draft: Draft, participant_id: int) -> list[Session]:
    sessions = [draft.session(token_hash) for token_hash in draft.sessions_of(participant_id)]
    return [session for session in sessions if session is not None and session.ended_at is None]


def _open(draft: Draft, participant_id: int, device_id: str, token_hash: str) -> None:
    draft.sessions[token_hash] = Session(token_hash, participant_id, device_id, draft.now)
    draft.open_sessions[participant_id] = (*draft.sessions_of(participant_id), token_hash)


def _end(draft: Draft, session: Session) -> None:
    draft.sessions[session.token_hash] = _replace(session, ended_at=draft.now)
    draft.open_sessions[session.participant_id] = tuple(
        held for held in draft.sessions_of(session.participant_id) if held != session.token_hash
    )


def _note_sign_in(draft: Draft, command: CheckIn) -> None:
    how = "offline_sign_in" if command.offline else "sign_in"
    draft.note(f"participant:{command.participant_id}", how, {})


def _check_in_sitting(draft: Draft, participant_id: int, offline: bool) -> Sitting:
    sitting = draft.sitting(participant_id)
    if sitting.state is not AttemptState.REGISTERED:
        return sitting
    sitting = _replace(sitting, state=AttemptState.CHECKED_IN, checked_in_at=draft.now)
    draft.put_sitting(sitting)
    draft.emit("participant_checked_in", participant_id, {"offline": offline})
    return sitting
