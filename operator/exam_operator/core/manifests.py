"""Pod, volume claim and keys of one delivery, whole, as pure functions of what is wanted.

Pod, claim and keys are made once and never changed; the way to the pod is in ``access``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exam_contract.canonical import digest
from exam_contract.delivery import FINALIZER, ExamDelivery
from exam_operator.core import names
from exam_operator.core.recovery import HUNG_GRACE_SECONDS

Json = dict[str, Any]
PUBLIC_PORT, CONTROL_PORT = 8235, 9235
USER = 65532
VOLUME_DIR, SECRET_DIR = "/var/lib/medxamion", "/etc/medxamion/delivery"
TLS_DIR, PUBLIC_TLS_DIR = "/etc/medxamion/tls", "/etc/medxamion/public-tls"
TOKEN_DIR = "/var/run/secrets/medxamion"
TOKEN_SECONDS, AUDIENCE = 3600, "coordinator"
GRACE_SECONDS = 120
"""Above the worst flush and checkpoint, below what a drain waits for."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What the operator knows of the cluster and puts into every delivery's objects."""

    coordinator_url: str
    client_image: str
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    service_account: str = "exam-client"
    log_level: str = "info"
    ingress_class: str | None = None
    ingress_annotations: Mapping[str, str] = field(default_factory=dict)
    """Over those that ingress-nginx is given; other controllers have words of their own."""
    service_annotations: Mapping[str, str] = field(default_factory=dict)
    priority_class: str | None = None
    gateway: str | None = None
    """``namespace/name`` of the Gateway that HTTPRoutes attach to."""
    cert_manager_issuer: str | None = None
    """``Kind/name``; None where the operator signs with the chart's own authority."""


@dataclass(frozen=True, slots=True)
class Start:
    """What one pod is started with beside the spec."""

    epoch: int
    delivery_id: int
    template: str
    origin: str | None
    """The public URL that browsers see."""
    expects_data: bool = False


def pod(stored: ExamDelivery, start: Start, platform: Platform) -> Json:
    """The bare pod; its fixed name lets the API itself hold at most one."""
    meta = names.meta(stored)
    meta["labels"] |= {names.PROTECTED_LABEL: "true", names.EPOCH_LABEL: str(start.epoch)}
    meta["annotations"][names.TEMPLATE_ANNOTATION] = start.template
    meta["annotations"][names.PLATFORM_ANNOTATION] = platform_digest(stored, platform)
    spec: Json = {
        "serviceAccountName": platform.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # An eviction could not free the volume of a node that does not answer: the exam stays.
        "tolerations": [
            {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute"}
            for taint in ("not-ready", "unreachable")
        ],
        "containers": [_container(stored, start, platform)],
        "volumes": _volumes(stored),
    }
    if platform.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in platform.image_pull_secrets]
    if platform.priority_class is not None:
        spec["priorityClassName"] = platform.priority_class
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def platform_digest(stored: ExamDelivery, platform: Platform) -> str:
    """Of what is not in the spec and may keep a pod from ever beginning."""
    given = {
        "image": _image(stored, platform),
        "pullPolicy": platform.image_pull_policy,
        "pullSecrets": list(platform.image_pull_secrets),
        "account": platform.service_account,
        "priority": platform.priority_class,
    }
    return digest(given)


def claim(stored: ExamDelivery, secret_digest: str) -> Json:
    """The volume. No owner: it outlives the object until its data is transferred."""
    storage = stored.spec.storage
    meta = names.meta(stored, owned=False)
    meta["finalizers"] = [FINALIZER]
    meta["annotations"][names.SECRET_ANNOTATION] = secret_digest
    spec: Json = {
        "accessModes": [storage.access_mode],
        "resources": {"requests": {"storage": storage.size}},
    }
    if storage.class_name is not None:
        spec["storageClassName"] = storage.class_name
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def keys(stored: ExamDelivery, data: Mapping[str, str]) -> Json:
    """The delivery's keys, ``data`` in base64; immutable, since nothing could replace them."""
    meta = names.meta(stored, owned=False)
    meta["finalizers"] = [FINALIZER]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": meta,
        "data": dict(data),
    }


