"""The delivery as a whole: assigned, opened, recovered with outage credit, frozen, rolled back.

Modes go forward only, but for run after finalise or transfer, and never once a receipt is held.
"""

from typing import assert_never

import msgspec

from exam_client.core import attempts, instants, staff, timing
from exam_client.core.commands import RollBack, SetTransfer, StoreBundle, Tick
from exam_client.core.paper import Paper
from exam_client.core.records import Transfer
from exam_client.core.state import Draft, with_deadline
from exam_client.errors import Refusal
from exam_contract.control import Desired, Mode
from exam_contract.problems import ProblemCode
from exam_contract.progress import AttemptState

FROZEN_GAP_SECONDS = 20
"""A process that stood still this long (stopped, not restarted) was an outage too."""
_ORDER = list(Mode)
_replace = msgspec.structs.replace


def store_bundle(draft: Draft, command: StoreBundle) -> None:
    """Content, key and roster arrive, once."""
    if draft.state.paper is not None:
        return
    draft.bundle, draft.paper = command.text, command.paper
    bundle = command.paper.bundle
    detail = {"exam": bundle.exam.id, "version": bundle.exam.version}
    draft.note("client", "assigned", {**detail, "participants": len(bundle.participants)})
    _emit_change(draft, "assigned")


def set_desired(draft: Draft, desired: Desired) -> bool:
    """Put a newer document in force. Raises Refusal; True when it asks for a rollback."""
    whole = draft.whole
    if desired.generation < whole.generation:
        raise Refusal(
            ProblemCode.STALE_GENERATION,
            f"generation {whole.generation} is in force",
            generation=whole.generation,
        )
    back = _goes_back(whole.mode, desired.mode)
    if back and (whole.transfer.receipt is not None or desired.mode is not Mode.RUN):
        _refuse_back(draft)
    if desired.mode is Mode.ERASE and whole.transfer.receipt is None:
        raise Refusal(ProblemCode.CONFLICT, "nothing is erased before a receipt was compared")
    if not back:
        _take_terms(draft, desired)
    return back


def roll_back(draft: Draft, paper: Paper | None, command: RollBack) -> None:
    """A frozen delivery runs again; what the freeze took in time is credited."""
    if draft.whole.transfer.receipt is not None:
        _refuse_back(draft)
    frozen_at = draft.whole.frozen_at
    draft.change_whole(frozen_at=None, transfer=Transfer())
    _take_terms(draft, command.desired)
    if paper is None or frozen_at is None:
        return
    gap = timing.whole_seconds(draft.now - frozen_at)
    for participant_id in draft.participant_ids():
        _thaw(draft, participant_id, gap)
    draft.note("operator", "rolled_back", {"seconds": gap})
    _emit_change(draft, "rolled_back", gap)


def freeze(draft: Draft, paper: Paper | None) -> None:
    """Close what is open, name the absent, let nobody write any more. Again: nothing."""
    if draft.whole.frozen_at is not None:
        return
    if paper is not None:
        for participant_id in draft.participant_ids():
            _freeze_sitting(draft, paper, participant_id)
    draft.note("operator", "frozen", {"aborted": draft.whole.aborted})
    _emit_change(draft, "frozen")
    draft.change_whole(frozen_at=draft.now)


def recovered(draft: Draft, paper: Paper | None) -> None:
    """An existing file was opened: credit the gap before anything can expire in it."""
    draft.note(
        "client",
        "recovered",
        {"epoch": draft.state.identity.epoch, "incarnation": draft.state.identity.incarnation},
    )
    gap = _gap_seconds(draft)
    if draft.whole.frozen_at is None:
        _emit_change(draft, "recovered", gap)
        _credit(draft, paper, gap)
    draft.mark = draft.now


def tick(draft: Draft, paper: Paper | None, command: Tick) -> None:
    """The delivery's second: credit a standstill, sweep, open, flush presence, leave the mark."""
    frozen = draft.whole.frozen_at is not None
    if draft.state.last_mark is not None and not frozen:
        gap = _gap_seconds(draft)
        if gap >= FROZEN_GAP_SECONDS:
            draft.note("client", "standstill", {"seconds": gap})
            _credit(draft, paper, gap)
    if paper is not None and not frozen:
        attempts.sweep(draft, paper)
        _open_when_due(draft)
    if not frozen:
        # The manifest is sealed over frozen rows: a page that is still open must not change them.
        _keep_presence(draft, command)
    if command.delivered_seq != draft.whole.delivered_seq:
        draft.change_whole(delivered_seq=command.delivered_seq)
    draft.mark = draft.now


def _keep_presence(draft: Draft, command: Tick) -> None:
    for participant_id, (at, number) in command.presence.items():
        tally = draft.tally(participant_id)
        latest = max(at, tally.last_activity or 0)
        draft.tallies[participant_id] = _replace(
            tally, last_activity=latest, current_question=number or tally.current_question
        )


def set_storage(draft: Draft, full: bool) -> None:
    """The alarm and its end, as events."""
    if draft.whole.storage_full == full:
        return
    draft.change_whole(storage_full=full)
    draft.note("client", "storage_full" if full else "storage_ok", {})
    if draft.whole.frozen_at is None:
        _emit_change(draft, "storage_full" if full else "storage_ok")


