"""One delivery from `kubectl apply` to nothing left, with every step looked at on the way.

Conditions, columns, Events and counts at each phase; drain and deletion refused while data is not
transferred and allowed afterwards; the keys' hold on namespace and objects; the metrics of all.
"""

import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from exam_contract.delivery import (
    FINALIZER,
    NAMESPACE_LABEL,
    ExamDelivery,
    Phase,
)
from examctl.simulation.sitting import Behaviour
from tests.support.cluster import (
    coordinators,
    exam_day,
    kubectl,
    metrics,
    objects,
    operator_pod,
    steps,
)
from tests.support.cluster.api import Api, Json
from tests.support.cluster.exam_day import ExamDay
from tests.support.cluster.held_transfers import State, held
from tests.support.cluster.installation import Installation
from tests.support.cluster.objects import Delivery
from tests.support.cluster.steps import Step
from tests.support.waiting import until

PARTICIPANTS = 6
SITTING = 5
"""One never comes, so that the delivery runs until it is told to end."""
OPENS_IN = timedelta(seconds=12)
BEHAVIOUR = Behaviour(think_seconds=0.1, arrival_seconds=2, patience_seconds=120, item_limit=12)
RETENTION_SECONDS = 60
REPLICAS = 2
COLUMNS = [
    "Name", "Exam", "Phase", "Ready", "Participants", "Acked", "Restarts", "Age", "Node", "Epoch",
    "Transfer", "PVC",
]  # fmt: skip
OPEN = {
    "Ready": ("True", "Serving"),
    "ContentReady": ("True", "BundleStored"),
    "StorageReady": ("True", "Open"),
    "TransferComplete": ("False", "NotClosed"),
    "DataValidated": ("False", "NotTransferred"),
    "CleanupComplete": ("False", "NotYet"),
    "Degraded": ("False", "AllWell"),
}
CLOSED = {
    "TransferComplete": ("False", "FinaliseRequested"),
    "DataValidated": ("False", "AwaitingReceipt"),
}
SAFE = {
    "TransferComplete": ("True", "FinaliseRequested"),
    "DataValidated": ("True", "ReceiptVerified"),
}
TOLD = {
    Phase.PREPARED: OPEN,
    Phase.RUNNING: OPEN,
    Phase.FINALISING: OPEN | CLOSED | {"Ready": ("False", "Finalising")},
    Phase.TRANSFERRING: OPEN | CLOSED | {"Ready": ("False", "Transferring")},
    Phase.VALIDATED: OPEN | SAFE | {"Ready": ("False", "Validated")},
    Phase.CLEANED_UP: {
        **SAFE,
        "Ready": ("False", "CleanedUp"),
        "CleanupComplete": ("True", "Erased"),
        "Degraded": ("False", "AllWell"),
    },
}
"""Main conditions at the end of each phase."""

pytestmark = pytest.mark.timeout(600)


def test_the_life_of_a_delivery(
    installed: Installation, api: Api, namespace: str, tmp_path: Path
) -> None:
    imported = exam_day.bring_exam(installed, tmp_path, name="life", participants=PARTICIPANTS)
    before = steps.moment(api, namespace)
    delivery = objects.apply_example(
        api,
        namespace,
        "life",
        exam=imported.exam,
        roster=imported.roster,
        participants=PARTICIPANTS,
        opens_in=OPENS_IN,
        spec={"storage": {"size": "64Mi", "retention": f"{RETENTION_SECONDS}s"}},
    )
    delivery.wait_phase(Phase.PREPARED)
    delivery.wait_condition("Ready")
    running = delivery.wait_phase(Phase.RUNNING)
    _everything_is_there(api, delivery, running)
    _nothing_takes_it_away(api, delivery)
    day = ExamDay(installed, delivery, imported.some(SITTING), tmp_path / "ledger.jsonl")
    day.sit(BEHAVIOUR)
    _answers_keep_it(delivery)
    _metrics_can_be_scraped(installed, delivery)
    _finalise_slowly(installed, delivery)

    validated = delivery.wait_phase(Phase.VALIDATED, seconds=180)
    assert validated.status.transfer.receipt_id is not None
    _held_and_unprotected(api, delivery, validated)
    _may_be_drained(api, delivery)

    delivery.wait_phase(Phase.CLEANED_UP, seconds=180)
    kept = _now(api, delivery, "CleanedUp") - _now(api, delivery, "Validated")
    assert kept >= RETENTION_SECONDS - 2, "it was held as long as was asked"
    _every_step_was_told(steps.since(delivery, before), delivery, day.tally.acknowledged)
    for plural in ("pods", "persistentvolumeclaims", "secrets"):
        assert api.find(plural, delivery.children, namespace) is None, plural
    day.assert_nothing_lost()
    _events_tell_every_phase(api, delivery)
    api.delete(objects.PLURAL, delivery.name, namespace)
    api.wait_gone(objects.PLURAL, delivery.name, namespace, seconds=60)