def _container(stored: ExamDelivery, start: Start, platform: Platform) -> Json:
    resources = stored.spec.client.resources
    mounts = [
        {"name": "data", "mountPath": VOLUME_DIR},
        {"name": "keys", "mountPath": SECRET_DIR, "readOnly": True},
        {"name": "tls", "mountPath": TLS_DIR, "readOnly": True},
        {"name": "token", "mountPath": TOKEN_DIR, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  the pod's own
    ]
    if _own_certificate(stored) is not None:
        mounts.append({"name": "public-tls", "mountPath": PUBLIC_TLS_DIR, "readOnly": True})
    return {
        "name": names.APP,
        "image": _image(stored, platform),
        "imagePullPolicy": platform.image_pull_policy,
        "env": _environment(stored, start, platform),
        "ports": [
            {"name": "public", "containerPort": PUBLIC_PORT},
            {"name": "control", "containerPort": CONTROL_PORT},
        ],
        "resources": {
            "requests": {"cpu": resources.cpu, "memory": resources.memory},
            "limits": {"memory": resources.memory},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "startupProbe": _probe("startup", every=1, failures=600),
        "readinessProbe": _probe("ready", every=2, failures=2),
        # Slow on purpose: a writer that waits for a slow disk is saving answers.
        "livenessProbe": {
            **_probe("live", every=5, failures=6),
            "terminationGracePeriodSeconds": HUNG_GRACE_SECONDS,
        },
        "lifecycle": {"preStop": {"exec": {"command": ["python", "-m", "exam_client.quiesce"]}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


def _image(stored: ExamDelivery, platform: Platform) -> str:
    return stored.spec.client.image or platform.client_image


def _environment(stored: ExamDelivery, start: Start, platform: Platform) -> list[Json]:
    values = {
        "DELIVERY_ID": str(start.delivery_id),
        "DELIVERY_UID": stored.metadata.uid or "",
        "EPOCH": str(start.epoch),
        "EXPECTS_DATA": str(start.expects_data).lower(),
        "VOLUME_DIR": VOLUME_DIR,
        "SECRET_DIR": SECRET_DIR,
        "TLS_DIR": TLS_DIR,
        "SERVICE_TOKEN_FILE": f"{TOKEN_DIR}/token",
        "COORDINATOR_URL": platform.coordinator_url,
        "COORDINATOR_CA_FILE": f"{TLS_DIR}/ca.crt",
        "HOST": "0.0.0.0",  # noqa: S104  the pod's own addresses; the network policy decides who comes
        "CONTROL_HOST": "0.0.0.0",  # noqa: S104
        "PORT": str(PUBLIC_PORT),
        "CONTROL_PORT": str(CONTROL_PORT),
        "LOG_LEVEL": platform.log_level,
    }
    if start.origin is not None:
        values["ADVERTISED_ORIGIN"] = start.origin
    if _own_certificate(stored) is not None:
        values["PUBLIC_TLS_DIR"] = PUBLIC_TLS_DIR
    prefix = "MEDXAMION_CLIENT_"
    plain: list[Json] = [{"name": prefix + name, "value": text} for name, text in values.items()]
    uid = {"fieldRef": {"fieldPath": "metadata.uid"}}
    return [*plain, {"name": f"{prefix}POD_UID", "valueFrom": uid}]


def _volumes(stored: ExamDelivery) -> list[Json]:
    name = names.of(stored)
    tls = names.tls_name(stored.metadata.uid or "")
    token = {"audience": AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": "token"}
    volumes: list[Json] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": name}},
        {"name": "keys", "secret": {"secretName": name, "defaultMode": 0o440}},
        {"name": "tls", "secret": {"secretName": tls, "defaultMode": 0o440}},
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
    ]
    own = _own_certificate(stored)
    if own is not None:
        volumes.append({"name": "public-tls", "secret": _certificate_alone(own)})
    return volumes


def _certificate_alone(secret: str) -> Json:
    """Whatever else it holds stays outside; without it, participants see the pod's own."""
    items = [{"key": part, "path": part} for part in ("tls.crt", "tls.key")]
    return {"secretName": secret, "items": items, "optional": True, "defaultMode": 0o440}


def _own_certificate(stored: ExamDelivery) -> str | None:
    """The Secret of a person's certificate, where the pod itself has to show it."""
    access = stored.spec.access
    shows_itself = access.type in ("ClusterIP", "NodePort")
    return access.tls.secret_ref.name if access.tls is not None and shows_itself else None


def _probe(word: str, *, every: int, failures: int) -> Json:
    return {
        "httpGet": {"path": f"/healthz/{word}", "port": "control", "scheme": "HTTPS"},
        "periodSeconds": every,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
