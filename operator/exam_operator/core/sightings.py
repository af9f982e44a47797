"""What pods, claims and Secrets, as the API server shows them, mean for one delivery.

Pure readings of raw objects: what is not there yet is not guessed at, and only what was seen to end
counts as ended.
"""

import base64
import binascii
import contextlib
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from exam_contract.delivery import EndpointStatus, ExamDelivery, PodStatus
from exam_operator.core import names
from exam_operator.core.world import (
    Child,
    Exit,
    Remains,
    Secret,
    SecretState,
    Trouble,
    Volume,
    VolumeState,
)

Json = Mapping[str, Any]
STORAGE_KEY_BYTES = 32
_SIGNAL_OFFSET = 128  # a container that died of signal n is reported as having exited with 128 + n
SECRET_PARTS = ("storage.key", "control.key", "trust.json")
_NEVER_BEGAN = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
_SAME_TROUBLE = {"ErrImagePull": "ImagePullBackOff"}
"""The kubelet changes from one word to the other with every try."""
_CORRECT_THE_IMAGE = (
    "correct spec.client.image or the chart's client.image, or make the image available"
)
_HINDRANCES = {
    "FailedMount": "put what it mounts where the message says; it starts by itself then",
    "FailedMapVolume": "see to the volume; it starts by itself then",
    "FailedAttachVolume": "see to the volume, or to the node that still holds it",
    "FailedCreatePodSandBox": "see to the node, its network above all",
    "NetworkNotReady": "see to the node's network",
}
_MENDS = _HINDRANCES | {
    "ImagePullBackOff": _CORRECT_THE_IMAGE,
    "InvalidImageName": "correct spec.client.image",
    "ErrImageNeverPull": "load the image onto the node, or let it be pulled",
    "Unschedulable": "make room, or a volume, for it; it starts by itself then",
}


@dataclass(frozen=True, slots=True)
class Around:
    """What is known of a pod beside the pod itself."""

    endpoint: EndpointStatus
    unanswered_since: datetime | None = None
    live_probe_failed: bool = False
    node_trouble: str | None = None
    node_lost: bool = False
    platform: str | None = None
    """The digest that a pod made now would be marked with."""
    complaint: Trouble | None = None
    """What the cluster complains of, where it is stuck."""


def child(pod: Json, around: Around) -> Child:
    """The pod as an exam-client."""
    meta, status = pod["metadata"], pod.get("status", {})
    container = _container(pod)
    ended = _has_ended(pod, container)
    return Child(
        epoch=int(meta.get("labels", {}).get(names.EPOCH_LABEL, "0")),
        pod=PodStatus(
            name=meta["name"],
            uid=meta["uid"],
            node=pod.get("spec", {}).get("nodeName"),
            image=container.get("image") or _wanted_image(pod),
            started_at=instant(status.get("startTime")),
            restarts=int(container.get("restartCount", 0)),
        ),
        endpoint=around.endpoint,
        alive=not ended,
        template=meta.get("annotations", {}).get(names.TEMPLATE_ANNOTATION, ""),
        stopping_since=instant(meta.get("deletionTimestamp")),
        unanswered_since=around.unanswered_since,
        live_probe_failed=around.live_probe_failed,
        remains=_remains(pod, container) if ended else Remains.NONE,
        never_ran=_never_ran(pod, container),
        trouble=_trouble(pod, container) or _hindrance(around.complaint),
        node_trouble=around.node_trouble,
        node_lost=around.node_lost,
        outdated=_is_outdated(pod, around),
    )


def is_stuck(pod: Json) -> bool:
    """Whether a node took it and it has not begun, and does not say itself what it waits for."""
    container = _container(pod)
    if pod["metadata"].get("deletionTimestamp") or not pod.get("spec", {}).get("nodeName"):
        return False
    if _condition(pod, "PodReadyToStartContainers").get("status") == "True":
        return False  # volumes and network are there: it is the image that takes its time
    return _never_ran(pod, container) and _trouble(pod, container) is None


def foreign(found: Json | None, uid: str) -> bool:
    """Whether it bears this delivery's name and is somebody else's: such is never adopted."""
    if found is None:
        return False
    meta = found["metadata"]
    marks = [(meta.get("labels") or {}).get(names.DELIVERY_LABEL)]
    marks += [owner.get("uid") for owner in meta.get("ownerReferences") or []]
    return uid not in marks


def name_taken(kind: str, name: str) -> str:
    """In words, what stands in the way and what a person can do."""
    return (
        f"the {kind} {name} is not this delivery's (label {names.DELIVERY_LABEL}), so it is neither"
        " used nor touched; remove it"
    )


def is_running(pod: Json | None) -> bool:
    """Whether its container runs and has an address, so that it can be asked."""
    if pod is None:
        return False
    has_address = bool(pod.get("status", {}).get("podIP"))
    return has_address and "running" in _container(pod).get("state", {})


def control_port(pod: Json) -> int | None:
    """The control port of its container; an older pod may have been made with another one."""
    for container in pod.get("spec", {}).get("containers") or []:
        for port in container.get("ports") or []:
            if port.get("name") == "control":
                return int(port["containerPort"])
    return None


