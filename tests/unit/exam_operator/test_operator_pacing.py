"""How often deliveries are looked at: often while few are there, and never too often together."""

import pytest

from exam_contract.delivery import Phase
from exam_operator.core import pacing


@pytest.mark.parametrize(
    ("wait", "deliveries", "spread"),
    [(10.0, 1, 10.0), (10.0, 400, 10.0), (10.0, 1500, 37.5), (60.0, 1500, 60.0), (1.0, 1500, 1.0)],
)
def test_only_calm_waits_grow_with_the_number(wait: float, deliveries: int, spread: float) -> None:
    assert pacing.spread(wait, deliveries) == spread


def test_what_people_wait_for_is_never_calm() -> None:
    eager = (Phase.PREPARING, Phase.FINALISING, Phase.TRANSFERRING, Phase.VALIDATED)
    assert all(pacing.CLUSTER.poll_seconds[phase] < pacing.CALM_SECONDS for phase in eager)
    assert pacing.CLUSTER.recovering_seconds < pacing.CALM_SECONDS
