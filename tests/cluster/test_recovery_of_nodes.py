"""A node that reports no more: nobody else writes to its volume until it is certain that it can't.

The real node's kubelet stands still for a while. Nodes that are lost for good are objects alone
(``tests.support.cluster.nodes``): their pods began on the real node, and go on there in the end.
"""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.cluster import exam_day, faults, node, nodes
from tests.support.cluster.api import Api, Json
from tests.support.cluster.ending import assert_ends_whole
from tests.support.cluster.exam_day import ExamDay
from tests.support.cluster.hall import Hall
from tests.support.cluster.installation import Installation
from tests.support.cluster.nodes import PretendNode
from tests.support.cluster.objects import Delivery
from tests.support.cluster.proof import Proof, Scenario
from tests.support.waiting import until

PARTICIPANTS = 5
ANSWERS = 4 * PARTICIPANTS
REPLACE: Json = {"recovery": {"nodeLossPolicy": "Replace"}}
AWAY_AT_MOST_SECONDS = 200

pytestmark = pytest.mark.timeout(900, method="signal")


def test_a_node_that_is_not_ready_keeps_its_pod(
    installed: Installation, api: Api, namespace: str, tmp_path: Path, proof: Proof
) -> None:
    """The exam goes on there; even when its process dies, a second pod is not the answer."""
    name = "not-ready"
    day = exam_day.begin(
        installed, namespace, tmp_path, name, participants=PARTICIPANTS, spec=REPLACE
    )
    delivery = day.delivery
    with Hall(day) as hall:
        uid, node_name = delivery.pod()["metadata"]["uid"], delivery.pod()["spec"]["nodeName"]
        with node.kubelet_stopped(at_most_seconds=AWAY_AT_MOST_SECONDS):
            _wait_ready(api, node_name, "Unknown")
            hall.answers(ANSWERS)
            assert _pods(delivery) == [uid]

            cut = faults.kill(delivery)
            delivery.wait_condition("Degraded", reason="NodeNotReady")
            assert _pods(delivery) == [uid]
            back = time.monotonic()
        seconds = round(hall.first_accepted(cut.certain) - back, 2)
        _wait_ready(api, node_name, "True")
        hall.answers(ANSWERS)
        assert _pods(delivery) == [uid], "healed in place"
        hall.finish()
    told = "node not ready, process killed there; from the kubelet's return"
    scenario = Scenario(told, name, 1, (seconds,))
    assert_ends_whole(day, None, proof, scenario)


def test_a_lost_node_gives_exactly_one_successor_where_that_is_asked_for(
    installed: Installation, api: Api, namespace: str, tmp_path: Path, proof: Proof
) -> None:
    """Deleted, or declared out of service: with Replace. Else a person says so with the pod."""
    specs: dict[str, Json] = {"deleted": REPLACE, "out-of-service": REPLACE, "waiting": {}}
    days = {
        name: exam_day.begin(
            installed, namespace, tmp_path, name, participants=PARTICIPANTS, spec=spec
        )
        for name, spec in specs.items()
    }
    with ExitStack() as stack:
        halls = {name: stack.enter_context(Hall(day)) for name, day in days.items()}
        held = {name: stack.enter_context(PretendNode(api, f"pretend-{name}")) for name in days}
        uids = _move(api, days, held)

        for one in held.values():
            one.fall_silent()
        for name, day in days.items():
            day.delivery.wait_condition("Degraded", reason="NodeNotReady")
            assert _pods(day.delivery) == [uids[name]]

        began = time.monotonic()
        held["deleted"].remove()
        held["out-of-service"].declare_out_of_service()
        for name in ("out-of-service", "deleted"):
            _assert_one_successor(halls[name], days[name].delivery, uids[name])
            told = f"node {name} (pretended), Replace"
            seconds = round(halls[name].first_accepted(began) - began, 2)
            proof.scenarios.append(Scenario(told, name, 1, (seconds,)))

        waiting = days["waiting"].delivery
        assert _pods(waiting) == [uids["waiting"]]
        # A person who knows that the machine is off.
        api.delete("pods", waiting.children, namespace, gracePeriodSeconds=0)
        _assert_one_successor(halls["waiting"], waiting, uids["waiting"])

        for hall in halls.values():
            hall.finish()
    for day in days.values():
        assert_ends_whole(day, None, proof)


def _move(api: Api, days: dict[str, ExamDay], held: dict[str, PretendNode]) -> dict[str, str]:
    """Each pod's successor comes to a pretend node; their uids."""
    with nodes.shut(api):
        for day in days.values():
            pod = day.delivery.pod()["metadata"]
            api.delete("pods", pod["name"], pod["namespace"])
            faults.wait_pod_gone(day.delivery, pod["uid"])
        return {name: held[name].take(day.delivery) for name, day in days.items()}


def _assert_one_successor(hall: Hall, delivery: Delivery, uid: str) -> None:
    """Epoch 3 and no other; people go on with it."""
    found = delivery.wait_epoch(3, seconds=300)
    hall.answers(ANSWERS)
    pods = _pods(delivery)
    assert len(pods) == 1
    assert pods != [uid]
    assert found.status.epoch == 3


def _pods(delivery: Delivery) -> list[str]:
    """The uids of the delivery's pods, whatever they are called."""
    selector = f"medxamion.io/delivery={delivery.uid}"
    found = delivery.api.all("pods", delivery.namespace, labelSelector=selector)
    return [str(one["metadata"]["uid"]) for one in found]


def _wait_ready(api: Api, name: str, status: str) -> None:
    def told() -> bool:
        conditions = api.get("nodes", name)["status"]["conditions"]
        return any(one["type"] == "Ready" and one["status"] == status for one in conditions)

    until(told, seconds=150, what=f"node {name} to be Ready={status}", pause_seconds=0.5)