def is_ready(pod: Json) -> bool:
    """Whether its readiness probe passes."""
    return bool(_container(pod).get("ready"))


def restart_count(pod: Json) -> int:
    """How often its container was started again."""
    return int(_container(pod).get("restartCount", 0))


def ended_now(pod: Json) -> bool:
    """Whether its container has ended and was not started again yet."""
    return "running" not in _container(pod).get("state", {})


def exits(pod: Json, *, was_ready: bool) -> Exit | None:
    """The last end of its container, or of the whole pod, as far as the pod remembers."""
    container, status = _container(pod), pod.get("status", {})
    over = status.get("phase") == "Failed"
    told = str(status.get("reason") or "") if over else ""
    for state in ("state", "lastState"):
        ended = container.get(state, {}).get("terminated")
        at = instant(ended.get("finishedAt")) if ended else None
        if ended and at is not None:
            return Exit(at, was_ready, asked=False, reason=told or _exit_reason(ended))
    at = _failed_at(pod) if over else None
    return None if at is None else Exit(at, was_ready, asked=False, reason=told or "PodFailed")


def volume(claim: Json | None, stored: ExamDelivery, warning: str | None) -> Volume:
    """The claim; ``warning``: the newest Warning event about it, where it is not bound."""
    if claim is None:
        return Volume()
    meta, name = claim["metadata"], claim["metadata"]["name"]
    if foreign(claim, stored.metadata.uid or ""):
        problem = (
            f"the volume claim {name} is not this delivery's (label {names.DELIVERY_LABEL});"
            " move its data away and delete it"
        )
        return Volume(VolumeState.FOREIGN, name, problem=problem)
    if meta.get("deletionTimestamp"):
        return Volume(VolumeState.PENDING_DELETION, name)
    phase = claim.get("status", {}).get("phase")
    if phase == "Lost":
        lost = f"the volume behind {name} is gone; restore it"
        return Volume(VolumeState.PRESENT, name, problem=lost)
    unbound = phase != "Bound" and warning is not None
    pending = f"the volume can't be made: {warning}" if unbound else None
    return Volume(VolumeState.PRESENT, name, problem=pending)


def secret(found: Json | None, wanted_digest: str | None, uid: str) -> Secret:
    """The delivery's keys, compared with the digest that stands on its volume.

    What a person put back counts by that digest, whatever its labels; without a volume there is
    none, and somebody else's keys are not taken.
    """
    if found is None:
        return Secret()
    data = decoded(found)
    missing = [part for part in SECRET_PARTS if not data.get(part)]
    name = found["metadata"]["name"]
    if wanted_digest is None and foreign(found, uid):
        return Secret(SecretState.DAMAGED, problem=name_taken("Secret", name))
    if missing:
        return Secret(SecretState.DAMAGED, problem=f"Secret {name} has no {missing[0]}; restore it")
    if len(data["storage.key"]) != STORAGE_KEY_BYTES:
        return Secret(SecretState.DAMAGED, problem=f"storage.key in Secret {name} has not 32 bytes")
    if wanted_digest is not None and secret_digest(data) != wanted_digest:
        problem = (
            f"Secret {name} holds other keys than the volume was made with; restore the first."
            " A running exam-client goes on, a new one could not read its data"
        )
        return Secret(SecretState.DAMAGED, problem=problem)
    if found["metadata"].get("deletionTimestamp"):
        problem = f"Secret {name} is being deleted; keep a copy: the data needs it to be read again"
        return Secret(SecretState.PRESENT, problem=problem)
    return Secret(SecretState.PRESENT)


def secret_digest(data: Mapping[str, bytes]) -> str:
    """Of the parts that belong to the data; safe to show, since each part is 256 random bits."""
    hashed = sha256()
    for part in SECRET_PARTS:
        hashed.update(sha256(data[part]).digest())
    return f"sha256:{hashed.hexdigest()}"


def digest_on(claim: Json | None) -> str | None:
    """Of the keys that belong to the data on this claim, as it was marked when it was made."""
    notes = (claim or {}).get("metadata", {}).get("annotations") or {}
    digest: str | None = notes.get(names.SECRET_ANNOTATION)
    return digest


def decoded(found: Json) -> dict[str, bytes]:
    """A Secret's data; what is no base64 counts as absent."""
    data: dict[str, bytes] = {}
    for name, text in (found.get("data") or {}).items():
        try:
            data[name] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
    return data


def node_trouble(node: Json | None) -> tuple[str | None, bool]:
    """What is wrong with a node, and whether it is lost for good; None: it was deleted."""
    if node is None:
        return "its node is deleted", True
    name = node["metadata"]["name"]
    taints = [taint.get("key") for taint in node.get("spec", {}).get("taints") or []]
    if "node.kubernetes.io/out-of-service" in taints:
        return f"node {name} is declared out of service", True
    ready = _condition(node, "Ready")
    if ready.get("status") != "True":
        message = (
            f"node {name} is not ready ({ready.get('reason', 'unknown')}). The exam-client may"
            " still run there, so no second one is started; a person may declare the node out of"
            " service or delete it"
        )
        return message, False
    return None, False


