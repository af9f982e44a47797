"""One delivery from `kubectl apply` to nothing left, with every step looked at on the way.

Conditions, columns, Events and counts at each phase; eviction and deletion refused while data is
not transferred and allowed afterwards; the keys' hold on namespace and objects; the metrics of all.
"""

import subprocess
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exam_contract.delivery import (
    FINALIZER,
    NAMESPACE_LABEL,
    ExamDelivery,
    Phase,
)
from examctl.simulation.sitting import Behaviour
from tests.support.cluster import exam_day, kubectl, objects
from tests.support.cluster.api import Api, Json
from tests.support.cluster.exam_day import ExamDay
from tests.support.cluster.installation import NAMESPACE, OPERATOR_NAMESPACE, Installation
from tests.support.cluster.objects import Delivery
from tests.support.waiting import until

PARTICIPANTS = 6
BEHAVIOUR = Behaviour(think_seconds=0.1, arrival_seconds=2, patience_seconds=120, item_limit=12)
RETENTION_SECONDS = 60

pytestmark = pytest.mark.timeout(600)


def test_the_life_of_a_delivery(
    installed: Installation, api: Api, namespace: str, tmp_path: Path
) -> None:
    imported = exam_day.bring_exam(installed, tmp_path, name="life", participants=PARTICIPANTS)
    delivery = objects.apply_example(
        api,
        namespace,
        "life",
        exam=imported.exam,
        roster=imported.roster,
        participants=PARTICIPANTS,
        spec={"storage": {"size": "64Mi", "retention": f"{RETENTION_SECONDS}s"}},
    )
    running = delivery.wait_phase(Phase.RUNNING)
    _everything_is_there(api, delivery, running)
    _nothing_takes_it_away(api, delivery)
    day = ExamDay(installed, delivery, imported, tmp_path / "ledger.jsonl")
    day.sit(BEHAVIOUR)
    _answers_keep_it(delivery)
    _metrics_can_be_scraped(api, delivery)
    delivery.change({"desiredState": "Finalised"})

    validated = delivery.wait_phase(Phase.VALIDATED, seconds=180)
    assert _conditions(validated)["DataValidated"] == ("True", "ReceiptVerified")
    assert validated.status.transfer.receipt_id is not None
    assert validated.status.counts.acked == day.tally.acknowledged
    assert validated.status.counts.enrolled == PARTICIPANTS
    _held_and_unprotected(api, delivery, validated)

    ended = delivery.wait_phase(Phase.CLEANED_UP, seconds=180)
    held = (_now(api, delivery, "CleanedUp"), _now(api, delivery, "Validated"))
    assert held[0] - held[1] >= RETENTION_SECONDS - 2, "it was held as long as was asked"
    assert _conditions(ended)["CleanupComplete"] == ("True", "Erased")
    for plural in ("pods", "persistentvolumeclaims", "secrets"):
        assert api.find(plural, delivery.children, namespace) is None, plural
    day.assert_nothing_lost()
    _events_tell_every_phase(api, delivery)
    api.delete(objects.PLURAL, delivery.name, namespace)
    api.wait_gone(objects.PLURAL, delivery.name, namespace, seconds=60)


def _everything_is_there(api: Api, delivery: Delivery, running: ExamDelivery) -> None:
    """Objects with their holds, conditions, columns, both endpoints."""
    for plural in ("persistentvolumeclaims", "secrets"):
        held = api.get(plural, delivery.children, delivery.namespace)["metadata"]
        assert held["finalizers"].count(FINALIZER) == 1
        assert "ownerReferences" not in held
    claim = api.get("persistentvolumeclaims", delivery.children, delivery.namespace)
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert api.get("secrets", delivery.children, delivery.namespace)["immutable"] is True
    assert FINALIZER in delivery.raw()["metadata"]["finalizers"]
    labels = api.get("namespaces", delivery.namespace)["metadata"]["labels"]
    assert labels[NAMESPACE_LABEL] == "true"
    pod = delivery.pod()["metadata"]
    assert pod["ownerReferences"][0]["uid"] == delivery.uid
    found = _conditions(delivery.wait_condition("Ready"))
    assert found["ContentReady"] == ("True", "BundleStored")
    assert found["StorageReady"] == ("True", "Open")
    assert found["Degraded"] == ("False", "AllWell")
    assert running.status.epoch == 1
    assert running.status.endpoint.public is not None
    assert running.status.endpoint.internal is not None
    table = kubectl.kubectl("-n", delivery.namespace, "get", "exd", delivery.name, "-o", "wide")
    head = table.splitlines()[0].split()
    assert head == [
        "NAME", "EXAM", "PHASE", "READY", "PARTICIPANTS", "ACKED", "RESTARTS", "AGE", "NODE",
        "EPOCH", "TRANSFER", "PVC",
    ]  # fmt: skip


