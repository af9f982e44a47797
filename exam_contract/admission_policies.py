"""The ValidatingAdmissionPolicies that keep untransferred data from being deleted.

A CRD's own rules can't refuse a DELETE and see no annotations, so the API server asks these. Both
fail closed: while they can't be evaluated, nothing is deleted.
"""

from typing import Any

from exam_contract import delivery, delivery_rules

Manifest = dict[str, Any]

NAMESPACE_REFUSED = (
    "this namespace holds deliveries whose data was not transferred; let them finish, or delete"
    f" each of them first (kubectl get {delivery.PLURAL})"
)
_NAMESPACE_FREE_CEL = (
    "!(has(oldObject.metadata.labels)"
    f" && '{delivery.NAMESPACE_LABEL}' in oldObject.metadata.labels"
    f" && oldObject.metadata.labels['{delivery.NAMESPACE_LABEL}'] == 'true')"
)


def admission_policies() -> list[Manifest]:
    """Each policy with its binding, as JSON data."""
    return [
        *_on_delete(
            f"{delivery.PLURAL}.{delivery.GROUP}",
            {
                "apiGroups": [delivery.GROUP],
                "apiVersions": [delivery.VERSION],
                "resources": [delivery.PLURAL],
            },
            delivery_rules.DELETE_ALLOWED_CEL,
            delivery_rules.DELETE_REFUSED,
        ),
        *_on_delete(
            f"namespaces.{delivery.GROUP}",
            {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["namespaces"]},
            _NAMESPACE_FREE_CEL,
            NAMESPACE_REFUSED,
        ),
    ]


def _on_delete(name: str, resource: Manifest, allowed: str, message: str) -> list[Manifest]:
    api = "admissionregistration.k8s.io/v1"
    policy = {
        "apiVersion": api,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{**resource, "operations": ["DELETE"]}]},
            "validations": [{"expression": allowed, "message": message, "reason": "Forbidden"}],
        },
    }
    binding = {
        "apiVersion": api,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return [policy, binding]