def attachment_trouble(found: Json) -> Trouble | None:
    """What a Gateway's controller has against a route or a policy, in its own words."""
    status = found.get("status") or {}
    for place in (status.get("parents") or []) + (status.get("ancestors") or []):
        for condition in place.get("conditions") or []:
            refused = condition.get("type") in ("Accepted", "ResolvedRefs")
            if refused and condition.get("status") == "False":
                said = str(condition.get("message") or condition.get("reason") or "").rstrip(".")
                message = f"the Gateway does not take {found.get('kind', 'the route')}: {said}"
                return Trouble("RouteNotAccepted", f"{message}; see operator.gateway and its log")
    return None


def instant(text: str | None) -> datetime | None:
    """An API server's time."""
    return None if text is None else datetime.fromisoformat(text)


def _is_outdated(pod: Json, around: Around) -> bool:
    """One that an earlier operator made bears no mark and is left as it is."""
    mark = pod["metadata"].get("annotations", {}).get(names.PLATFORM_ANNOTATION)
    return None not in (mark, around.platform) and mark != around.platform


def _container(pod: Json) -> Json:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    found: Json = next((one for one in statuses if one.get("name") == names.APP), {})
    return found


def _wanted_image(pod: Json) -> str | None:
    containers = pod.get("spec", {}).get("containers") or []
    return containers[0].get("image") if containers else None


def _has_ended(pod: Json, container: Json) -> bool:
    if pod.get("status", {}).get("phase") in ("Failed", "Succeeded"):
        return True
    state = container.get("state", {})
    if "terminated" in state:
        return True
    waiting = state.get("waiting")
    return waiting is not None and bool(container.get("lastState", {}).get("terminated"))


def _remains(pod: Json, container: Json) -> Remains:
    """A pod that is over or in the kubelet's long back-off only stands in the way."""
    if pod["metadata"].get("deletionTimestamp"):
        return Remains.BLOCKING
    over = pod.get("status", {}).get("phase") in ("Failed", "Succeeded")
    waiting = container.get("state", {}).get("waiting", {}).get("reason", "")
    return Remains.BLOCKING if over or waiting == "CrashLoopBackOff" else Remains.RETURNING


def _never_ran(pod: Json, container: Json) -> bool:
    running = "running" in container.get("state", {})
    return not running and not _has_ended(pod, container) and not container.get("lastState")


def _hindrance(complaint: Trouble | None) -> Trouble | None:
    """Of what is told about a pod, only what hinders its node."""
    if complaint is None or complaint.reason not in _HINDRANCES:
        return None
    return _told(complaint.reason, complaint.message)


def _trouble(pod: Json, container: Json) -> Trouble | None:
    """Why it does not begin; one that is being removed is expected to end."""
    if pod["metadata"].get("deletionTimestamp"):
        return None
    waiting = container.get("state", {}).get("waiting", {})
    reason = str(waiting.get("reason", ""))
    if reason in _NEVER_BEGAN:
        reason = _SAME_TROUBLE.get(reason, reason)
        return _told(reason, waiting.get("message") or reason)
    if reason == "CrashLoopBackOff":
        said = container.get("lastState", {}).get("terminated", {}).get("message", "")
        last = str(said).strip().rpartition("\n")[2]
        return Trouble("CrashLoop", last or "it ends again and again; see its log")
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return _told(scheduled.get("reason", "Unschedulable"), scheduled.get("message", ""))
    status = pod.get("status", {})
    if status.get("phase") == "Failed":
        return _told(status.get("reason", "PodFailed"), status.get("message", ""))
    return None


def _told(reason: str, said: str) -> Trouble:
    mend = _MENDS.get(reason)
    return Trouble(reason, f"{said.strip().rstrip('.')}; {mend}" if mend else said)


def _failed_at(pod: Json) -> datetime | None:
    """A node that turns a pod away, or evicts it, may tell of no container at all."""
    status = pod.get("status", {})
    told = [one.get("lastTransitionTime") for one in status.get("conditions") or []]
    told += [status.get("startTime"), pod["metadata"].get("creationTimestamp")]
    return max((datetime.fromisoformat(text) for text in told if text), default=None)


def _exit_reason(ended: Json) -> str:
    """A word for conditions: ``OOMKilled``, ``Exit3``, ``Signal:SIGKILL``."""
    reason = str(ended.get("reason") or "")
    if reason not in ("", "Error", "Completed"):
        return reason
    code = int(ended.get("exitCode", 0))
    if code <= _SIGNAL_OFFSET:
        return f"Exit{code}"
    with contextlib.suppress(ValueError):
        return f"Signal:{signal.Signals(code - _SIGNAL_OFFSET).name}"
    return f"Signal:{code - _SIGNAL_OFFSET}"


def _condition(found: Json, kind: str) -> Json:
    conditions = found.get("status", {}).get("conditions") or []
    seen: Json = next((one for one in conditions if one.get("type") == kind), {})
    return seen