def set_transfer(draft: Draft, command: SetTransfer) -> None:
    """A step of the hand-over becomes durable; each state only follows the one before it."""
    transfer = draft.whole.transfer
    if draft.whole.frozen_at is None:
        raise Refusal(ProblemCode.CONFLICT, "the delivery is not frozen")
    if transfer.receipt is not None and command.state != "receipted":
        raise Refusal(ProblemCode.RECEIPT_HELD, "the results are already received")
    draft.change_whole(transfer=_replace(transfer, state=command.state, **command.members))


def _goes_back(current: Mode, asked: Mode) -> bool:
    return _ORDER.index(asked) < _ORDER.index(current) and current is not Mode.RUN


def _refuse_back(draft: Draft) -> None:
    if draft.whole.transfer.receipt is not None:
        raise Refusal(
            ProblemCode.RECEIPT_HELD, "the coordinator holds the results; nothing runs again"
        )
    raise Refusal(ProblemCode.CONFLICT, "modes go forward; only run follows finalise or transfer")


def _take_terms(draft: Draft, desired: Desired) -> None:
    terms = timing.Terms(
        opens_at=instants.from_datetime(desired.window.opens_at),
        closes_at=instants.from_datetime(desired.window.closes_at),
        grace_seconds=desired.window.grace_seconds,
        limit_seconds=desired.time_limit_seconds,
    )
    whole = draft.whole
    moved = whole.terms is not None and whole.terms != terms
    if desired.mode != whole.mode or moved or desired.fenced != whole.fenced:
        draft.note(
            "operator",
            "desired",
            {"generation": desired.generation, "mode": str(desired.mode), "window_moved": moved},
        )
    draft.change_whole(
        generation=desired.generation,
        mode=desired.mode,
        terms=terms,
        aborted=desired.aborted,
        fenced=desired.fenced,
    )
    if draft.whole.frozen_at is None:
        _move_deadlines(draft)


def _move_deadlines(draft: Draft) -> None:
    """Open attempts whose deadline follows from the new terms differently."""
    for participant_id in draft.participant_ids():
        sitting = draft.sitting(participant_id)
        if not sitting.is_open:
            continue
        moved = with_deadline(draft, sitting)
        if moved.deadline != sitting.deadline:
            draft.put_sitting(moved)
            staff.emit_changed(draft, moved, "window_moved")


def _freeze_sitting(draft: Draft, paper: Paper, participant_id: int) -> None:
    sitting = draft.sitting(participant_id)
    match sitting.state:
        case AttemptState.IN_PROGRESS | AttemptState.PAUSED:
            attempts.close(draft, paper, sitting, AttemptState.FORCE_SUBMITTED, "freeze")
        case AttemptState.REGISTERED | AttemptState.CHECKED_IN:
            draft.put_sitting(_replace(sitting, state=AttemptState.ABSENT, closed_by="freeze"))
        case (
            AttemptState.SUBMITTED
            | AttemptState.AUTO_SUBMITTED
            | AttemptState.FORCE_SUBMITTED
            | AttemptState.ABSENT
            | AttemptState.VOIDED
        ):
            pass
        case _:
            assert_never(sitting.state)


def _thaw(draft: Draft, participant_id: int, gap: int) -> None:
    sitting = draft.sitting(participant_id)
    if sitting.closed_by != "freeze":
        return
    if sitting.attempt_id is None:
        before = AttemptState.CHECKED_IN if sitting.checked_in_at else AttemptState.REGISTERED
        draft.put_sitting(_replace(sitting, state=before, closed_by=None))
        return
    running = _replace(
        sitting,
        state=AttemptState.IN_PROGRESS,
        credited=sitting.credited + gap,
        ended_at=None,
        receipt_code=None,
        closed_by=None,
    )
    running = with_deadline(draft, running)
    draft.put_sitting(running)
    staff.emit_changed(draft, running, "reopened")


def _gap_seconds(draft: Draft) -> int:
    """Seconds since the last mark of life; a clock that went back counts nothing."""
    mark = draft.state.last_mark
    return 0 if mark is None else timing.whole_seconds(draft.now - mark)


def _credit(draft: Draft, paper: Paper | None, gap: int) -> None:
    """Give the gap back to whoever's clock ran in it, as the policy says."""
    if paper is None or gap < 1:
        return
    policy = paper.bundle.policy.outage_credit
    if policy == "off":
        return
    if policy == "propose":
        _emit_change(draft, "outage_proposed", gap)
        return
    for participant_id in draft.participant_ids():
        sitting = draft.sitting(participant_id)
        if sitting.state is AttemptState.IN_PROGRESS and _ran_in_gap(draft, sitting.deadline):
            credited = _replace(sitting, credited=sitting.credited + gap)
            credited = with_deadline(draft, credited)
            draft.put_sitting(credited)
            staff.emit_changed(draft, credited, "outage_credit")
    draft.note("client", "outage_credit", {"seconds": gap})


def _ran_in_gap(draft: Draft, due: int | None) -> bool:
    """An attempt whose time (with grace) was over before the outage gets nothing from it."""
    mark = draft.state.last_mark
    if due is None or mark is None:
        return False
    return timing.accepts_until(due, draft.terms()) >= mark


def _open_when_due(draft: Draft) -> None:
    whole = draft.whole
    if not whole.opened and whole.mode is Mode.RUN and draft.now >= draft.terms().opens_at:
        draft.change_whole(opened=True)
        draft.note("client", "opened", {})
        _emit_change(draft, "opened")


def _emit_change(draft: Draft, change: str, seconds: int | None = None) -> None:
    members = {"change": change, "seconds": seconds, "action_id": None}
    draft.emit("delivery_changed", None, members)
