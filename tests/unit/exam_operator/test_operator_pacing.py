"""How often deliveries are looked at: often while few are there, and never too often together."""

from datetime import timedelta

import pytest

from exam_contract.delivery import Phase
from exam_operator.core import pacing


@pytest.mark.parametrize(
    ("deliveries", "running", "counts"),
    [(1, 10.0, 30), (350, 10.0, 30), (700, 20.0, 30), (1750, 50.0, 70)],
)
def test_what_is_calm_waits_longer_among_many(
    deliveries: int, running: float, counts: float
) -> None:
    pace = pacing.among(pacing.CLUSTER, deliveries)
    assert pace.poll_seconds[Phase.RUNNING] == running
    assert pace.counts == timedelta(seconds=counts)


def test_what_is_eager_stays_so_among_many() -> None:
    few, many = pacing.CLUSTER, pacing.among(pacing.CLUSTER, 1500)
    eager = [phase for phase, wait in few.poll_seconds.items() if wait < pacing.CALM_SECONDS]
    assert eager
    assert all(many.poll_seconds[phase] == few.poll_seconds[phase] for phase in eager)
    assert (many.recovering_seconds, many.heartbeat) == (few.recovering_seconds, few.heartbeat)


def test_what_people_wait_for_is_never_calm() -> None:
    eager = (Phase.PREPARING, Phase.FINALISING, Phase.TRANSFERRING, Phase.VALIDATED)
    assert all(pacing.CLUSTER.poll_seconds[phase] < pacing.CALM_SECONDS for phase in eager)
    assert pacing.CLUSTER.recovering_seconds < pacing.CALM_SECONDS
