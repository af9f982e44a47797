"""What people ask of a running delivery: a restart, a pause, a fence, an abort, a discard."""

import json
from pathlib import Path

import pytest

from exam_contract.delivery import Phase
from examctl.simulation.sitting import Behaviour
from tests.support.cluster import exam_day, kubectl, objects
from tests.support.cluster.api import Api, Json
from tests.support.cluster.exam_day import ExamDay
from tests.support.cluster.installation import Installation
from tests.support.waiting import until

PARTICIPANTS = 4
SITTING = 2
"""The others never come, so that the delivery does not end by itself."""
BEHAVIOUR = Behaviour(think_seconds=0.1, arrival_seconds=1, patience_seconds=120, item_limit=8)

pytestmark = pytest.mark.timeout(600)


def test_restart_fence_pause_and_abort(
    installed: Installation, api: Api, namespace: str, tmp_path: Path
) -> None:
    imported = exam_day.bring_exam(installed, tmp_path, name="asked", participants=PARTICIPANTS)
    delivery = objects.apply_example(
        api,
        namespace,
        "asked",
        exam=imported.exam,
        roster=imported.roster,
        participants=PARTICIPANTS,
    )
    delivery.wait_phase(Phase.RUNNING)
    day = ExamDay(installed, delivery, imported.some(SITTING), tmp_path / "ledger.jsonl")
    day.sit(BEHAVIOUR)

    delivery.annotate(restart_requested_at="first")
    restarted = delivery.wait_epoch(2)
    assert restarted.status.restarts.last_requested_at == "first"
    assert restarted.status.restarts.last_reason == "RestartRequested"

    delivery.annotate(fenced="true")
    delivery.wait_condition("WriterFenced", reason="Fenced")
    delivery.annotate(fenced=None)
    delivery.wait_condition("WriterFenced", "False")

    delivery.change({"paused": True})
    before = delivery.raw()["status"]
    api.delete("pods", delivery.children, namespace)
    api.wait_gone("pods", delivery.children, namespace, seconds=60)
    assert delivery.raw()["status"] == before, "while paused the operator writes nothing"
    delivery.change({"paused": False})
    delivery.wait_epoch(3)

    delivery.change({"desiredState": "Aborted"})
    delivery.wait_phase(Phase.ABORTED, seconds=180)
    assert api.find("persistentvolumeclaims", delivery.children, namespace) is None
    day.assert_nothing_lost()


def test_untransferred_data_is_given_up_only_by_name(
    installed: Installation, api: Api, namespace: str, tmp_path: Path
) -> None:
    imported = exam_day.bring_exam(installed, tmp_path, name="given-up", participants=PARTICIPANTS)
    delivery = objects.apply_example(
        api,
        namespace,
        "given-up",
        exam=imported.exam,
        roster=imported.roster,
        participants=PARTICIPANTS,
    )
    delivery.wait_phase(Phase.RUNNING)
    day = ExamDay(installed, delivery, imported.some(SITTING), tmp_path / "ledger.jsonl")
    day.sit(BEHAVIOUR)
    until(
        lambda: delivery.read().status.counts.started > 0,
        seconds=60,
        what="the first attempt to be told",
        pause_seconds=0.2,
    )
    delivery.annotate(discard_untransferred_data="somebody else's uid")
    with pytest.raises(kubectl.Refused, match="discard-untransferred-data"):
        kubectl.kubectl("-n", namespace, "delete", "exd", delivery.name)
    delivery.annotate(discard_untransferred_data=delivery.uid)
    children, uid = delivery.children, delivery.uid
    known = delivery.read().status
    kubectl.kubectl("-n", namespace, "delete", "exd", delivery.name, "--timeout=120s")
    for plural in ("pods", "persistentvolumeclaims", "secrets"):
        api.wait_gone(plural, children, namespace, seconds=60)

    until(lambda: _discard_event(api, namespace, uid), seconds=10, what="the Event of the discard")
    entries = until(
        lambda: _audited(installed, f"delivery:{known.delivery_id}"),
        seconds=10,
        what="the discard to be audited",
        pause_seconds=0.5,
    )
    told = [json.loads(one["detail"]) for one in entries]
    assert [one["phase"] for one in told] == ["Failed"]
    assert told[0]["started"] >= known.counts.started


def _discard_event(api: Api, namespace: str, uid: str) -> str | None:
    found = api.all("events", namespace, fieldSelector=f"involvedObject.uid={uid}")
    return next((one["message"] for one in found if one["reason"] == "DataDiscarded"), None)


def _audited(installed: Installation, target: str) -> list[Json]:
    with installed.coordinator() as coordinator:
        newest = coordinator.get("/api/audit", before=2**53, limit=200)["items"]
    return [
        one for one in newest if (one["action"], one["target"]) == ("delivery_discarded", target)
    ]
