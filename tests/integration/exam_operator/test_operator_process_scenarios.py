"""The scenarios of every edge, over real processes on this machine."""

from pathlib import Path

import pytest

from tests.support.operator_rigs import process_rig
from tests.support.operator_scenarios import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_scenario_over_processes(scenario: object, tmp_path: Path) -> None:
    assert callable(scenario)
    async with process_rig(tmp_path) as rig:
        await rig.create()
        await scenario(rig)