def _everything_is_there(api: Api, delivery: Delivery, running: ExamDelivery) -> None:
    """Objects with their holds, columns, both endpoints."""
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
    assert running.status.endpoint.public is not None
    assert running.status.endpoint.internal is not None
    table = kubectl.kubectl("-n", delivery.namespace, "get", "exd", delivery.name, "-o", "wide")
    assert table.splitlines()[0].split() == [name.upper() for name in COLUMNS]


def _nothing_takes_it_away(api: Api, delivery: Delivery) -> None:
    """Eviction, drain, and deletion of the namespace are refused in words."""
    evicted = _evict(api, delivery)
    assert evicted.status_code == 429
    drained = _drain(delivery, seconds=4)
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


def _may_be_drained(api: Api, delivery: Delivery) -> None:
    """The pod goes, and what is held stays."""
    drained = _drain(delivery, seconds=60)
    assert drained.returncode == 0, drained.stderr
    assert api.find("pods", delivery.children, delivery.namespace) is None
    for plural in ("persistentvolumeclaims", "secrets"):
        assert "deletionTimestamp" not in api.get(plural, delivery.children, delivery.namespace)
    assert delivery.read().status.phase is Phase.VALIDATED


def _finalise_slowly(installed: Installation, delivery: Delivery) -> None:
    """PostgreSQL keeps the rows waiting for a moment, so that the transfer is seen."""
    number = delivery.read().status.delivery_id or 0
    with installed.database() as dsn, held(dsn, number, [State.COMMIT]) as transfer:
        delivery.change({"desiredState": "Finalised"})
        transfer.wait_held(State.COMMIT)
        delivery.wait_phase(Phase.TRANSFERRING)


def _every_step_was_told(found: list[Step], delivery: Delivery, acknowledged: int) -> None:
    """Phases in order, and at the end of each its conditions, counts and the row of kubectl."""
    last = steps.last_of_each(found)
    assert list(last) == [Phase.ASSIGNED, Phase.PREPARING, *TOLD]
    for phase, conditions in TOLD.items():
        step, is_open = last[phase], phase in (Phase.PREPARED, Phase.RUNNING)
        assert {name: step.conditions[name] for name in conditions} == conditions, phase
        cells = {name: cell for name, cell in step.cells.items() if name not in ("Age", "Node")}
        acked = cells.pop("Acked")
        assert cells == {
            "Name": delivery.name,
            "Exam": delivery.read().spec.exam.id,
            "Phase": phase,
            "Ready": str(is_open),
            "Participants": PARTICIPANTS,
            "Restarts": 0,
            "Epoch": 1,
            "Transfer": step.object.status.transfer.state,
            "PVC": None if phase is Phase.CLEANED_UP else delivery.children,
        }, phase
        # Coarse while people answer, exact from the close on.
        assert is_open or acked == acknowledged, phase


def _metrics_can_be_scraped(installed: Installation, delivery: Delivery) -> None:
    """Prometheus can read from each part all that the chart's alerts and dashboard ask of it."""
    api = installed.api
    replicas = coordinators.pods(api)
    assert len(replicas) == REPLICAS
    texts = [("coordinator", _scraped(api, pod)) for pod in replicas]
    texts.append(("operator", _scraped(api, operator_pod.pod(api))))
    texts.append(("client", _scraped_client(installed, delivery)))
    for part, text in texts:
        asked = metrics.asked_of(part)
        assert asked, part
        assert asked <= metrics.told(text), part


def _scraped(api: Api, pod: Json) -> str:
    meta = pod["metadata"]
    return api.text(
        f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}:9090/proxy/metrics"
    )


def _scraped_client(installed: Installation, delivery: Delivery) -> str:
    """Its certificate is verified, by the name that the chart's PodMonitor gives."""
    pod = f"pod/{delivery.children}"
    with (
        kubectl.forwarded(delivery.namespace, pod, 9235) as port,
        httpx.Client(verify=installed.trust, timeout=20) as scraper,
    ):
        return scraper.get(f"https://localhost:{port}/metrics").text


def _drain(delivery: Delivery, *, seconds: int) -> subprocess.CompletedProcess[str]:
    """As people drain a node, but for this delivery alone."""
    node = delivery.pod()["spec"]["nodeName"]
    try:
        return subprocess.run(
            ["kubectl", "drain", node, "--pod-selector", f"medxamion.io/delivery={delivery.uid}",
             f"--timeout={seconds}s", "--force", "--delete-emptydir-data", "--ignore-daemonsets"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        kubectl.kubectl("uncordon", node)


def _evict(api: Api, delivery: Delivery) -> httpx.Response:
    body: Json = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": delivery.children, "namespace": delivery.namespace},
    }
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
