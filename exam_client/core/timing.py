"""The one place that says when an attempt ends.

deadline = min(start + limit x multiplier + extra, close) + grants + pauses + outage credit: what a
person or an outage took from a participant moves the cap too, an accommodation does not.
"""

from fractions import Fraction

import msgspec

from exam_client.core.instants import SECOND


class Terms(msgspec.Struct, frozen=True):
    """The window and limit in force (the desired document's, until then the bundle's)."""

    opens_at: int
    closes_at: int
    grace_seconds: int
    limit_seconds: int


class Allowance(msgspec.Struct, frozen=True):
    """What one participant has beyond the limit, in seconds."""

    multiplier: Fraction = Fraction(1)
    extra: int = 0
    granted: int = 0
    paused: int = 0
    credited: int = 0


def deadline(started_at: int, terms: Terms, allowance: Allowance) -> int:
    """The instant at which the attempt's clock ends."""
    own = started_at + limit_micros(terms, allowance)
    moved = allowance.granted + allowance.paused + allowance.credited
    return min(own, terms.closes_at) + moved * SECOND


def limit_micros(terms: Terms, allowance: Allowance) -> int:
    """The limit with the participant's accommodation, before the cap."""
    return int(terms.limit_seconds * allowance.multiplier * SECOND) + allowance.extra * SECOND


def accepts_until(due: int, terms: Terms) -> int:
    """The last instant at which an answer may arrive: grace is for arrival only."""
    return due + terms.grace_seconds * SECOND


def seconds_left(due: int, now: int) -> int:
    """Whole seconds until the deadline, never negative; rounded up, so 0 means over."""
    return max(0, -((now - due) // SECOND))


def whole_seconds(micros: int) -> int:
    """Seconds of a gap, rounded up in the participant's favour, never negative."""
    return max(0, -(-micros // SECOND))
