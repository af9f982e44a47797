"""Pods, claims, Secrets and nodes as tables: what each look of theirs means."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from exam_contract.delivery import EndpointStatus
from exam_operator.core import names, sightings
from exam_operator.core.world import Remains, SecretState, Trouble, VolumeState
from tests.support import deliveries

Json = dict[str, Any]
ENDED = {"exitCode": 137, "reason": "Error", "finishedAt": "2026-01-15T12:00:00Z"}
RUNNING: Json = {"running": {}}
STORED = deliveries.delivery()


def pod(state: Json | None = None, *, last: Json | None = None, **status: Any) -> Json:
    container = {"name": "exam-client", "state": state or {}, "lastState": last or {}}
    shown = {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [container], **status}
    labels = {names.EPOCH_LABEL: "3"}
    ports = [{"name": "public", "containerPort": 1}, {"name": "control", "containerPort": 2}]
    return {
        "metadata": {"name": "exam-x", "uid": "pod-1", "labels": labels},
        "spec": {"nodeName": "n", "containers": [{"image": "i", "ports": ports}]},
        "status": shown,
    }


def leaving(found: Json) -> Json:
    found["metadata"]["deletionTimestamp"] = "2026-01-15T12:02:00Z"
    return found


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("found", "alive", "remains", "never_ran", "trouble"),
    [
        (pod(RUNNING), True, Remains.NONE, False, None),
        (pod(waiting("ContainerCreating")), True, Remains.NONE, True, None),
        (pod(waiting("ImagePullBackOff", "no")), True, Remains.NONE, True, "ImagePullBackOff"),
        (pod({"terminated": ENDED}), False, Remains.RETURNING, False, None),
        (
            pod(waiting("CrashLoopBackOff"), last={"terminated": ENDED}),
            False,
            Remains.BLOCKING,
            False,
            "CrashLoop",
        ),
        (pod(phase="Failed", reason="Evicted"), False, Remains.BLOCKING, False, "Evicted"),
        (pod(phase="Failed"), False, Remains.BLOCKING, False, "PodFailed"),
        (leaving(pod(RUNNING)), True, Remains.NONE, False, None),
        (leaving(pod({"terminated": ENDED})), False, Remains.BLOCKING, False, None),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False"}], containerStatuses=[]),
            True,
            Remains.NONE,
            True,
            "Unschedulable",
        ),
    ],
)
def test_a_pod(
    found: Json, alive: bool, remains: Remains, never_ran: bool, trouble: str | None
) -> None:
    child = sightings.child(found, sightings.Around(EndpointStatus()))
    assert (child.alive, child.remains, child.never_ran) == (alive, remains, never_ran)
    assert (child.trouble.reason if child.trouble else None) == trouble
    assert child.epoch == 3


@pytest.mark.parametrize(
    ("found", "stuck"),
    [
        (pod(waiting("ContainerCreating")), True),
        (pod(containerStatuses=[]), True),
        (pod(RUNNING), False),
        (pod(last={"terminated": ENDED}), False),
        (pod(waiting("ImagePullBackOff", "it says so itself")), False),
        (leaving(pod(waiting("ContainerCreating"))), False),
        (pod(conditions=[{"type": "PodReadyToStartContainers", "status": "True"}]), False),
    ],
)
def test_whether_a_pod_is_stuck_on_its_node(found: Json, stuck: bool) -> None:
    assert sightings.is_stuck(found) is stuck
    del found["spec"]["nodeName"]
    assert not sightings.is_stuck(found)


def test_the_two_words_for_one_missing_image_are_one_trouble() -> None:
    """The kubelet changes between them for as long as it lasts; each change would be an Event."""
    around = sightings.Around(EndpointStatus())
    words = ("ErrImagePull", "ImagePullBackOff")
    told = [sightings.child(pod(waiting(word)), around).trouble for word in words]
    assert [one.reason for one in told if one] == ["ImagePullBackOff"] * 2


@pytest.mark.parametrize(("reason", "told"), [("FailedMount", True), ("FailedScheduling", False)])
def test_only_what_hinders_a_node_is_told_of_a_stuck_pod(reason: str, told: bool) -> None:
    around = sightings.Around(EndpointStatus(), complaint=Trouble(reason, "it says."))
    child = sightings.child(pod(waiting("ContainerCreating")), around)
    assert (child.trouble is not None) is told


@pytest.mark.parametrize(
    ("mark", "platform", "outdated"),
    [("a", "a", False), ("a", "b", True), (None, "b", False), ("a", None, False)],
)
def test_a_pod_of_another_installation(
    mark: str | None, platform: str | None, outdated: bool
) -> None:
    found = pod(RUNNING)
    found["metadata"]["annotations"] = {names.PLATFORM_ANNOTATION: mark} if mark else {}
    child = sightings.child(found, sightings.Around(EndpointStatus(), platform=platform))
    assert child.outdated is outdated


@pytest.mark.parametrize(
    ("code", "reason", "word"),
    [
        (137, "Error", "Signal:SIGKILL"),
        (137, "OOMKilled", "OOMKilled"),
        (3, "Error", "Exit3"),
        (0, "Completed", "Exit0"),
        (128 + 99, "Error", "Signal:99"),
    ],
)
def test_the_end_of_a_container(code: int, reason: str, word: str) -> None:
    ended = {"terminated": {**ENDED, "exitCode": code, "reason": reason}}
    end = sightings.exits(pod(RUNNING, last=ended), was_ready=True)
    assert end is not None
    assert (end.reason, end.at) == (word, datetime(2026, 1, 15, 12, tzinfo=UTC))
    assert sightings.exits(pod(RUNNING), was_ready=True) is None


@pytest.mark.parametrize(
    ("status", "at"),
    [
        ({"startTime": "2026-01-15T11:00:00Z"}, 11),
        (
            {
                "startTime": "2026-01-15T11:00:00Z",
                "conditions": [{"type": "Ready", "lastTransitionTime": "2026-01-15T12:00:00Z"}],
            },
            12,
        ),
        ({}, 10),
    ],
)
def test_a_pod_that_failed_without_a_container_ended_too(status: Json, at: int) -> None:
    found = pod(phase="Failed", reason="Evicted", containerStatuses=[], **status)
    found["metadata"]["creationTimestamp"] = "2026-01-15T10:00:00Z"
    end = sightings.exits(found, was_ready=False)
    assert end is not None
    assert (end.reason, end.at) == ("Evicted", datetime(2026, 1, 15, at, tzinfo=UTC))
    assert not end.asked


def test_why_a_pod_failed_says_more_than_how_its_container_ended() -> None:
    found = pod({"terminated": ENDED}, phase="Failed", reason="Evicted")
    end = sightings.exits(found, was_ready=True)
    assert end is not None
    assert end.reason == "Evicted"
    nameless = sightings.exits(pod({"terminated": ENDED}, phase="Failed"), was_ready=True)
    assert nameless is not None
    assert nameless.reason == "Signal:SIGKILL"


def test_who_can_be_asked_and_where() -> None:
    assert sightings.is_running(pod(RUNNING))
    assert not sightings.is_running(None)
    assert not sightings.is_running(pod(RUNNING, podIP=None))
    assert sightings.control_port(pod()) == 2
    assert sightings.control_port({"spec": {"containers": [{}]}}) is None
    assert sightings.control_port({}) is None
    assert (sightings.is_ready(pod()), sightings.restart_count(pod())) == (False, 0)
    assert (sightings.ended_now(pod(RUNNING)), sightings.ended_now(pod())) == (False, True)
    bare = pod()
    bare["spec"]["containers"] = []
    assert sightings.child(bare, sightings.Around(EndpointStatus())).pod.image is None


def claim(phase: str = "Bound", *, uid: str | None = deliveries.UID, **meta: Any) -> Json:
    labels = {names.DELIVERY_LABEL: uid} if uid else {}
    return {"metadata": {"name": "exam-x", "labels": labels, **meta}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("found", "warning", "state", "problem"),
    [
        (None, None, VolumeState.ABSENT, None),
        (claim(), None, VolumeState.PRESENT, None),
        (claim("Pending"), None, VolumeState.PRESENT, None),
        (claim("Pending"), "no class", VolumeState.PRESENT, "the volume can't be made: no class"),
        (claim("Lost"), None, VolumeState.PRESENT, "the volume behind exam-x is gone; restore it"),
        (claim(deletionTimestamp="now"), None, VolumeState.PENDING_DELETION, None),
    ],
)
def test_a_claim(
    found: Json | None, warning: str | None, state: VolumeState, problem: str | None
) -> None:
    volume = sightings.volume(found, STORED, warning)
    assert (volume.state, volume.problem) == (state, problem)


def test_a_claim_of_somebody_else_is_never_adopted() -> None:
    assert sightings.volume(claim(uid="other"), STORED, None).state is VolumeState.FOREIGN


def keys(**parts: bytes) -> Json:
    whole = {"storage.key": b"k" * 32, "control.key": b"c", "trust.json": b"{}"}
    whole |= {name.replace("_", "."): part for name, part in parts.items()}
    data = {name: base64.b64encode(part).decode() for name, part in whole.items() if part}
    labels = {names.DELIVERY_LABEL: deliveries.UID}
    return {"metadata": {"name": "exam-x", "labels": labels}, "data": data}


def keys_of(uid: str) -> Json:
    found = keys()
    found["metadata"]["labels"] = {names.DELIVERY_LABEL: uid}
    return found


def test_what_is_owned_by_the_delivery_is_no_stranger_whatever_its_labels() -> None:
    bare = pod()
    assert not sightings.foreign(None, deliveries.UID)
    assert sightings.foreign(bare, deliveries.UID)
    bare["metadata"]["ownerReferences"] = [{"uid": deliveries.UID}]
    assert not sightings.foreign(bare, deliveries.UID)


def test_keys_are_compared_with_the_digest_on_their_volume() -> None:
    digest = sightings.secret_digest(sightings.decoded(keys()))
    cases = [
        (None, None, SecretState.ABSENT),
        (keys(), None, SecretState.PRESENT),
        (keys(), digest, SecretState.PRESENT),
        (keys(control_key=b""), None, SecretState.DAMAGED),
        (keys(storage_key=b"short"), None, SecretState.DAMAGED),
        (keys(control_key=b"other"), digest, SecretState.DAMAGED),
        (leaving(keys()), digest, SecretState.PRESENT),
        (keys_of("other"), None, SecretState.DAMAGED),
        (keys_of("other"), digest, SecretState.PRESENT),
    ]
    for found, wanted, state in cases:
        assert sightings.secret(found, wanted, deliveries.UID).state is state
    told = sightings.secret(leaving(keys()), digest, deliveries.UID).problem
    assert "being deleted" in str(told)
    assert sightings.decoded({"data": {"a": "no base64!"}}) == {}


@pytest.mark.parametrize(
    ("status", "taints", "trouble", "lost"),
    [
        ("True", [], None, False),
        ("Unknown", [], "is not ready", False),
        ("True", [{"key": "node.kubernetes.io/out-of-service"}], "out of service", True),
    ],
)
def test_a_node(status: str, taints: list[Json], trouble: str | None, lost: bool) -> None:
    conditions = [{"type": "Ready", "status": status}]
    node = {"metadata": {"name": "n"}, "spec": {"taints": taints}}
    node["status"] = {"conditions": conditions}
    said, gone = sightings.node_trouble(node)
    assert gone is lost
    assert said is None if trouble is None else trouble in str(said)
    assert sightings.node_trouble(None) == ("its node is deleted", True)
