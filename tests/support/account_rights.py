"""What each ServiceAccount of the chart may do: no more than its code does, as a table.

The operator calls the API by name alone but for what it watches; what nobody ever calls is in no
Role. Both the rendered templates and a real API server are held against this.
"""

from tests.support.cluster.installation import DELIVERY_NAMESPACES

Right = tuple[str, str, str]
"""Verb, resource with its group, and the one name it is limited to or nothing."""

_WATCHED = ("create", "get", "list", "watch", "patch")
_WAY_IN = ("create", "get", "patch", "delete")
"""Deleted by the operator itself when an edit asks for another way; else by the owner's end."""
EXAM = "exams.medxamion.io/examdeliveries"
CANARY = "medxamion-operator-canary"
AUTHORITIES = "medxamion-deliveries-ca"
EVERYWHERE: dict[str, set[Right]] = {
    "operator": {
        *(("get", "/nodes", ""), ("list", "/nodes", "")),
        *(("patch", "/namespaces", name) for name in DELIVERY_NAMESPACES),
    },
    "coordinator": {("create", "authentication.k8s.io/tokenreviews", "")},
    "uninstall-guard": {("get", "/namespaces", name) for name in DELIVERY_NAMESPACES},
    "exam-client": set(),
}
WITH_DELIVERIES: dict[str, set[Right]] = {
    "operator": {
        *((verb, EXAM, "") for verb in ("get", "list", "watch", "patch")),
        ("update", f"{EXAM}/status", ""),
        ("update", f"{EXAM}/finalizers", ""),
        *((verb, "/pods", "") for verb in (*_WATCHED, "delete")),
        *((verb, "/persistentvolumeclaims", "") for verb in (*_WATCHED, "delete")),
        *((verb, "/services", "") for verb in _WATCHED),
        *((verb, "/secrets", "") for verb in ("create", "get", "patch", "delete")),
        *((verb, "networking.k8s.io/ingresses", "") for verb in _WAY_IN),
        *((verb, "gateway.networking.k8s.io/httproutes", "") for verb in _WAY_IN),
        *((verb, "gateway.networking.k8s.io/backendtlspolicies", "") for verb in _WAY_IN),
        *((verb, "cert-manager.io/certificates", "") for verb in ("create", "get", "patch")),
        ("create", "policy/poddisruptionbudgets", ""),
        *((verb, "/events", "") for verb in ("create", "list")),
        *((verb, "/configmaps", "") for verb in ("create", "list", "watch")),
        ("patch", "/configmaps", CANARY),
        *((verb, "/configmaps", AUTHORITIES) for verb in ("get", "patch")),
    },
    "coordinator": {(verb, EXAM, "") for verb in ("create", "get", "update", "delete")},
    "uninstall-guard": {("list", EXAM, ""), ("list", "/persistentvolumeclaims", "")},
    "exam-client": set(),
}
