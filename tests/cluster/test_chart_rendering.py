"""The chart renders over a matrix of values, the API server takes all of it, and wrong values are
refused in words.

Nothing is created but namespaces of the matrix' own, beside any release that is installed.
"""

import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support.cluster import chart, kubectl, script
from tests.support.cluster.chart import TRIAL, setting
from tests.support.cluster.script import ClusterMissing

Json = dict[str, Any]
URL = setting(coordinator__publicUrl="https://exams.example.org")
OUTSIDE = [*URL, *setting(coordinator__database__existingSecret="database")]
MONITORING = setting(
    monitoring__serviceMonitor__enabled=True,
    monitoring__podMonitor__enabled=True,
    monitoring__prometheusRule__enabled=True,
    monitoring__grafanaDashboard__enabled=True,
)
EXAMPLES = script.ROOT / "examples"
MATRIX: dict[str, list[str]] = {
    "trial": TRIAL,
    "documented trial": ["-f", str(EXAMPLES / "values-trial.yaml")],
    "documented database": ["-f", str(EXAMPLES / "values-cloudnative-pg.yaml")],
    "outside database": [
        *OUTSIDE,
        *setting(
            coordinator__database__sslMode="verify-full",
            coordinator__database__caSecret="database-ca",
            networkPolicies__database__to=[{"ipBlock": {"cidr": "10.1.2.3/32"}}],
        ),
    ],
    "two namespaces": [*TRIAL, *setting(deliveryNamespaces=["matrix-exams", "matrix-resits"])],
    "own namespaces": [
        *TRIAL,
        *setting(createDeliveryNamespaces=False, operator__createNamespace=False),
    ],
    "node port": [
        *TRIAL,
        *setting(
            coordinator__service={"type": "NodePort", "nodePort": 30999},
            operator__publicHost="192.0.2.7",
        ),
    ],
    "address": [
        *TRIAL,
        *setting(coordinator__publicUrl="https://192.0.2.7:30443", coordinator__replicas=1),
    ],
    "ingress": [
        *OUTSIDE,
        *setting(
            coordinator__ingress={"enabled": True, "className": "nginx", "tlsSecret": "public"},
            operator__ingressClass="nginx",
            operator__gateway="gateways/public",
        ),
    ],
    "cert-manager": [*TRIAL, *setting(tls__issuer="cert-manager")],
    "own issuer": [
        *TRIAL,
        *setting(tls={"issuer": "cert-manager", "certManager": {"name": "vault"}}),
    ],
    "monitored": [*TRIAL, *MONITORING],
    "own secrets": [
        *OUTSIDE,
        *setting(
            coordinator__secretName="kept",
            bootstrap__tokenSecret="first",
            image={
                "registry": "registry.example.org/x",
                "tag": "1",
                "pullSecrets": ["one", "two"],
            },
            client__image__digest="sha256:" + "a" * 64,
        ),
    ],
    "bare": [
        *TRIAL,
        *setting(networkPolicies__enabled=False, admissionPolicies__enabled=False),
    ],
    "placed": [
        *TRIAL,
        *setting(
            coordinator__nodeSelector={"pool": "exams"},
            coordinator__tolerations=[{"key": "exams", "operator": "Exists"}],
            operator__nodeSelector={"pool": "exams"},
            operator__tolerations=[{"key": "exams", "operator": "Exists"}],
            networkPolicies__apiServer__cidrs=["192.0.2.1/32"],
            networkPolicies__monitoring={"from": []},
        ),
    ],
}
PLACE, OPERATOR, DELIVERIES = "matrix", "matrix-operator", "matrix-exams"
# Kinds of other projects, which not every cluster serves.
FOREIGN = ("monitoring.coreos.com", "cert-manager.io")


@pytest.mark.parametrize("name", MATRIX)
def test_the_chart_has_no_lint(name: str) -> None:
    assert "0 chart(s) failed" in chart.lint(*MATRIX[name])


@pytest.mark.parametrize("name", MATRIX)
def test_the_api_server_takes_every_object(namespaces: None, name: str) -> None:
    """Strictly: an unknown or misspelt field is an error."""
    ours = [manifest for manifest in _manifests(name) if not _is_foreign(manifest)]
    assert len(ours) > 30

    kubectl.kubectl(
        *("apply", "--dry-run=server", "--validate=strict", "--server-side", "--force-conflicts"),
        *("--field-manager=matrix", "-f", "-"),
        stdin=kubectl.in_one(*ours),
    )


@pytest.mark.parametrize("name", MATRIX)
def test_every_pod_passes_the_restricted_standard(namespaces: None, name: str) -> None:
    pods = [pod for manifest in _manifests(name) for pod in _pods(manifest)]
    assert {pod["metadata"]["name"] for pod in pods} >= {
        *("medxamion-coordinator", "medxamion-operator", "medxamion-migrate", "medxamion-test"),
        "no-uninstall-while-deliveries-hold-untransferred-data",
    }

    kubectl.kubectl(
        *("create", "--dry-run=server", "--validate=strict", "-f", "-"),
        stdin=kubectl.in_one(*pods),
    )


