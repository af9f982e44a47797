"""How soon to look again: eager where looking costs nothing, calm where thousands are looked after.

Whatever happens by itself (an end, a change of readiness, an edit) is told at once by the edge;
these waits are for what only ``/status`` tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from exam_contract.delivery import Phase

SOON_SECONDS = 0.05
IDLE_SECONDS = 60.0
CALM_SECONDS = 10.0
LOOKS_A_SECOND = 40.0
"""Of calm deliveries, however many there are: a look costs some milliseconds of one core, and the
time of one that recovers must not go into 1,500 that are well."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between looks by phase, and how often the coordinator is told the same again."""

    poll_seconds: Mapping[Phase, float]
    recovering_seconds: float
    heartbeat: timedelta


ONE_MACHINE = Pace(
    poll_seconds={
        Phase.ASSIGNED: 2.0,
        Phase.PREPARING: 0.25,
        Phase.PREPARED: 1.0,
        Phase.RUNNING: 2.0,
        Phase.FINALISING: 0.5,
        Phase.TRANSFERRING: 0.5,
        Phase.VALIDATED: 0.5,
    },
    recovering_seconds=0.1,
    heartbeat=timedelta(seconds=5),
)

CLUSTER = Pace(
    poll_seconds={
        Phase.ASSIGNED: 3.0,
        Phase.PREPARING: 2.0,
        Phase.PREPARED: 10.0,
        Phase.RUNNING: 10.0,
        Phase.FINALISING: 1.0,
        Phase.TRANSFERRING: 1.0,
        Phase.VALIDATED: 1.0,
    },
    recovering_seconds=0.5,
    heartbeat=timedelta(seconds=60),
)


def spread(wait_seconds: float, deliveries: int) -> float:
    """A calm wait, grown where so many deliveries are looked after; an eager one stays as it is."""
    if wait_seconds < CALM_SECONDS:
        return wait_seconds
    return max(wait_seconds, deliveries / LOOKS_A_SECOND)
