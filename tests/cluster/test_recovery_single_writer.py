"""One delivery, one writer: the volume lets nobody else in, and a zombie's words are not taken.

The zombie is a pod of an earlier epoch on a copy of the volume, once under its own name and once
with its successor's identity stolen.
"""

from collections.abc import Iterator

import pytest

from tests.support.cluster import exam_day, faults, zombie
from tests.support.cluster.api import Api, Json
from tests.support.cluster.ending import assert_ends_whole
from tests.support.cluster.hall import Hall
from tests.support.cluster.installation import Installation
from tests.support.cluster.proof import Proof, Scenario
from tests.support.cluster.zombie import Zombie
from tests.support.waiting import until

PARTICIPANTS = 5
ANSWERS = 4 * PARTICIPANTS
NAME = "single-writer"

pytestmark = pytest.mark.timeout(900, method="signal")


@pytest.fixture(scope="module")
def hall(
    installed: Installation, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hall]:
    folder = tmp_path_factory.mktemp(NAME)
    day = exam_day.begin(installed, namespace, folder, NAME, participants=PARTICIPANTS)
    with Hall(day) as hall:
        yield hall


def test_a_second_pod_on_the_same_volume_stays_pending(
    hall: Hall, api: Api, namespace: str, proof: Proof
) -> None:
    delivery = hall.day.delivery
    second = zombie.twin(delivery.pod(), "second", delivery.children)
    api.create("pods", second, namespace)
    try:
        told = _why_unscheduled(api, "second", namespace)
        hall.answers(ANSWERS)
        assert "ReadWriteOncePod" in told
        assert api.get("pods", "second", namespace)["status"]["phase"] == "Pending"
    finally:
        api.delete("pods", "second", namespace, gracePeriodSeconds=0)
    proof.scenarios.append(Scenario("second pod on the volume: stays Pending", NAME, 1))


def test_a_zombie_is_refused_whoever_it_says_it_is(
    hall: Hall, api: Api, namespace: str, proof: Proof
) -> None:
    delivery = hall.day.delivery
    hall.answers(ANSWERS)
    before, volume = delivery.pod(), zombie.copy_volume(delivery)
    hall.outage(lambda: faults.delete_pod(delivery))
    delivery.wait_epoch(2)
    risen = Zombie(api, namespace, before, volume)
    with risen.risen():
        # Under its own name: the coordinator knows another pod.
        risen.tell()
        until(lambda: "not_registered" in risen.log(), seconds=60, what="the zombie to be refused")
        assert risen.metric("outbox_lag_events") != 0

        # As its successor: the epoch on its file is over.
        risen.steal(delivery.pod())
        until(
            lambda: risen.metric("sending_stopped") == 1,
            seconds=60,
            what="the zombie to be fenced off",
            pause_seconds=0.2,
        )
        assert '"alarm": "fenced"' in risen.log()
        hall.answers(ANSWERS)
    proof.scenarios.append(Scenario("zombie of an earlier epoch: refused", NAME, 2))


def test_in_the_end_only_the_one_writer_was_heard(hall: Hall, proof: Proof) -> None:
    day = hall.day
    hall.finish()

    stored = assert_ends_whole(day, hall.felt, proof)

    # One opening of the file in each epoch, and none of the zombie's.
    assert sorted(epoch for epoch, _ in stored.client_keys) == [1, 2]


def _why_unscheduled(api: Api, name: str, namespace: str) -> str:
    def told() -> str:
        conditions: list[Json] = api.get("pods", name, namespace)["status"].get("conditions") or []
        scheduled = [one for one in conditions if one["type"] == "PodScheduled"]
        return str(scheduled[0].get("message", "")) if scheduled else ""

    return until(told, seconds=60, what=f"the scheduler to speak of {name}", pause_seconds=0.1)
