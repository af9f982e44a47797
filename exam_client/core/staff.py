"""What staff do: time, pause, resume, force-submit, reopen, takeover code, announcement.

Idempotent by ``action_id``: the first outcome is kept and returned again. Everyone an action does
not change is named with the reason.
"""

from typing import assert_never

import msgspec

from exam_client.core import attempts, instants, timing
from exam_client.core.instants import SECOND
from exam_client.core.paper import Paper
from exam_client.core.records import Announcement, IssuedCode, Sitting
from exam_client.core.state import Draft, with_deadline
from exam_client.errors import Refusal
from exam_contract.actions import (
    Action,
    ActionOutcome,
    Announce,
    ForceSubmit,
    GrantTime,
    IssueTakeoverCode,
    Pause,
    Reopen,
    Resume,
)
from exam_contract.problems import ProblemCode
from exam_contract.progress import AttemptState

_replace = msgspec.structs.replace


class _Skip(Exception):
    """One participant is left as they are; the message says why."""


def act(draft: Draft, paper: Paper, action: Action) -> ActionOutcome:
    """Apply an action once. Raises Refusal when the delivery is frozen or nobody is meant."""
    known = draft.actions.get(action.action_id) or draft.state.actions.get(action.action_id)
    if known is not None:
        return ActionOutcome.model_validate_json(known)
    if draft.whole.frozen_at is not None:
        raise Refusal(ProblemCode.DELIVERY_FROZEN, "the delivery is frozen; roll it back first")
    _refuse_unclear(draft, action)
    applied, skipped = _apply_to_all(draft, paper, action)
    _apply_to_delivery(draft, action)
    draft.note(action.actor, f"action_{action.kind}", _audit_detail(action, applied))
    seq = draft.emit(
        "delivery_changed",
        None,
        {
            "change": "action_applied",
            "seconds": getattr(action, "seconds", None),
            "action_id": action.action_id,
        },
    )
    outcome = ActionOutcome(action_id=action.action_id, applied=applied, skipped=skipped, seq=seq)
    draft.actions[action.action_id] = outcome.model_dump_json()
    return outcome


def resume_sitting(draft: Draft, sitting: Sitting) -> Sitting:
    """Let the clock run again; what the pause took is given back."""
    since = sitting.paused_since if sitting.paused_since is not None else draft.now
    paused = sitting.paused + timing.whole_seconds(draft.now - since)
    running = _replace(sitting, state=AttemptState.IN_PROGRESS, paused=paused, paused_since=None)
    return with_deadline(draft, running)


def emit_changed(draft: Draft, sitting: Sitting, reason: str, action_id: str | None = None) -> None:
    """The event of an attempt that got another state or deadline."""
    draft.emit(
        "attempt_changed",
        sitting.participant_id,
        {
            "attempt_id": sitting.attempt_id,
            "state": str(sitting.state),
            "deadline": instants.text_or_none(sitting.deadline),
            "deadline_version": sitting.version,
            "reason": reason,
            "action_id": action_id,
        },
    )


def _refuse_unclear(draft: Draft, action: Action) -> None:
    if isinstance(action, IssueTakeoverCode) and len(action.participant_ids or []) != 1:
        raise Refusal(ProblemCode.INVALID_FIELD, "a takeover code is for exactly one participant")
    unknown = [pid for pid in action.participant_ids or [] if pid not in draft.state.people]
    if unknown:
        raise Refusal(ProblemCode.INVALID_FIELD, f"participant {unknown[0]} is not enrolled here")


def _apply_to_all(draft: Draft, paper: Paper, action: Action) -> tuple[list[int], dict[int, str]]:
    concerned = action.participant_ids
    applied: list[int] = []
    skipped: dict[int, str] = {}
    for participant_id in draft.participant_ids() if concerned is None else concerned:
        try:
            _apply_to_one(draft, paper, action, draft.sitting(participant_id))
            applied.append(participant_id)
        except _Skip as reason:
            if concerned is not None:
                skipped[participant_id] = str(reason)
    return applied, skipped


