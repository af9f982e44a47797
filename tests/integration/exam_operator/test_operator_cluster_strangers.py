"""Objects that are not as the operator made them: told in words, never adopted, never destroyed.

A running exam-client goes on in every case.
"""

import base64
from pathlib import Path
from typing import Any

import pytest

from exam_contract.delivery import ExamDeliveryStatus, Phase
from tests.support.cluster_rig import NAMESPACE, ClusterRig, cluster_rig
from tests.support.endings import sockets_left_behind
from tests.support.fake_store import Refusal

pytestmark = sockets_left_behind
Json = dict[str, Any]
STRANGERS: dict[str, Json] = {
    "persistentvolumeclaims": {"spec": {"accessModes": ["ReadWriteOncePod"]}},
    "pods": {
        "spec": {"containers": [{"name": "other", "image": "other", "ports": []}], "volumes": []},
        "status": {"phase": "Succeeded"},
    },
    "secrets": {
        "data": {
            name: base64.b64encode(b"x" * 32).decode()
            for name in ("storage.key", "control.key", "trust.json")
        }
    },
}
TOLD = {
    "persistentvolumeclaims": "StorageNotReady",
    "pods": "NameTaken",
    "secrets": "SecretDamaged",
}


def runs(status: ExamDeliveryStatus) -> bool:
    return status.phase is Phase.RUNNING


def degraded(status: ExamDeliveryStatus) -> tuple[str, str]:
    """Reason and words; empty when it is not."""
    found = [c for c in status.conditions if c.type == "Degraded" and c.status == "True"]
    return (found[0].reason, found[0].message) if found else ("", "")


@pytest.mark.parametrize("plural", STRANGERS)
async def test_what_bears_the_name_of_a_child_is_refused_and_left_alone(
    tmp_path: Path, plural: str
) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.stop_operator()
        await rig.create()
        name = f"exam-{rig.uid()}"
        rig.store.create(plural, NAMESPACE, {"metadata": {"name": name}, **STRANGERS[plural]})
        await rig.start_operator()
        status = await rig.until(lambda s: degraded(s)[0] == TOLD[plural], "the refusal")
        assert f"{name} is not this delivery's" in degraded(status)[1]
        await rig.until(lambda s: s.phase is Phase.PREPARING, "that it waits")
        standing = rig.child(plural)
        assert standing is not None
        assert standing["metadata"].get("labels") is None
        assert touched(rig, plural) == []
        assert rig.calls("create", "pods") == [] or plural == "pods"
        rig.store.delete(plural, NAMESPACE, name, {"gracePeriodSeconds": 0})
        rig.pass_time(seconds=11)
        status = await rig.until(runs, "Running, once the place is free")
        assert (status.epoch, status.restarts.count) == (1, 0)


def touched(rig: ClusterRig, plural: str) -> list[str]:
    """Changes and deletions that were asked for."""
    verbs = ("patch", "update", "delete")
    return [one.verb for one in rig.api.calls if one.plural == plural and one.verb in verbs]


