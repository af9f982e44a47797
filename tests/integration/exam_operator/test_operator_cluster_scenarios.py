"""The scenarios of every edge, with the real kopf and edge over a pretended cluster."""

from pathlib import Path

import pytest

from tests.support.cluster_rig import cluster_rig
from tests.support.endings import sockets_left_behind
from tests.support.operator_scenarios import SCENARIOS

pytestmark = sockets_left_behind


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_scenario_over_a_cluster(scenario: object, tmp_path: Path) -> None:
    assert callable(scenario)
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await scenario(rig)