def _apply_to_one(draft: Draft, paper: Paper, action: Action, sitting: Sitting) -> None:
    match action:
        case GrantTime():
            _grant(draft, action, sitting)
        case Pause():
            _pause(draft, action, sitting)
        case Resume():
            _resume(draft, action, sitting)
        case ForceSubmit():
            if not sitting.is_open:
                raise _Skip("the attempt is not open")
            attempts.close(draft, paper, sitting, AttemptState.FORCE_SUBMITTED, "action")
        case Reopen():
            _reopen(draft, action, sitting)
        case IssueTakeoverCode():
            expires_at = instants.from_datetime(action.expires_at)
            draft.issued.append(
                IssuedCode(
                    action.action_id, sitting.participant_id, action.code_verifier, expires_at
                )
            )
        case Announce():
            pass
        case _:
            assert_never(action)


def _grant(draft: Draft, action: GrantTime, sitting: Sitting) -> None:
    if sitting.ended_at is not None:
        raise _Skip("the attempt is closed; reopen it first")
    granted = _replace(sitting, granted=sitting.granted + action.seconds)
    granted = with_deadline(draft, granted)
    draft.put_sitting(granted)
    emit_changed(draft, granted, "time_granted", action.action_id)


def _pause(draft: Draft, action: Pause, sitting: Sitting) -> None:
    if sitting.state is not AttemptState.IN_PROGRESS:
        raise _Skip("the attempt is not running")
    paused = _replace(
        sitting,
        state=AttemptState.PAUSED,
        paused_since=draft.now,
        version=sitting.version + 1,
    )
    draft.put_sitting(paused)
    emit_changed(draft, paused, "paused", action.action_id)


def _resume(draft: Draft, action: Resume, sitting: Sitting) -> None:
    if sitting.state is not AttemptState.PAUSED:
        raise _Skip("the attempt is not paused")
    running = resume_sitting(draft, sitting)
    draft.put_sitting(running)
    emit_changed(draft, running, "resumed", action.action_id)


def _reopen(draft: Draft, action: Reopen, sitting: Sitting) -> None:
    """What was left at the end, at least ``seconds``, runs from now."""
    if not sitting.is_closed or sitting.ended_at is None or sitting.deadline is None:
        raise _Skip("the attempt is not closed")
    left = max(sitting.deadline - sitting.ended_at, action.seconds * SECOND)
    missing = timing.whole_seconds(draft.now + left - sitting.deadline)
    reopened = _replace(
        sitting,
        state=AttemptState.IN_PROGRESS,
        granted=sitting.granted + missing,
        ended_at=None,
        receipt_code=None,
        closed_by=None,
    )
    reopened = with_deadline(draft, reopened)
    draft.put_sitting(reopened)
    emit_changed(draft, reopened, "reopened", action.action_id)


def _apply_to_delivery(draft: Draft, action: Action) -> None:
    """What also holds for those who have not begun yet."""
    match action:
        case Pause() if action.participant_ids is None:
            draft.change_whole(all_paused=True)
        case Resume() if action.participant_ids is None:
            draft.change_whole(all_paused=False)
        case Announce():
            ids = action.participant_ids
            number = len(draft.state.announcements) + len(draft.announcements) + 1
            draft.announcements.append(
                Announcement(
                    number, draft.now, action.text, None if ids is None else frozenset(ids)
                )
            )
        case _:
            pass


def _audit_detail(action: Action, applied: list[int]) -> dict[str, object]:
    """Codes, counts and ids; prose of staff stays out of the chain but for its reason."""
    return {
        "action_id": action.action_id,
        "applied": len(applied),
        "everybody": action.participant_ids is None,
        "participants": applied[:100],
        "reason": action.reason,
        "seconds": getattr(action, "seconds", None),
    }