async def test_altered_keys_are_told_and_the_running_exam_goes_on(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        client, kept = await rig.exam_client(), rig.child("secrets")
        assert kept is not None
        other = base64.b64encode(b"o" * 32).decode()
        put(rig, {**kept["data"], "storage.key": other})
        status = await rig.until(lambda s: degraded(s)[0] == "SecretDamaged", "the change")
        assert "restore the first" in degraded(status)[1]
        await goes_on(rig, client)
        put(rig, kept["data"])
        await rig.until(lambda s: degraded(s) == ("", ""), "that all is well again")
        assert await rig.exam_client() == client


async def test_deleted_keys_are_told_and_the_running_exam_goes_on(tmp_path: Path) -> None:
    """Our finalizer holds them; who takes that away too finds the exam still running."""
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        client, name = await rig.exam_client(), f"exam-{rig.uid()}"
        kept = rig.store.delete("secrets", NAMESPACE, name)
        rig.pass_time(seconds=11)
        status = await rig.until(lambda s: degraded(s)[0] == "SecretNotReady", "the deletion")
        assert "keep a copy" in degraded(status)[1]
        rig.store.edit("secrets", NAMESPACE, name, lambda raw: raw["metadata"].pop("finalizers"))
        rig.pass_time(seconds=11)
        await rig.until(lambda s: degraded(s)[0] == "SecretMissing", "the loss")
        await goes_on(rig, client)
        restored = {"metadata": {"name": name}, "data": kept["data"]}
        rig.store.create("secrets", NAMESPACE, restored)
        rig.pass_time(seconds=11)
        await rig.until(lambda s: degraded(s) == ("", ""), "that all is well again")
        await rig.crash()
        await rig.until(lambda s: runs(s) and s.epoch == 2, "a successor with the old keys")


async def goes_on(rig: ClusterRig, client: str | None) -> None:
    """The same exam-client, and people can sit."""
    await rig.sit(2, 1)
    rig.pass_time(seconds=31)
    status = await rig.until(lambda s: s.counts.started == 2, "the attempts")
    assert status.phase is Phase.RUNNING
    assert await rig.exam_client() == client
    assert rig.calls("delete", "pods") == []


def put(rig: ClusterRig, data: Json) -> None:
    """Past the immutability that the API server guards."""
    name = f"exam-{rig.uid()}"
    rig.store.edit("secrets", NAMESPACE, name, lambda raw: raw.update(data=data))
    rig.pass_time(seconds=11)


async def test_immutable_keys_can_not_be_edited_by_accident(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        with pytest.raises(Refusal, match="immutable"):
            rig.store.merge("secrets", NAMESPACE, f"exam-{rig.uid()}", {"data": {"a": "b"}})


@pytest.mark.parametrize("mend", ["the image appears", "the spec is corrected"])
async def test_an_image_that_can_not_be_pulled_is_told_and_heals(tmp_path: Path, mend: str) -> None:
    async with cluster_rig(tmp_path) as rig:
        rig.kubelet.unpullable.add("absent:1")
        await rig.create(client={"image": "absent:1"})
        status = await rig.until(lambda s: degraded(s)[0] == "ImagePullBackOff", "the trouble")
        assert "absent:1" in degraded(status)[1]
        assert "correct spec.client.image" in degraded(status)[1]
        if mend == "the image appears":
            rig.kubelet.unpullable.clear()
            epoch = 1
        else:
            await rig.edit(client={"image": "present:1"})
            epoch = 2
        status = await rig.until(lambda s: runs(s) and degraded(s) == ("", ""), "Running")
        assert status.epoch == epoch


async def test_an_image_that_the_installation_gave_wrongly_heals_with_it(tmp_path: Path) -> None:
    """Nobody has to touch the deliveries; a pod that runs is left alone and the change told."""
    async with cluster_rig(tmp_path, client_image="absent:1") as rig:
        rig.kubelet.unpullable.add("absent:1")
        await rig.create()
        await rig.until(lambda s: degraded(s)[0] == "ImagePullBackOff", "the trouble")
        rig.change_settings(client_image="present:1")
        await rig.restart_operator()
        status = await rig.until(lambda s: runs(s) and degraded(s) == ("", ""), "Running")
        assert status.epoch == 2
        client = await rig.exam_client()
        rig.change_settings(client_image="present:2")
        await rig.restart_operator()
        await rig.until(template_pends, "that the change is told")
        assert await rig.exam_client() == client


def template_pends(status: ExamDeliveryStatus) -> bool:
    return any(c.type == "PendingTemplate" and c.status == "True" for c in status.conditions)


async def test_a_pod_that_can_not_begin_on_its_node_says_why(tmp_path: Path) -> None:
    """One question serves all that wait, and nobody is asked while all is quiet."""
    async with cluster_rig(tmp_path) as rig:
        rig.kubelet.mounts = False
        for name in ("morning", "noon", "night"):
            await rig.create(name)
        await rig.until(lambda s: s.epoch == 1, "the start")
        rig.pass_time(seconds=5)
        status = await rig.until(lambda s: degraded(s)[0] == "FailedMount", "the trouble")
        assert 'failed for volume "data"; put what it mounts' in degraded(status)[1]
        assert len(rig.calls("list", "events")) <= 3
        rig.kubelet.mounts = True
        await rig.until(lambda s: runs(s) and degraded(s) == ("", ""), "Running")


async def test_a_node_that_turns_pods_away_is_not_besieged(tmp_path: Path) -> None:
    """Each is taken away for another, ever more slowly, and what the node says is told."""
    async with cluster_rig(tmp_path) as rig:
        rig.kubelet.turns_away = True
        await rig.create()
        status = await rig.until(lambda s: degraded(s)[0] == "OutOfmemory", "the trouble")
        assert "enough resource: memory" in degraded(status)[1]
        await rig.until(lambda s: s.epoch >= 3, "some attempts")
        for _ in range(5):
            rig.pass_time(seconds=0.1)
            await rig.until(lambda s: s.restarts.last_reason == "OutOfmemory", "why")
        assert len(rig.calls("create", "pods")) <= 4
        rig.kubelet.turns_away = False
        rig.pass_time(seconds=31)
        await rig.until(lambda s: runs(s) and degraded(s) == ("", ""), "Running")


async def test_a_control_key_that_was_altered_is_not_learned_for_good(tmp_path: Path) -> None:
    """An operator that begins with the wrong one is deaf only until it is put right."""
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        client, kept = await rig.exam_client(), rig.child("secrets")
        assert kept is not None
        put(rig, {**kept["data"], "control.key": base64.b64encode(b"other").decode()})
        await rig.restart_operator()
        await rig.until(lambda s: degraded(s)[0] == "SecretDamaged", "the change")
        put(rig, kept["data"])
        await rig.looks(3)
        await rig.until(lambda s: degraded(s) == ("", ""), "that all is well again")
        assert await rig.exam_client() == client
