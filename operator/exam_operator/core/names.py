"""What everything that belongs to one delivery in a cluster is called, and how it is marked.

Names come from the object's uid, so that an object made anew under an old name meets nothing of
the one before; the labels are what watches select by.
"""

from typing import Any

from exam_contract.delivery import ExamDelivery

APP = "exam-client"
MANAGER = "medxamion-operator"
DELIVERY_LABEL = "medxamion.io/delivery"
PROTECTED_LABEL = "medxamion.io/protected"
EPOCH_LABEL = "medxamion.io/epoch"
TEMPLATE_ANNOTATION = "medxamion.io/template"
PLATFORM_ANNOTATION = "medxamion.io/platform"
"""On the pod: the digest of what the installation, and not the spec, gives it."""
OBJECT_ANNOTATION = "medxamion.io/object"
"""On every child: the name of its ExamDelivery."""
SECRET_ANNOTATION = "medxamion.io/secret-digest"
"""On the volume claim: the digest of the keys that belong to its data."""
WANTED_ANNOTATION = "medxamion.io/wanted"
"""On what may be changed in place: the digest of what it was last asked to be."""
DISRUPTION_BUDGET = "medxamion-deliveries"
AUTHORITIES = "medxamion-deliveries-ca"
"""The ConfigMap of a namespace with the authorities that Gateways verify exam-clients against."""
SELECTOR = f"app.kubernetes.io/managed-by={MANAGER}"


def child_name(uid: str) -> str:
    """Pod, volume claim, Secret, Service, Ingress and HTTPRoute of the delivery."""
    return f"exam-{uid}"


def tls_name(uid: str) -> str:
    """The Secret with the certificate."""
    return f"exam-{uid}-tls"


def labels(uid: str) -> dict[str, str]:
    """On everything that belongs to the delivery."""
    return {
        "app.kubernetes.io/name": APP,
        "app.kubernetes.io/part-of": "medxamion",
        "app.kubernetes.io/managed-by": MANAGER,
        DELIVERY_LABEL: uid,
    }


def dns_name(uid: str, namespace: str) -> str:
    """The Service's name inside the cluster, also what its certificate is checked against."""
    return f"{child_name(uid)}.{namespace}.svc"


def owner(stored: ExamDelivery) -> dict[str, Any]:
    """The reference that lets the garbage collector follow the object."""
    return {
        "apiVersion": stored.api_version,
        "kind": stored.kind,
        "name": stored.metadata.name,
        "uid": stored.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def of(stored: ExamDelivery) -> str:
    """The name of the object's children."""
    return child_name(stored.metadata.uid or "")


def meta(stored: ExamDelivery, *, owned: bool = True) -> dict[str, Any]:
    """Metadata of a child; ``owned`` ones go with the object."""
    made: dict[str, Any] = {
        "name": of(stored),
        "namespace": stored.metadata.namespace,
        "labels": labels(stored.metadata.uid or ""),
        "annotations": {OBJECT_ANNOTATION: stored.metadata.name},
    }
    if owned:
        made["ownerReferences"] = [owner(stored)]
    return made