@pytest.mark.parametrize("name", MATRIX)
def test_every_container_is_bounded_and_read_only(name: str) -> None:
    for manifest in _manifests(name):
        for pod in _pods(manifest):
            for container in pod["spec"]["containers"]:
                assert container["securityContext"]["readOnlyRootFilesystem"], manifest["kind"]
                assert "memory" in container["resources"]["limits"]
                assert "cpu" in container["resources"]["requests"]


def test_every_object_names_its_namespace() -> None:
    """So that `helm template | kubectl apply` puts each where it belongs."""
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}
    for manifest in _manifests("trial"):
        kind = manifest["kind"]
        placed = "namespace" in manifest["metadata"]
        assert placed != (kind in cluster_wide or kind.startswith("Validating")), manifest


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([], "coordinator.publicUrl is missing"),
        (setting(coordinator__publicUrl="http://exams.example.org"), "it must be https://"),
        (setting(coordinator__publicUrl="https://exams.example.org/x"), "and no path"),
        (URL, "a database is missing"),
        (
            [*TRIAL, *setting(coordinator__database__existingSecret="database")],
            "exclude each other",
        ),
        (
            [*TRIAL, *setting(operator__namespace="exams")],
            "must be a namespace of its own",
        ),
        (
            [*TRIAL, *setting(operator__namespace="medxamion")],
            "must be a namespace of its own",
        ),
        (
            [*TRIAL, *setting(deliveryNamespaces=["medxamion"])],
            "exam-clients need another",
        ),
        (
            [*TRIAL, *setting(coordinator__service__nodePort=30443)],
            "needs coordinator.service.type NodePort",
        ),
        (
            [
                *setting(coordinator__ingress__enabled=True, postgresql__trial__enabled=True),
                *setting(coordinator__publicUrl="https://192.0.2.7"),
            ],
            "an Ingress takes no address",
        ),
        ([*TRIAL, *setting(coordinator__replica=3)], "additional properties 'replica' not allowed"),
        ([*TRIAL, *setting(tls__issuer="acme")], "value must be one of 'chart', 'cert-manager'"),
    ],
)
def test_wrong_values_are_refused_in_words(values: list[str], says: str) -> None:
    with pytest.raises(ClusterMissing, match=re.escape(says)):
        chart.rendered(*values, namespace="medxamion")


def test_the_image_is_named_in_full() -> None:
    images = {
        container["image"]
        for manifest in _manifests("own secrets")
        for pod in _pods(manifest)
        for container in pod["spec"]["containers"]
    }

    assert images == {
        "registry.example.org/x/medxamion/coordinator:1",
        "registry.example.org/x/medxamion/operator:1",
    }
    operator = next(
        one
        for one in _manifests("own secrets")
        if (one["kind"], one["metadata"]["name"]) == ("Deployment", "medxamion-operator")
    )
    assert f"registry.example.org/x/medxamion/client@sha256:{'a' * 64}" in str(operator)


@pytest.fixture(scope="module")
def namespaces(cluster: None) -> Iterator[None]:
    """Those of the matrix, with the restricted standard enforced; the made ones go again."""
    made = []
    for name in (PLACE, OPERATOR, DELIVERIES, "matrix-resits"):
        document = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        }
        kubectl.apply(document)
        made.append(name)
    yield
    kubectl.kubectl("delete", "namespace", *made, "--wait=false")


@functools.cache
def _manifests(name: str) -> list[Json]:
    placed = setting(operator__namespace=OPERATOR, deliveryNamespaces=[DELIVERIES])
    text = chart.rendered(*placed, *MATRIX[name], namespace=PLACE)
    return [document for document in yaml.safe_load_all(text) if document]


def _is_foreign(manifest: Json) -> bool:
    group: str = manifest["apiVersion"].partition("/")[0]
    return group in FOREIGN


def _pods(manifest: Json) -> Iterator[Json]:
    """The manifest's pods as bare ones in a namespace that enforces the standard."""
    if manifest["kind"] not in ("Deployment", "StatefulSet", "Job", "Pod"):
        return
    template = manifest if manifest["kind"] == "Pod" else manifest["spec"]["template"]
    claimed = [
        {"name": claim["metadata"]["name"], "emptyDir": {}}
        for claim in manifest["spec"].get("volumeClaimTemplates", [])
    ]
    volumes = [*template["spec"].get("volumes", []), *claimed]
    meta = {
        "name": manifest["metadata"]["name"],
        "namespace": manifest["metadata"]["namespace"],
    }
    yield {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        # A pod needs its account; what the account may do is told elsewhere.
        "spec": {**template["spec"], "serviceAccountName": "default", "volumes": volumes},
    }
