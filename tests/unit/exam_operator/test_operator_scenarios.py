"""The scenarios of every edge, over the simulated world."""

import pytest

from tests.support.operator_rigs import SimulatedRig
from tests.support.operator_scenarios import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_scenario_in_a_simulated_world(scenario: object) -> None:
    assert callable(scenario)
    await scenario(SimulatedRig())
