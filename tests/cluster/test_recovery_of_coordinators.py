"""What coordinators do for each other and for an exam-client: when one of two is killed the other
takes its watchers over, and an exam-client that failed is brought back on their request."""

import time
from pathlib import Path

import psycopg
import pytest

from exam_contract.delivery import RESTART_ANNOTATION
from tests.support.cluster import coordinators, exam_day, faults, node
from tests.support.cluster.api import Api, Json
from tests.support.cluster.ending import assert_ends_whole
from tests.support.cluster.hall import Cut, Hall
from tests.support.cluster.installation import Installation
from tests.support.cluster.objects import Delivery
from tests.support.cluster.proof import Proof, Scenario
from tests.support.cluster.watchers import Watcher, watching
from tests.support.waiting import until

PARTICIPANTS = 5
ANSWERS = 4 * PARTICIPANTS
WATCHERS = 6
NOTICED_WITHIN = 60

pytestmark = pytest.mark.timeout(900, method="signal")


def test_who_watches_misses_nothing_when_a_coordinator_is_killed(
    installed: Installation, namespace: str, tmp_path: Path, proof: Proof
) -> None:
    name = "watched"
    day = exam_day.begin(installed, namespace, tmp_path, name, participants=PARTICIPANTS)
    number = day.delivery.read().status.delivery_id or 0
    with Hall(day) as hall, watching(installed, number, WATCHERS) as watchers:
        hall.wait(lambda: all(one.is_watching for one in watchers), what="everybody to watch")
        hall.answers(ANSWERS)
        open_there, killed = _with_most_sockets(day.delivery.api)
        began = time.monotonic()

        coordinators.kill(killed)

        hall.wait(lambda: _again(watchers) == open_there, what="their sockets to be open again")
        seconds = round(time.monotonic() - began, 2)
        hall.answers(ANSWERS)
        head = _head(installed, number)
        hall.wait(lambda: all(one.streams[-1] >= head for one in watchers), what="all to know all")
        for one in watchers:
            assert sorted(set(one.streams)) == list(range(one.streams[0], one.streams[-1] + 1))
            assert one.snapshots == 1, "nobody has to begin anew"
        assert open_there > 0
        coordinators.wait_up()
        hall.finish()
    told = f"coordinator killed with {open_there} sockets open: until all were resumed"
    assert_ends_whole(day, hall.felt, proof, Scenario(told, name, 1, (seconds,)))


def test_an_exam_client_that_failed_is_brought_back_on_the_coordinators_request(
    installed: Installation, namespace: str, tmp_path: Path, proof: Proof
) -> None:
    """The kubelet stands still, so that no liveness probe is quicker."""
    name = "failed"
    day = exam_day.begin(installed, namespace, tmp_path, name, participants=PARTICIPANTS)
    delivery = day.delivery
    with Hall(day) as hall:
        hall.answers(ANSWERS)
        epoch = delivery.read().status.epoch

        def failed() -> Cut:
            with node.kubelet_stopped(at_most_seconds=NOTICED_WITHIN):
                cut = faults.hang(delivery)
                _wait_requested(delivery)
            return cut

        seconds = round(hall.outage(failed), 2)

        found = delivery.wait_epoch(epoch + 1)
        assert found.status.restarts.last_requested_at
        hall.answers(ANSWERS)
        hall.finish()
    told = "process stopped, kubelet too: noticed by the coordinator, restarted by the operator"
    assert_ends_whole(day, hall.felt, proof, Scenario(told, name, 1, (seconds,)))


def _with_most_sockets(api: Api) -> tuple[int, Json]:
    """The coordinator that most people watch through, and how many those are."""
    found = [(coordinators.sockets(api, pod), pod) for pod in coordinators.pods(api)]
    return max(found, key=lambda one: one[0])


def _again(watchers: list[Watcher]) -> int:
    """How many were cut and have been told something since."""
    return sum(one.cuts > 0 and one.is_connected for one in watchers)


def _head(installed: Installation, number: int) -> int:
    """The number of the newest event that PostgreSQL has of a delivery."""
    with installed.database() as dsn, psycopg.connect(dsn) as database:
        query = "SELECT stream FROM cursors WHERE delivery_id = %s"
        found = database.execute(query, (number,)).fetchone()
    assert found is not None
    return int(found[0])


def _wait_requested(delivery: Delivery) -> None:
    until(
        lambda: RESTART_ANNOTATION in delivery.raw()["metadata"].get("annotations", {}),
        seconds=NOTICED_WITHIN,
        what="the coordinator to ask for a restart",
        pause_seconds=0.2,
    )
