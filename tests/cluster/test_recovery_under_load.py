"""One exam, and everything that can end an exam-client in it while people answer.

The tests strike in turn at one delivery; the last one lets everybody submit and compares what they
were told with what PostgreSQL holds.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.cluster import counts, exam_day, faults, node, objects, operator_pod
from tests.support.cluster.api import Json
from tests.support.cluster.ending import assert_ends_whole
from tests.support.cluster.hall import Cut, Hall
from tests.support.cluster.installation import Installation
from tests.support.cluster.objects import Delivery
from tests.support.cluster.proof import AT_ONCE, KILLED, SOON, UNFELT, Promise, Proof, Scenario

PARTICIPANTS = 12
NAME = "under-load"
HANG_SECONDS = 120.0
API_AWAY_SECONDS = 10

pytestmark = pytest.mark.timeout(900, method="signal")


@pytest.fixture(scope="module")
def hall(
    installed: Installation, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hall]:
    folder, spec = tmp_path_factory.mktemp(NAME), {"recovery": {"maxRestarts": 1000}}
    day = exam_day.begin(installed, namespace, folder, NAME, participants=PARTICIPANTS, spec=spec)
    with Hall(day) as hall:
        yield hall


@pytest.fixture
def delivery(hall: Hall) -> Delivery:
    return hall.day.delivery


def test_a_killed_process_is_back_at_once(hall: Hall, delivery: Delivery, proof: Proof) -> None:
    """The first time the kubelet starts it again in its place; later the operator steps in."""
    seconds = _strike(hall, counts.kills(), lambda: faults.kill(delivery))

    _note(proof, "SIGKILL of the process", seconds, KILLED)


def test_a_deleted_pod_has_a_successor(hall: Hall, delivery: Delivery, proof: Proof) -> None:
    epoch = delivery.read().status.epoch
    times = counts.pod_deletes()

    seconds = _strike(hall, times, lambda: faults.delete_pod(delivery))

    assert delivery.wait_epoch(epoch + times).status.epoch == epoch + times
    _note(proof, "pod deleted", seconds, SOON)


def test_a_pod_that_dies_while_no_operator_is_there(
    installed: Installation, hall: Hall, delivery: Delivery, proof: Proof
) -> None:
    """A crash needs no operator; a pod that is gone has its successor once there is one.

    A pod's first crash: the kubelet makes each later one wait longer.
    """
    moments: list[float] = []

    def deleted() -> Cut:
        cut = faults.delete_pod(delivery)
        moments.extend([cut.began, time.monotonic()])
        installed.operator_up()
        return cut

    installed.operator_down()
    try:
        in_place = round(hall.outage(lambda: faults.kill(delivery)), 2)
        whole = hall.outage(deleted)
    finally:
        installed.operator_up()

    seconds = round(whole - (moments[1] - moments[0]), 2)
    _note(proof, "process killed without an operator", [in_place], AT_ONCE)
    _note(proof, "pod deleted without an operator; from its return", [seconds], SOON)


def test_operator_and_pod_die_together(hall: Hall, delivery: Delivery, proof: Proof) -> None:
    def both() -> Cut:
        operator_pod.kill(delivery.api)
        return faults.delete_pod(delivery)

    seconds = _strike(hall, 1, both)

    _note(proof, "operator killed, and the pod deleted", seconds, SOON)


def test_a_container_out_of_memory_is_back(hall: Hall, delivery: Delivery, proof: Proof) -> None:
    seconds = _strike(hall, 1, lambda: faults.run_out_of_memory(delivery))

    found = delivery.wait_condition("Ready")
    _note(proof, "container out of memory", seconds, SOON)
    assert found.status.restarts.last_reason == "OOMKilled"


def test_a_process_that_hangs_is_replaced(hall: Hall, delivery: Delivery, proof: Proof) -> None:
    """Slow on purpose: a writer that waits for a slow disk is saving answers. Its liveness probe
    ends it, or the coordinator asks for a restart, whichever comes first."""
    seconds = _strike(hall, 1, lambda: faults.hang(delivery), within=HANG_SECONDS)

    _note(proof, "process stopped (SIGSTOP)", seconds)
    assert seconds[0] > 20, "nobody is ended on a guess"


def test_an_exam_needs_no_api_server(hall: Hall, delivery: Delivery, proof: Proof) -> None:
    """Nobody feels that it is away, and when it is back the operator heals as before.

    How soon is the kubelet's affair: it listens again after a back-off of its own, up to 30 s.
    """
    uid, before, began = (
        delivery.pod()["metadata"]["uid"],
        hall.tally.acknowledged,
        time.monotonic(),
    )

    node.restart_api_server(delivery.api, away_seconds=API_AWAY_SECONDS)

    told = f"API server away for {API_AWAY_SECONDS} s: longest silence"
    _assert_nobody_felt(hall, proof, told, 1, began, before)
    assert delivery.pod()["metadata"]["uid"] == uid
    seconds = _strike(hall, 1, lambda: faults.delete_pod(delivery))
    _note(proof, "pod deleted after the API server's return", seconds)


def test_a_new_operator_and_a_new_template_touch_no_running_pod(
    hall: Hall, delivery: Delivery, proof: Proof
) -> None:
    """They apply from the next pod on."""
    before, acknowledged = delivery.running(), hall.tally.acknowledged
    with operator_pod.changed(delivery.api, "MEDXAMION_OPERATOR_CLIENT_LOG_LEVEL", "warning"):
        delivery.change({"client": {"resources": {"cpu": "250m", "memory": "384Mi"}}})
        delivery.wait_condition("PendingTemplate")
        hall.answers(2 * PARTICIPANTS)
        assert delivery.running() == before
        answered = hall.tally.acknowledged - acknowledged
        proof.scenarios.append(
            Scenario("operator upgraded, template changed", NAME, 1, acknowledged=answered)
        )

        _strike(hall, 1, lambda: faults.delete_pod(delivery))

        delivery.wait_condition("PendingTemplate", "False")
        container = delivery.pod()["spec"]["containers"][0]
        assert container["resources"]["limits"]["memory"] == "384Mi"
        values = {one["name"]: one.get("value") for one in container["env"]}
        assert values["MEDXAMION_CLIENT_LOG_LEVEL"] == "warning"


def test_restarts_of_the_operator_leave_everything_as_it_was(
    hall: Hall, delivery: Delivery, proof: Proof
) -> None:
    times, acknowledged = counts.operator_restarts(), hall.tally.acknowledged
    delivery.wait_condition("Ready")
    before, began = _standing(delivery), time.monotonic()

    for _ in range(times):
        operator_pod.restart(delivery.api)

    told = "operator restarted: longest silence"
    _assert_nobody_felt(hall, proof, told, times, began, acknowledged)
    delivery.wait_condition("Ready")
    assert _standing(delivery) == before


def test_in_the_end_nothing_is_lost(hall: Hall, proof: Proof) -> None:
    """Every answer once, every attempt, and to everybody the time that outages took."""
    hall.finish()

    stored = assert_ends_whole(hall.day, hall.felt, proof)

    assert {row["status"] for row in stored.tables["attempts"]} == {"submitted"}


def _standing(delivery: Delivery) -> Json:
    """What an operator could change, as it is now."""
    name, namespace, api = delivery.children, delivery.namespace, delivery.api
    stored, pod = delivery.raw(), delivery.pod()
    status = {part: stored["status"][part] for part in ("phase", "epoch", "restarts", "endpoint")}
    conditions = {one["type"]: one["status"] for one in stored["status"]["conditions"]}
    meta = {part: stored["metadata"].get(part) for part in ("generation", "finalizers", "labels")}
    kept = [("persistentvolumeclaims", name), ("services", name), ("secrets", name)]
    kept.append(("secrets", f"{name}-tls"))
    versions = [api.get(*one, namespace)["metadata"]["resourceVersion"] for one in kept]
    told = {part: pod["metadata"][part] for part in ("uid", "labels", "annotations")}
    return {
        "status": [status, conditions],
        "meta": meta,
        "versions": versions,
        "pod": [told, objects.container_of(pod)["restartCount"]],
        "namespace": api.get("namespaces", namespace)["metadata"]["labels"],
    }


def _strike(
    hall: Hall, times: int, strike: Callable[[], Cut], *, within: float = 120
) -> list[float]:
    """Seconds that each outage was felt; people answer in between."""
    seconds = []
    for _ in range(times):
        seconds.append(round(hall.outage(strike, seconds=within), 2))
        hall.answers(2 * PARTICIPANTS)
    return seconds


def _assert_nobody_felt(
    hall: Hall, proof: Proof, told: str, times: int, began: float, acknowledged: int
) -> None:
    """Since that moment, at which so many answers were acknowledged."""
    silence = round(hall.longest_silence(began, time.monotonic()), 2)
    more = hall.tally.acknowledged - acknowledged
    found = Scenario(told, NAME, times, (silence,), UNFELT, more)
    proof.scenarios.append(found)
    assert found.kept == "met", f"nobody was answered for {silence} s"


def _note(proof: Proof, name: str, seconds: list[float], promise: Promise | None = None) -> None:
    proof.scenarios.append(Scenario(name, NAME, len(seconds), tuple(seconds), promise))
