"""What an incident report holds: pure, from raw objects to one document, and that to Markdown.

Everything is taken by name, nothing by default: a Secret, a name, an answer or a free annotation
can't slip in, and neither can the tail of a log that Kubernetes keeps in a container's status.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from exam_contract.base import rfc3339
from exam_contract.delivery import (
    DISCARD_ANNOTATION,
    FENCE_ANNOTATION,
    RESTART_ANNOTATION,
    ExamDelivery,
)
from examctl.condition_words import words
from examctl.kubectl.advice import advice

Json = dict[str, Any]
_ANNOTATIONS = (DISCARD_ANNOTATION, RESTART_ANNOTATION, FENCE_ANNOTATION)
_LABELS = ("medxamion.io/epoch", "medxamion.io/protected")
_CLIENT = ("epoch", "incarnation", "generation", "mode", "ready", "fenced", "content", "storage")
_CLIENT_MORE = ("counts", "all_sat", "latest_deadline", "coordinator_reachable", "reported_at")
_COORDINATOR = ("id", "uid", "name", "phase", "resume_phase", "desired_state", "epoch", "counts")
_COORDINATOR_MORE = ("client", "erased", "opens_at", "closes_at", "created_at", "server_time")
_ENDED = ("exitCode", "signal", "reason", "startedAt", "finishedAt")


def document(
    stored: ExamDelivery,
    pod: Json | None,
    claim: Json | None,
    events: Iterable[Json],
    views: Json,
    now: datetime,
) -> Json:
    """The whole report. ``views``: what exam-client and coordinator say, or why they don't."""
    meta = stored.metadata
    return {
        "report": "medxamion incident report",
        "made_at": rfc3339(now),
        "delivery": {
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
            "generation": meta.generation,
            "created_at": rfc3339(meta.creation_timestamp) if meta.creation_timestamp else None,
            "deletion_asked_at": (
                rfc3339(meta.deletion_timestamp) if meta.deletion_timestamp else None
            ),
            "requests": {
                key: meta.annotations[key] for key in _ANNOTATIONS if key in meta.annotations
            },
        },
        "spec": stored.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        "status": stored.status.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude={"conditions"}
        ),
        "conditions": [
            {
                "type": one.type,
                "status": one.status,
                "reason": one.reason,
                "since": rfc3339(one.last_transition_time),
                "words": words(one),
            }
            for one in stored.status.conditions
        ],
        "advice": [one.to_dict() for one in advice(stored)],
        "pod": _pod(pod) if pod is not None else None,
        "volume": _claim(claim) if claim is not None else None,
        "events": sorted((_event(one) for one in events), key=lambda one: str(one["last"])),
        **views,
    }


def client_view(status: Json) -> Json:
    """The exam-client's own ``/status``, without the receipt."""
    transfer = status.get("transfer") or {}
    told = ("state", "manifest_digest", "error", "attempts")
    return _named(status, (*_CLIENT, *_CLIENT_MORE)) | {"transfer": _named(transfer, told)}


def coordinator_view(shown: Json) -> Json:
    """What the coordinator holds of the delivery: numbers and times."""
    return _named(shown, (*_COORDINATOR, *_COORDINATOR_MORE))


def _pod(pod: Json) -> Json:
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    return {
        "name": meta.get("name"),
        "uid": meta.get("uid"),
        "created_at": meta.get("creationTimestamp"),
        "deletion_asked_at": meta.get("deletionTimestamp"),
        "labels": _named(meta.get("labels") or {}, _LABELS),
        "node": spec.get("nodeName"),
        "phase": status.get("phase"),
        "reason": status.get("reason"),
        "started_at": status.get("startTime"),
        "history": [
            _named(one, ("type", "status", "reason", "lastTransitionTime"))
            for one in status.get("conditions") or []
        ],
        "containers": [_container(one) for one in status.get("containerStatuses") or []],
    }


def _container(status: Json) -> Json:
    return {
        **_named(status, ("name", "image", "imageID", "ready", "started", "restartCount")),
        "state": _states(status.get("state") or {}),
        "before": _states(status.get("lastState") or {}),
    }


def _states(state: Json) -> Json:
    """Without messages: that of an ended container is the tail of its log."""
    return {kind: _named(told, (*_ENDED, "reason")) for kind, told in state.items()}


def _claim(claim: Json) -> Json:
    meta, spec, status = claim["metadata"], claim.get("spec") or {}, claim.get("status") or {}
    return {
        "name": meta.get("name"),
        "uid": meta.get("uid"),
        "deletion_asked_at": meta.get("deletionTimestamp"),
        "finalizers": meta.get("finalizers") or [],
        "phase": status.get("phase"),
        "capacity": (status.get("capacity") or {}).get("storage"),
        **_named(spec, ("storageClassName", "volumeName", "accessModes")),
    }


def _event(event: Json) -> Json:
    about = event.get("involvedObject") or {}
    last = event.get("lastTimestamp") or event.get("eventTime")
    return {
        "last": last,
        "first": event.get("firstTimestamp") or last,
        "count": event.get("count") or 1,
        "type": event.get("type"),
        "about": f"{about.get('kind')}/{about.get('name')}",
        "reason": event.get("reason"),
        "message": event.get("message"),
        "from": (event.get("source") or {}).get("component") or event.get("reportingComponent"),
    }


def _named(document: Json, names: Iterable[str]) -> Json:
    return {name: document[name] for name in names if document.get(name) is not None}
