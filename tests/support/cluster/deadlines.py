"""Deadlines as PostgreSQL has them in the end, worked out again from outside.

deadline = start + limit (with the person's accommodation), at most the window's end, + every outage
that was credited during the attempt; and an outage is credited with what it was felt to last.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from exam_contract.delivery import ExamDeliverySpec
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
    stored: Stored, spec: ExamDeliverySpec, accommodations: dict[str, Accommodation]
) -> None:
    """Of everybody's attempt."""
    identifiers = {row["id"]: row["identifier"] for row in stored.tables["participants"]}
    for row in stored.tables["attempts"]:
        began, ended, deadline = (
            datetime.fromisoformat(row[name]) for name in ("started_at", "ended_at", "deadline")
        )
        own = accommodations[identifiers[row["participant_id"]]]
        limit = int(Fraction(own.time_multiplier) * spec.time_limit_seconds) + own.extra_seconds
        due = min(began + timedelta(seconds=limit), spec.window.closes_at)
        credited = sum(seconds for at, seconds in credits(stored) if began <= at <= ended)
        late = (deadline - due).total_seconds()
        assert abs(late - credited) < 1, (
            f"attempt {row['id']} was due at {due} and got {late} s more, credited were {credited}"
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