def _nothing_takes_it_away(api: Api, delivery: Delivery) -> None:
    """Eviction, drain, and deletion of the namespace are refused in words."""
    evicted = _evict(api, delivery)
    assert evicted.status_code == 429
    node = delivery.pod()["spec"]["nodeName"]
    drained = subprocess.run(
        ["kubectl", "drain", node, "--pod-selector", f"medxamion.io/delivery={delivery.uid}",
         "--timeout=4s", "--force", "--delete-emptydir-data", "--ignore-daemonsets"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    kubectl.kubectl("uncordon", node)
    assert drained.returncode != 0
    assert "disruption budget" in drained.stdout + drained.stderr
    with pytest.raises(kubectl.Refused, match="was not transferred"):
        kubectl.kubectl("delete", "namespace", delivery.namespace)
    assert delivery.pod()["metadata"].get("deletionTimestamp") is None


def _answers_keep_it(delivery: Delivery) -> None:
    """Once attempts have begun the object itself can't be deleted."""
    until(
        lambda: delivery.read().status.counts.started > 0,
        seconds=60,
        what="the first attempt to be told",
        pause_seconds=0.2,
    )
    with pytest.raises(kubectl.Refused, match="discard-untransferred-data"):
        kubectl.kubectl("-n", delivery.namespace, "delete", "exd", delivery.name)


def _held_and_unprotected(api: Api, delivery: Delivery, validated: ExamDelivery) -> None:
    """From the receipt on the data is held for as long as was asked, and guarded no more."""

    def lifted() -> bool:
        claim = api.get("persistentvolumeclaims", delivery.children, delivery.namespace)
        label = delivery.pod()["metadata"]["labels"].get("medxamion.io/protected")
        return FINALIZER not in claim["metadata"].get("finalizers", []) and label is None

    until(lifted, seconds=20, what="the protection to be lifted", pause_seconds=0.2)
    assert validated.status.transfer.validated_at is not None
    claim = api.get("persistentvolumeclaims", delivery.children, delivery.namespace)
    assert claim["metadata"]["ownerReferences"][0]["uid"] == delivery.uid
    until(
        lambda: (
            NAMESPACE_LABEL not in api.get("namespaces", delivery.namespace)["metadata"]["labels"]
        ),
        seconds=40,
        what="the namespace to be let go",
        pause_seconds=0.2,
    )
    assert _evict(api, delivery, dry_run=True).status_code < 300, "it may be evicted now"


def _metrics_can_be_scraped(api: Api, delivery: Delivery) -> None:
    """Prometheus can read what each part says."""
    places = {
        "medxamion_coordinator_": (NAMESPACE, "deployment/medxamion-coordinator", 9090, False),
        "medxamion_operator_": (OPERATOR_NAMESPACE, "deployment/medxamion-operator", 9090, False),
        "medxamion_client_": (delivery.namespace, f"pod/{delivery.children}", 9235, True),
    }
    for prefix, (place, target, port, tls) in places.items():
        with kubectl.forwarded(place, target, port) as local:
            scheme = "https" if tls else "http"
            url = f"{scheme}://127.0.0.1:{local}/metrics"
            text = httpx.get(url, verify=False, timeout=20).text  # noqa: S501  the name is a forward's
        names = {family.name for family in text_string_to_metric_families(text)}
        assert any(name.startswith(prefix) for name in names), (prefix, sorted(names)[:5])


def _evict(api: Api, delivery: Delivery, *, dry_run: bool = False) -> httpx.Response:
    body: Json = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": delivery.children, "namespace": delivery.namespace},
    }
    if dry_run:
        body["deleteOptions"] = {"dryRun": ["All"]}
    path = f"/api/v1/namespaces/{delivery.namespace}/pods/{delivery.children}/eviction"
    return api.raw("POST", path, body)


def _events_tell_every_phase(api: Api, delivery: Delivery) -> None:
    told = {event["reason"] for event in _events(api, delivery)}
    assert told >= {
        "Preparing", "ClientStarted", "Prepared", "Running", "Finalising", "Transferring",
        "Validated", "CleanedUp",
    }  # fmt: skip


def _events(api: Api, delivery: Delivery) -> list[Json]:
    chosen = f"involvedObject.uid={delivery.uid}"
    return api.all("events", delivery.namespace, fieldSelector=chosen)


def _now(api: Api, delivery: Delivery, reason: str) -> float:
    """When an Event was told, in seconds."""
    [told] = [event for event in _events(api, delivery) if event["reason"] == reason]
    return datetime.fromisoformat(told["firstTimestamp"]).timestamp()


def _conditions(found: ExamDelivery) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in found.status.conditions}
