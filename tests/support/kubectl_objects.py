"""What a cluster holds of one delivery, as a person's plugin sees it."""

import base64
from typing import Any

from exam_contract.delivery import ConditionType, Phase
from tests.support import deliveries

Json = dict[str, Any]
NAMESPACE = "exams"
SINCE = "2026-01-15T12:05:00.000000Z"
_HEALTHY: dict[ConditionType, tuple[str, str]] = {
    "Ready": ("True", "Serving"),
    "ContentReady": ("True", "BundleStored"),
    "StorageReady": ("True", "Open"),
    "ClientHealthy": ("True", "Answering"),
    "Recovering": ("False", "NotNeeded"),
    "WriterFenced": ("False", "NotFenced"),
    "PendingTemplate": ("False", "UpToDate"),
    "TransferComplete": ("False", "not_closed"),
    "DataValidated": ("False", "NotTransferred"),
    "CleanupComplete": ("False", "NotYet"),
    "Degraded": ("False", "AllWell"),
}


def delivery(
    name: str = "morning",
    *,
    uid: str = deliveries.UID,
    phase: Phase = Phase.RUNNING,
    annotations: dict[str, str] | None = None,
    status: Json | None = None,
    **conditions: tuple[str, str] | tuple[str, str, str],
) -> Json:
    """The raw object. ``conditions``: type to status, reason and perhaps a message."""
    made = deliveries.document(name)
    made["metadata"] |= {
        "namespace": NAMESPACE,
        "uid": uid,
        "generation": 1,
        "creationTimestamp": "2026-01-15T11:00:00Z",
        "annotations": dict(annotations or {}),
        "managedFields": [{"manager": "kubectl"}],
    }
    made["status"] = {
        "observedGeneration": 1,
        "phase": str(phase),
        "epoch": 3,
        "deliveryId": 12,
        "replicas": 1,
        "pod": {"name": f"exam-{uid}", "uid": "pod-3", "node": "node-a", "restarts": 0},
        "pvcName": f"exam-{uid}",
        "endpoint": {
            "internal": f"https://exam-{uid}.exams.svc:8235",
            "public": "https://exams.example.org:30443",
        },
        "restarts": {"count": 2, "lastReason": "OOMKilled", "lastAt": SINCE},
        "counts": {"enrolled": 5, "started": 4, "open": 3, "closed": 1, "acked": 77},
        "transfer": {"state": "none"},
        "conditions": [
            condition(kind, *conditions.get(kind, told)) for kind, told in _HEALTHY.items()
        ],
        **(status or {}),
    }
    return made


def condition(kind: str, status: str, reason: str, message: str = "") -> Json:
    told = {"type": kind, "status": status, "reason": reason, "message": message}
    return told | {"lastTransitionTime": SINCE, "observedGeneration": 1}


def set_condition(stored: Json, kind: str, status: str, reason: str) -> None:
    """Change one condition of a raw object in place."""
    found = stored["status"]["conditions"]
    found[:] = [one for one in found if one["type"] != kind]
    found.append(condition(kind, status, reason))


def pod(uid: str = deliveries.UID, state: Json | None = None, phase: str = "Running") -> Json:
    """The exam-client's pod, once restarted; its log's tail is in what ended it."""
    ended = {
        "exitCode": 137,
        "reason": "OOMKilled",
        "startedAt": SINCE,
        "finishedAt": SINCE,
        "message": "Traceback: answer of Zoë",
    }
    container = {
        "name": "exam-client",
        "image": "medxamion/client:0.1.0",
        "restartCount": 1,
        "state": state or {"running": {"startedAt": SINCE}},
        "lastState": {"terminated": ended},
    }
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": SINCE}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"exam-{uid}",
            "namespace": NAMESPACE,
            "uid": "pod-3",
            "labels": {"medxamion.io/delivery": uid, "medxamion.io/epoch": "3", "owner": "Zoë"},
            "creationTimestamp": SINCE,
        },
        "spec": {"nodeName": "node-a", "containers": [{"env": [{"name": "A", "value": "secret"}]}]},
        "status": {"phase": phase, "conditions": [ready], "containerStatuses": [container]},
    }


def claim(uid: str = deliveries.UID) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"exam-{uid}", "namespace": NAMESPACE, "uid": "pvc-1"},
        "spec": {"accessModes": ["ReadWriteOncePod"], "volumeName": "pv-1"},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}},
    }


def secret(name: str, data: dict[str, bytes], uid: str = deliveries.UID) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"medxamion.io/delivery": uid},
        },
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def event(name: str, about: Json, reason: str, at: str = SINCE) -> Json:
    involved = {"kind": about["kind"], **{k: about["metadata"][k] for k in ("name", "uid")}}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "involvedObject": involved,
        "type": "Warning",
        "reason": reason,
        "message": f"{reason}: it | happened",
        "lastTimestamp": at,
        "count": 2,
        "source": {"component": "medxamion-operator"},
    }
