"""What staff and the operator see of the delivery: live progress, statistics, counts."""

from collections.abc import Mapping
from typing import Any, cast

from exam_client.core import attempts, events, instants
from exam_client.core.instants import SECOND
from exam_client.core.paper import Paper, percent
from exam_client.core.records import Sitting
from exam_client.core.state import Draft, State
from exam_contract.bundle import Policy
from exam_contract.control import Counts
from exam_contract.progress import (
    STATUS_WORDS,
    AttemptState,
    ClientView,
    Connection,
    DeliveryStats,
    ParticipantProgress,
    Progress,
)


def client_view(state: State, presence: Mapping[int, int], now: int, delivered: int) -> ClientView:
    """``GET /api/progress``."""
    rows = participants(state, presence, now)
    return ClientView(
        delivery_id=state.identity.delivery_id,
        delivery_uid=state.identity.delivery_uid,
        epoch=state.identity.epoch,
        incarnation=state.identity.incarnation,
        as_of=instants.to_datetime(now),
        last_seq=state.last_seq,
        stats=_stats(state, rows, delivered),
        participants=rows,
    )


def participants(state: State, presence: Mapping[int, int], now: int) -> list[ParticipantProgress]:
    """Every enrolled participant, by id. Empty until the bundle is there."""
    paper = state.paper
    if paper is None:
        return []
    return [
        _participant(state, paper, sitting, presence.get(sitting.participant_id), now)
        for sitting in sorted(state.sittings.values(), key=lambda one: one.participant_id)
    ]


def connection(last_seen: int | None, last_act: int | None, policy: Policy, now: int) -> Connection:
    """A connection's state from when its participant was last heard of and last did something."""
    if last_seen is None:
        return Connection.NEVER_SEEN
    if now - last_seen > policy.disconnected_seconds * SECOND:
        return Connection.DISCONNECTED
    if now - (last_act or last_seen) > policy.idle_seconds * SECOND:
        return Connection.IDLE
    return Connection.ONLINE


def counts(state: State) -> Counts:
    """The figures of ``/status``."""
    sittings = list(state.sittings.values())
    return Counts(
        enrolled=len(sittings),
        checked_in=sum(1 for sitting in sittings if sitting.checked_in_at is not None),
        started=sum(1 for sitting in sittings if sitting.attempt_id is not None),
        open=sum(1 for sitting in sittings if sitting.is_open),
        closed=sum(1 for sitting in sittings if sitting.is_closed),
        answers=state.answer_count,
        revisions=state.revision_count,
        last_seq=state.last_seq,
        delivered_seq=state.whole.delivered_seq,
    )


def latest_deadline(state: State) -> int | None:
    """The last deadline of an open attempt."""
    open_ones = [s.deadline for s in list(state.sittings.values()) if s.is_open and s.deadline]
    return max(open_ones, default=None)


def all_sat(state: State) -> bool:
    """Whether every enrolled participant has a closed attempt."""
    sittings = list(state.sittings.values())
    return bool(sittings) and all(sitting.is_closed for sitting in sittings)


def _participant(
    state: State, paper: Paper, sitting: Sitting, last_seen: int | None, now: int
) -> ParticipantProgress:
    person, tally = state.people[sitting.participant_id], state.tallies[sitting.participant_id]
    final = None
    if sitting.is_closed:
        final = attempts.final_score(Draft(state, now), paper, sitting)[0]
    return ParticipantProgress(
        participant_id=person.id,
        identifier=person.identifier,
        name=person.name,
        state=sitting.state,
        status=cast(Any, STATUS_WORDS[sitting.state]),
        connection=connection(last_seen, tally.last_activity, paper.bundle.policy, now),
        progress=Progress.model_construct(**events.progress(paper, sitting, tally, now)),
        started_at=instants.to_datetime_or_none(sitting.started_at),
        ended_at=instants.to_datetime_or_none(sitting.ended_at),
        deadline=instants.to_datetime_or_none(sitting.deadline),
        deadline_version=sitting.version,
        last_save=instants.to_datetime_or_none(tally.last_save),
        last_activity=instants.to_datetime_or_none(tally.last_activity),
        manual_pending=tally.manual,
        final_score=final,
    )


def _stats(state: State, rows: list[ParticipantProgress], delivered: int) -> DeliveryStats:
    started = [row for row in rows if row.progress.questions_answered > 0]
    return DeliveryStats(
        enrolled=len(rows),
        checked_in=sum(
            1 for row in rows if row.state not in (AttemptState.REGISTERED, AttemptState.ABSENT)
        ),
        in_progress=sum(1 for row in rows if row.state is AttemptState.IN_PROGRESS),
        paused=sum(1 for row in rows if row.state is AttemptState.PAUSED),
        completed=sum(1 for row in rows if row.status == "completed"),
        answers=state.answer_count,
        revisions=state.revision_count,
        average_score=_mean([row.progress.current_score for row in started]),
        average_answered=_mean([row.progress.questions_answered for row in started]),
        online=sum(1 for row in rows if row.connection in (Connection.ONLINE, Connection.IDLE)),
        disconnected=sum(1 for row in rows if row.connection is Connection.DISCONNECTED),
        events_pending=max(0, state.last_seq - delivered),
    )


def stats(state: State, presence: Mapping[int, int], now: int, delivered: int) -> DeliveryStats:
    """``GET /api/delivery-stats``."""
    return _stats(state, participants(state, presence, now), delivered)


def _mean(values: list[int]) -> int | None:
    """Rounded half to even; None of nothing."""
    return percent(sum(values), len(values) * 100) if values else None
