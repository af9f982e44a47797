"""Install and upgrade: secrets and certificates stay, and nothing restarts without a change."""

import base64
import json
import re
from typing import Any

import yaml
from cryptography import x509

from tests.support.cluster import chart, script
from tests.support.cluster.api import Api
from tests.support.cluster.installation import (
    NAMESPACE,
    OPERATOR_NAMESPACE,
    Installation,
)

Json = dict[str, Any]
KEPT = {
    NAMESPACE: ("medxamion-coordinator", "medxamion-bootstrap", "medxamion-postgresql"),
    OPERATOR_NAMESPACE: ("medxamion-ca",),
}


def test_helm_test_passes(installed: Installation) -> None:
    said = script.call("helm", "test", "medxamion", "-n", NAMESPACE, "--timeout", "3m")

    assert re.search(r"Phase:\s+Succeeded", said)


def test_an_upgrade_makes_no_secret_anew(installed: Installation) -> None:
    planned = _planned_upgrade()

    for namespace, names in KEPT.items():
        for name in names:
            held = installed.api.get("secrets", name, namespace)["data"]
            assert _secret(planned, name) == held, name
    held = installed.api.get("secrets", "medxamion-coordinator-tls", NAMESPACE)["data"]
    assert _secret(planned, "medxamion-coordinator-tls") == held


def test_an_upgrade_without_a_change_restarts_nothing(installed: Installation) -> None:
    before = _templates(installed.api)

    script.call(
        *("helm", "upgrade", "medxamion", str(chart.CHART), "-n", NAMESPACE),
        *("--reuse-values", "--no-hooks"),
    )

    assert _templates(installed.api) == before


def test_a_new_address_brings_a_certificate_of_the_same_authority(installed: Installation) -> None:
    planned = _planned_upgrade("--set", "coordinator.publicUrl=https://new.example.org")

    made = _secret(planned, "medxamion-coordinator-tls")
    held = installed.api.get("secrets", "medxamion-coordinator-tls", NAMESPACE)["data"]
    assert made["tls.crt"] != held["tls.crt"]
    assert made["ca.crt"] == held["ca.crt"]
    authority, certificate = _certificate(made["ca.crt"]), _certificate(made["tls.crt"])
    certificate.verify_directly_issued_by(authority)
    assert {"new.example.org", f"medxamion-coordinator-internal.{NAMESPACE}.svc"} <= _names(
        certificate
    )


def test_a_certificate_is_renewed_in_time(installed: Installation) -> None:
    name, note = "medxamion-coordinator-tls", "medxamion.io/renew-after"
    held = installed.api.get("secrets", name, NAMESPACE)
    _annotate(installed.api, name, {note: "1000000000"})
    try:
        planned = _secret(_planned_upgrade(), name)
    finally:
        _annotate(installed.api, name, {note: held["metadata"]["annotations"][note]})

    assert planned["tls.crt"] != held["data"]["tls.crt"]
    assert planned["ca.crt"] == held["data"]["ca.crt"]


def _planned_upgrade(*words: str) -> list[Json]:
    """What an upgrade with these values would apply; it sees the cluster and changes nothing."""
    plan = script.call(
        *("helm", "upgrade", "medxamion", str(chart.CHART), "-n", NAMESPACE, "--reuse-values"),
        *("--dry-run=server", "-o", "json", *words),
    )
    return [one for one in yaml.safe_load_all(json.loads(plan)["manifest"]) if one]


def _secret(manifests: list[Json], name: str) -> Json:
    found = next(
        one for one in manifests if (one["kind"], one["metadata"]["name"]) == ("Secret", name)
    )
    plain = {
        key: base64.b64encode(text.encode()).decode()
        for key, text in found.get("stringData", {}).items()
    }
    return {**found.get("data", {}), **plain}


def _templates(api: Api) -> list[int]:
    """A template's change raises the generation."""
    return [
        api.get(kind, name, namespace)["metadata"]["generation"]
        for kind, name, namespace in (
            ("deployments", "medxamion-coordinator", NAMESPACE),
            ("deployments", "medxamion-operator", OPERATOR_NAMESPACE),
            ("statefulsets", "medxamion-postgresql", NAMESPACE),
        )
    ]


def _annotate(api: Api, name: str, notes: dict[str, str]) -> None:
    api.merge("secrets", name, {"metadata": {"annotations": notes}}, NAMESPACE)


def _certificate(encoded: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(encoded))


def _names(certificate: x509.Certificate) -> set[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(found.value.get_values_for_type(x509.DNSName))
