"""Pods that linger, containers restarted in place, nodes that are lost: scenarios under a clock.

The simulated cluster itself raises when a second exam-client might hold the volume of the first.
"""

from datetime import timedelta

import pytest

from exam_contract.delivery import Phase
from exam_operator.core import commands as c
from tests.support import deliveries
from tests.support.simulated_cluster import SimulatedCluster

OWN, OTHER = "node-1", "node-2"


def running(policy: str = "Wait") -> SimulatedCluster:
    """With one attempt begun, on the first node."""
    stored = deliveries.delivery(recovery={"nodeLossPolicy": policy})
    found = SimulatedCluster(stored=stored)
    found.until(Phase.RUNNING)
    exam = found.exam()
    assert exam is not None
    exam.begin_attempt()
    found.settle(40)
    found.applied.clear()
    return found


def starts(found: SimulatedCluster) -> list[int]:
    """Epochs that were started since it ran."""
    return [one.epoch for one in found.applied if isinstance(one, c.StartClient)]


def stops(found: SimulatedCluster) -> int:
    return len([one for one in found.applied if isinstance(one, c.StopClient)])


def phase(found: SimulatedCluster) -> Phase:
    assert found.stored is not None
    return found.stored.status.phase


def degraded(found: SimulatedCluster) -> str:
    assert found.stored is not None
    conditions = found.stored.status.conditions
    return next((one.reason for one in conditions if one.type == "Degraded"), "")


def test_a_container_is_restarted_in_its_pod_with_its_epoch_and_a_new_incarnation() -> None:
    found = running()
    assert found.pod is not None
    assert found.file is not None
    uid, incarnation = found.pod["metadata"]["uid"], found.file.incarnation
    found.crash()
    found.settle(10)
    assert found.pod["metadata"]["uid"] == uid
    assert (found.file.incarnation, found.file.started) == (incarnation + 1, 1)
    assert (starts(found), phase(found)) == ([], Phase.RUNNING)
    assert found.stored is not None
    assert found.stored.status.restarts.count == 1


def test_a_pod_in_its_back_off_gives_its_place_to_a_successor() -> None:
    found = running()
    for _ in range(2):
        found.crash()
        found.settle(4)
    found.settle(20)
    assert (starts(found), phase(found)) == ([2], Phase.RUNNING)


@pytest.mark.parametrize("policy", ["Wait", "Replace"])
def test_on_a_node_that_nobody_hears_of_it_runs_on_and_stays_alone(policy: str) -> None:
    found = running(policy)
    found.cut(OWN)
    found.settle(3600)
    assert (starts(found), stops(found), degraded(found)) == ([], 0, "NodeNotReady")
    found.bring_back(OWN)
    found.settle(30)
    assert (starts(found), phase(found), degraded(found)) == ([], Phase.RUNNING, "AllWell")


@pytest.mark.parametrize("policy", ["Wait", "Replace"])
def test_a_pod_that_lingers_in_its_end_keeps_its_place_until_it_is_gone(policy: str) -> None:
    found = running(policy)
    found.cut(OWN)
    found.delete_pod()
    found.settle(3600)
    assert starts(found) == []
    found.bring_back(OWN)
    found.settle(30)
    assert (starts(found), phase(found)) == ([2], Phase.RUNNING)


def test_an_operator_that_died_does_not_know_a_lingering_pod_for_a_dead_one() -> None:
    found = running("Replace")
    found.cut(OWN)
    found.delete_pod()
    for _ in range(50):
        found.forget()
        found.now += timedelta(seconds=30)
        found.turn()
    assert starts(found) == []


@pytest.mark.parametrize(
    ("policy", "evicts", "successors"),
    [("Wait", False, []), ("Replace", False, [2]), ("Wait", True, [2]), ("Replace", True, [2])],
)
def test_a_node_out_of_service_gives_exactly_one_successor_where_that_is_asked(
    policy: str, evicts: bool, successors: list[int]
) -> None:
    """With NoExecute it is the taint that asks for the pod's end."""
    found = running(policy)
    found.declare_out_of_service(OWN, evicts=evicts)
    found.settle(600)
    assert starts(found) == successors
    assert found.process is not None
    assert found.process.node == (OTHER if successors else OWN)


def test_a_deleted_node_gives_exactly_one_successor() -> None:
    """Its pod is collected: then nothing of it can run, whatever the policy."""
    for policy in ("Wait", "Replace"):
        found = running(policy)
        found.delete_node(OWN)
        found.settle(600)
        assert (starts(found), phase(found)) == ([2], Phase.RUNNING)


def test_a_node_that_lost_its_power_takes_its_pod_up_again() -> None:
    found = running()
    found.power_off(OWN)
    found.settle(600)
    assert starts(found) == []
    found.bring_back(OWN)
    found.settle(30)
    assert (starts(found), phase(found)) == ([], Phase.RUNNING)


def test_a_successor_on_an_emptied_volume_is_not_begun_anew() -> None:
    found = running()
    found.delete_pod()
    found.settle(0.2)
    found.file = None
    found.settle(300)
    assert all(one.expects_data for one in found.applied if isinstance(one, c.StartClient))
    assert (found.exam(), phase(found)) == (None, Phase.RECOVERING)


@pytest.mark.parametrize("commands", range(7))
def test_an_operator_that_dies_within_a_plan_gives_no_epoch_twice(commands: int) -> None:
    stored = deliveries.delivery()
    found = SimulatedCluster(stored=stored)
    for _ in range(3):
        found.turn(dies_after=commands)
        found._work()
    found.settle(60)
    assert phase(found) is Phase.RUNNING
    assert found.last_epoch <= 4
