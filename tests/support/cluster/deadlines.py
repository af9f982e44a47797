"""Deadlines as PostgreSQL has them in the end, worked out again from outside.

deadline = start + limit (with the person's accommodation) + every outage that was credited, and an
outage is credited with what it was felt to last, not more.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from exam_contract.people import Accommodation
from examctl.verification.database import Stored

_TOLERANCE_SECONDS = 3.0
"""The last mark of life is about a second old, and whole seconds are credited."""


@dataclass(frozen=True, slots=True)
class Felt:
    """An outage by the wall clock: from the last acknowledgement before it to the first after it;
    ``started``: when the container that ended it was started, to the second."""

    began: datetime
    started: datetime
    over: datetime


def credits(stored: Stored) -> list[tuple[datetime, int]]:
    """When outages were credited, and with how many seconds."""
    return [
        (datetime.fromisoformat(row["at"]), int(json.loads(row["detail"])["seconds"]))
        for row in stored.tables["client_audit"]
        if row["action"] == "outage_credit"
    ]


def assert_right(
    stored: Stored, limit_seconds: int, accommodations: dict[str, Accommodation]
) -> None:
    """Of everybody who sat from before the first outage until after the last."""
    credited = sum(seconds for _, seconds in credits(stored))
    identifiers = {row["id"]: row["identifier"] for row in stored.tables["participants"]}
    for row in stored.tables["attempts"]:
        own = accommodations[identifiers[row["participant_id"]]]
        limit = int(Fraction(own.time_multiplier) * limit_seconds) + own.extra_seconds
        began, deadline = (datetime.fromisoformat(row[name]) for name in ("started_at", "deadline"))
        given = (deadline - began).total_seconds()
        assert abs(given - limit - credited) < 1, (
            f"attempt {row['id']} was given {given} s: the limit is {limit}, credited {credited}"
        )


def assert_credited(stored: Stored, outages: Sequence[Felt]) -> None:
    """Each outage got its credit, and nothing else did."""
    left = credits(stored)
    for felt in outages:
        own = [one for one in left if felt.began <= one[0] <= felt.over]
        assert own, f"nothing was credited for the outage of {felt}"
        seconds = sum(seconds for _, seconds in own)
        least = (felt.started - felt.began).total_seconds() - 1
        most = (felt.over - felt.began).total_seconds() + _TOLERANCE_SECONDS
        assert least <= seconds <= most, f"{own} for {felt}"
        left = [one for one in left if one not in own]
    assert not left, f"credited although nobody felt an outage: {left}"
