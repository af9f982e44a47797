"""Whether an exam-client has failed, and whether it is for us to have it restarted.

Two signs, both for long enough: nobody heard anything from it, and it answers no call. Even then a
live exam is never ended on a guess: when many fail at once it is the network or this coordinator,
and when the operator reaches it, or is at it already, nothing is asked for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

RESTARTABLE = frozenset({"Prepared", "Running", "Finalising", "Transferring"})
_LEAST_FAILURES = 3
_OPERATOR_FRESH_SECONDS = 15.0
_OPERATOR_AWAY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Policy:
    """``after_seconds`` of silence; 0: never. One request per failure, and a pause between two."""

    after_seconds: float
    cooldown_seconds: float


@dataclass(frozen=True, slots=True)
class Sight:
    """How one exam-client that has an address is seen from here."""

    delivery_id: int
    phase: str
    heard_at: datetime | None
    failing_since: datetime | None
    failures: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """``failed``: to be restarted. ``together``: how many fail at once, when that means us."""

    failed: tuple[int, ...]
    together: int = 0


def judge(
    sights: Iterable[Sight],
    requested: Mapping[int, datetime],
    watching_since: datetime,
    now: datetime,
    policy: Policy,
) -> Judgement:
    """``requested``: when the last restart of a delivery was asked for.

    ``watching_since``: what was missed before that says nothing.
    """
    restartable = [sight for sight in sights if sight.phase in RESTARTABLE]
    half = policy.after_seconds / 2
    open_failures = [
        sight
        for sight in restartable
        if sight.failing_since is not None
        and _silent_seconds(sight, watching_since, now) >= half
        and not _answered_for(sight, requested.get(sight.delivery_id))
    ]
    if len(open_failures) > max(1, len(restartable) * 3 // 10):
        return Judgement((), together=len(open_failures))
    return Judgement(
        tuple(
            sight.delivery_id
            for sight in open_failures
            if has_failed(sight, watching_since, now, policy)
        )
    )


def has_failed(sight: Sight, watching_since: datetime, now: datetime, policy: Policy) -> bool:
    """Both signs, for long enough, as far as this process has watched."""
    if sight.failing_since is None or sight.failures < _LEAST_FAILURES:
        return False
    failing = (now - max(sight.failing_since, watching_since)).total_seconds()
    silent = _silent_seconds(sight, watching_since, now)
    return silent >= policy.after_seconds and failing >= policy.after_seconds / 2


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database knows of the delivery: the operator's word, and events at any replica."""

    phase: str
    erased: bool
    operator_heard_at: datetime
    operator_says_healthy: bool
    last_event_at: datetime | None


def withheld(facts: Facts, now: datetime, policy: Policy) -> str | None:
    """Why no restart is asked for; None when it is."""
    if facts.phase not in RESTARTABLE:
        return f"the delivery is {facts.phase}"
    if facts.erased:
        return "its data is transferred and erased"
    heard = facts.last_event_at
    if heard is not None and (now - heard).total_seconds() < policy.after_seconds:
        return "another replica gets its events"
    operator_silent = (now - facts.operator_heard_at).total_seconds()
    if facts.operator_says_healthy and operator_silent < _OPERATOR_FRESH_SECONDS:
        return "the operator reaches it: the fault lies between it and us"
    if operator_silent > _OPERATOR_AWAY_SECONDS:
        return "the operator is away: it would carry the request out too late"
    return None


def _silent_seconds(sight: Sight, watching_since: datetime, now: datetime) -> float:
    heard = watching_since if sight.heard_at is None else max(sight.heard_at, watching_since)
    return (now - heard).total_seconds()


def _answered_for(sight: Sight, requested_at: datetime | None) -> bool:
    """Asked for already, and not heard since: still the same failure."""
    if requested_at is None:
        return False
    return sight.heard_at is None or sight.heard_at <= requested_at


def next_claim_before(now: datetime, policy: Policy) -> datetime:
    """A request made after this is too young for another one."""
    return now - timedelta(seconds=policy.cooldown_seconds)
