"""Install, upgrade and remove: what must stay stays, and removal waits for untransferred data."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from exam_contract.delivery import Phase
from tests.support import deliveries
from tests.support.cluster import chart, exam_day, installation, kubectl, objects, script
from tests.support.cluster.api import Api
from tests.support.cluster.hall import Hall
from tests.support.cluster.installation import (
    DELIVERY_NAMESPACES,
    NAMESPACE,
    OPERATOR_NAMESPACE,
    Installation,
)

Json = dict[str, Any]
PARTICIPANTS = 4
PLACE = DELIVERY_NAMESPACES[0]
GUARD = "no-uninstall-while-deliveries-hold-untransferred-data"
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


def test_an_upgrade_leaves_a_running_exam_alone(installed: Installation, tmp_path: Path) -> None:
    """A new operator, and another image for exam-clients to come."""
    day = exam_day.begin(installed, PLACE, tmp_path, "upgraded", participants=PARTICIPANTS)
    with Hall(day) as hall:
        hall.answers(PARTICIPANTS)
        before = day.delivery.running()
        with _upgraded("--set", "operator.logLevel=warning", "--set", "client.image.tag=later"):
            day.delivery.wait_condition("PendingTemplate")
            hall.answers(4 * PARTICIPANTS)
            assert day.delivery.running() == before
        day.delivery.wait_condition("PendingTemplate", "False")
        hall.finish()
        assert day.delivery.running() == before
    day.delivery.wait_phase(Phase.CLEANED_UP, seconds=180)
    day.assert_nothing_lost()


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


def test_removal_is_refused_in_words_while_data_is_untransferred(
    installed: Installation, running: str
) -> None:
    with pytest.raises(script.ClusterMissing) as refused:
        _uninstall()

    said = " ".join(str(refused.value).split())
    assert GUARD in said
    assert f"{PLACE}/{running}: phase Running, 3 attempts" in said
    assert "let it finish" in said
    assert installed.api.find("deployments", "medxamion-operator", OPERATOR_NAMESPACE)
    # Helm upgrades no release whose removal was refused; the words say how it becomes whole.
    mend = re.search(r"before its next upgrade: (helm rollback medxamion \d+ -n medxamion)", said)
    assert mend is not None
    script.call(*mend[1].split())
    assert _status() == "deployed"


def test_removal_leaves_nothing_stuck_and_what_must_be_kept(
    removed: Installation, api: Api
) -> None:
    """Afterwards the same release is installed again, with the database it had."""
    for namespace in DELIVERY_NAMESPACES:
        assert "deletionTimestamp" not in api.get("namespaces", namespace)["metadata"]
    api.wait_gone("namespaces", OPERATOR_NAMESPACE, seconds=90)
    assert kubectl.kubectl("get", "examdeliveries", "-A", "--no-headers") is not None
    left = kubectl.read("get", "secrets", "-n", NAMESPACE)["items"]
    kept = {secret["metadata"]["name"] for secret in left}
    assert {"medxamion-coordinator", "medxamion-postgresql"} <= kept
    assert not kept & {"medxamion-bootstrap", "medxamion-coordinator-tls"}
    assert (
        kubectl.kubectl("get", "clusterroles,validatingadmissionpolicies", "-o", "name").count(
            "medxamion"
        )
        == 0
    )


@contextmanager
def _upgraded(*values: str) -> Iterator[None]:
    """The release with other values, for the while."""
    where = ("-n", NAMESPACE, "--timeout", "5m")
    script.call("helm", "upgrade", "medxamion", str(chart.CHART), *where, "--reuse-values", *values)
    try:
        _rolled_out()
        yield
    finally:
        script.call("helm", "rollback", "medxamion", *where)
        _rolled_out()


def _rolled_out() -> None:
    installation.roll_out(NAMESPACE, "medxamion-coordinator")
    installation.roll_out(OPERATOR_NAMESPACE, "medxamion-operator")


@pytest.fixture
def running(installed: Installation) -> Iterator[str]:
    """A delivery with attempts as its status tells; paused, so that the operator leaves that."""
    document = deliveries.document("in-the-way", paused=True)
    document["metadata"]["namespace"] = PLACE
    kubectl.apply(document)
    status = {"phase": "Running", "counts": {"started": 3}}
    _set_status(installed.api, status)
    yield "in-the-way"
    _set_status(installed.api, {"phase": "CleanedUp"})
    installed.api.delete("examdeliveries", "in-the-way", PLACE)


@pytest.fixture
def removed(installed: Installation, api: Api) -> Iterator[Installation]:
    objects.discard_all(api, DELIVERY_NAMESPACES)
    held = installed.api.get("secrets", "medxamion-coordinator", NAMESPACE)["data"]
    _uninstall()
    yield installed
    installation.install(api)
    assert api.get("secrets", "medxamion-coordinator", NAMESPACE)["data"] == held
    # A new authority: what was read of the old one is forgotten.
    installed.__dict__.pop("trust", None)


def _status() -> str:
    told = json.loads(script.call("helm", "status", "medxamion", "-n", NAMESPACE, "-o", "json"))
    return str(told["info"]["status"])


def _uninstall() -> None:
    script.call("helm", "uninstall", "medxamion", "-n", NAMESPACE, "--timeout", "3m")


def _set_status(api: Api, status: Json) -> None:
    api.merge("examdeliveries", "in-the-way", {"status": status}, PLACE, part="status")


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
