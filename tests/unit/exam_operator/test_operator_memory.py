"""The memory of the cluster edge: newer wins, another object is another object, nothing grows."""

import json
from datetime import timedelta
from typing import Any

from exam_operator.cluster.memory import Known, Looked, Memory, trimmed
from exam_operator.core.world import Exit, Key, Trouble
from tests.support import deliveries

Json = dict[str, Any]
KEY = Key("exams", "morning")
NOW = deliveries.NOON


def raw(version: int, uid: str = "u1", **meta: Any) -> Json:
    found = deliveries.document()
    found["metadata"] |= {"namespace": "exams", "uid": uid, "resourceVersion": str(version), **meta}
    return found


def known(memory: Memory) -> Known:
    found = memory.get(KEY)
    assert found is not None
    return found


def test_what_is_not_newer_changes_nothing() -> None:
    memory = Memory()
    assert memory.see(raw(5))[1]
    assert not memory.see(raw(5))[1]
    assert not memory.see(raw(4, generation=9))[1]
    assert known(memory).stored.metadata.generation == 0
    assert memory.see(raw(6, generation=1))[1]
    assert not memory.see(raw(7, generation=1))[1], "a status alone is our own doing"


def test_another_object_of_the_name_takes_nothing_over() -> None:
    gone: list[str] = []
    memory = Memory(gone.append)
    memory.see(raw(5))
    known(memory).pod.see({"metadata": {"uid": "p", "resourceVersion": "1"}})
    assert memory.see(raw(9, "u2"))[1]
    assert (known(memory).uid, known(memory).pod.known, gone) == ("u2", False, ["u1"])
    assert not memory.see(raw(7, "u1"))[1], "told late of the one before"
    memory.drop(KEY, "u1")
    assert known(memory).uid == "u2"
    memory.drop(KEY, "u2")
    assert (memory.keys(), gone) == ([], ["u1", "u2"])


def test_an_old_look_does_not_undo_a_newer_one() -> None:
    looked = Looked()
    assert looked.see({"metadata": {"uid": "p", "resourceVersion": "7"}})
    assert not looked.see({"metadata": {"uid": "p", "resourceVersion": "6"}, "old": True})
    assert looked.see(None)
    assert not looked.see(None)


def test_each_end_is_noted_once_and_few_are_kept() -> None:
    memory = Memory()
    memory.see(raw(1))
    found = known(memory)
    for number in range(500):
        for _ in range(2):
            found.note_exit("p", number, Exit(NOW, was_ready=True))
    assert (len(found.exits), len(found.noted)) == (16, 64)


def test_a_refusal_that_nobody_repeats_is_forgotten() -> None:
    memory = Memory()
    memory.see(raw(1))
    found = known(memory)
    found.refused["StartClient"] = (Trouble("QuotaExceeded", "too much"), NOW)
    assert found.refusal(NOW) == Trouble("QuotaExceeded", "too much")
    assert found.refusal(NOW + timedelta(minutes=3)) is None


def test_pods_are_kept_without_what_nobody_reads() -> None:
    meta = {"name": "p", "managedFields": [1], "annotations": {"a": "b"}}
    container = {"name": "c", "image": "i", "env": [1], "ports": []}
    pod = {"kind": "Pod", "metadata": meta, "spec": {"nodeName": "n", "containers": [container]}}
    assert trimmed(pod) == {
        "kind": "Pod",
        "metadata": {"name": "p", "annotations": {"a": "b"}},
        "spec": {
            "nodeName": "n",
            "containers": [{"name": "c", "image": "i", "ports": []}],
        },
    }


def test_strings_that_objects_have_in_common_are_kept_once() -> None:
    seen = [Looked(), Looked()]
    one, other = (looked.found or {} for looked in seen if looked.see(json.loads(_CLAIM)))
    assert one == other == json.loads(_CLAIM)
    assert one["status"]["phase"] is other["status"]["phase"]
    for first, second in zip(one["metadata"], other["metadata"], strict=True):
        assert first is second


_CLAIM = """{"kind": "PersistentVolumeClaim", "status": {"phase": "Bo\\u0075nd", "capacity": {}},
 "metadata": {"name": "exam-client-1", "uid": "u-1", "finalizers": ["a/b"], "generation": 1}}"""
