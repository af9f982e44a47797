"""How soon to look again: eager where looking costs nothing, calm where thousands are looked after.

Whatever happens by itself (an end, a change of readiness, an edit) is told at once by the edge;
these waits are for what only ``/status`` tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from exam_contract.delivery import Phase

SOON_SECONDS = 0.05
IDLE_SECONDS = 60.0
CALM_SECONDS = 7.0
"""Of a delivery that is well, among few. What is put wrong is said within ten seconds: one such
wait, and what was looked at a moment before it began is older by the edge's own pause."""
LOOKS_A_SECOND = 35.0
"""Of calm deliveries, however many there are: a look costs some milliseconds of one core, and the
time of one that recovers must not go into 1,500 that are well."""
COUNTS_A_SECOND = 25.0
"""Written into statuses, however many there are: what a person follows is live at the coordinator,
and each write costs the API server, its store and every watch."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between looks by phase, and how often the coordinator is told the same again.

    ``counts``: so old a status lets its counts become, where nothing else changes.
    """

    poll_seconds: Mapping[Phase, float]
    recovering_seconds: float
    heartbeat: timedelta
    counts: timedelta = timedelta(seconds=30)


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
        Phase.PREPARED: CALM_SECONDS,
        Phase.RUNNING: CALM_SECONDS,
        Phase.FINALISING: 1.0,
        Phase.TRANSFERRING: 1.0,
        Phase.VALIDATED: 1.0,
    },
    recovering_seconds=0.5,
    heartbeat=timedelta(seconds=60),
)


def among(pace: Pace, deliveries: int) -> Pace:
    """The pace of one of so many: what is calm waits longer, what is eager stays as it is."""
    calm = deliveries / LOOKS_A_SECOND
    if calm <= CALM_SECONDS:
        return pace
    seconds = {
        phase: wait if wait < CALM_SECONDS else max(wait, calm)
        for phase, wait in pace.poll_seconds.items()
    }
    counts = max(pace.counts, timedelta(seconds=deliveries / COUNTS_A_SECOND))
    return replace(pace, poll_seconds=seconds, counts=counts)
