"""What is made for other projects, read by their own Go types: no field unknown, no type wrong.

Their CRDs are not installed, so rules between fields are theirs to tell. Kinds that Kubernetes has
itself meet the API server.
"""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from exam_operator.core import access
from exam_operator.core.manifests import Platform
from tests.support import deliveries
from tests.support.cluster import chart, kubectl, script
from tests.support.cluster.chart import TRIAL, setting

Json = dict[str, Any]
Reads = Callable[..., str]
TOOLS = script.ROOT / "tests" / "cluster" / "tools" / "get"
DATABASE = script.ROOT / "examples" / "cloudnative-pg.yaml"
GROUPS = ("monitoring.coreos.com", "cert-manager.io")
PLATFORM = Platform("https://c", "i", ingress_class="nginx", gateway="infra/public")
CHARTS = {
    "documented database": ["-f", str(script.ROOT / "examples" / "values-cloudnative-pg.yaml")],
    "chain": [*TRIAL, *setting(tls__issuer="cert-manager")],
    "issuer": [*TRIAL, *setting(tls={"issuer": "cert-manager", "certManager": {"name": "vault"}})],
}


@pytest.fixture(scope="module")
def reads(cluster: None) -> Reads:
    """What the projects' types say against objects; empty where they take all of them."""
    script.run("foreign-kinds", program=TOOLS)

    def read(*documents: Json) -> str:
        listed = json.dumps({"items": documents})
        done = subprocess.run(
            ["foreign-kinds"], input=listed, capture_output=True, text=True, check=False
        )
        assert done.returncode == bool(done.stdout), done.stderr
        return done.stdout

    return read


@pytest.mark.parametrize("values", CHARTS.values(), ids=CHARTS)
def test_what_the_chart_makes_is_read(reads: Reads, values: list[str]) -> None:
    made = list(yaml.safe_load_all(chart.rendered(*values, namespace="medxamion")))
    foreign = [one for one in made if one and one["apiVersion"].partition("/")[0] in GROUPS]

    assert foreign
    assert reads(*foreign) == ""


def test_what_the_operator_makes_is_read(reads: Reads) -> None:
    stored = deliveries.delivery(access={"type": "HTTPRoute", "host": "e.example.org"})
    hosts = access.certificate_hosts(stored, None)

    assert (
        reads(
            access.http_route(stored, PLATFORM),
            access.backend_tls(stored, "v1"),
            access.backend_tls(stored, "v1alpha3"),
            access.certificate(stored, hosts, "ClusterIssuer/ca"),
        )
        == ""
    )


def test_a_misspelt_field_is_told(reads: Reads) -> None:
    route = access.http_route(deliveries.delivery(), PLATFORM)
    route["spec"]["hostname"] = route["spec"].pop("hostnames")

    assert 'unknown field "spec.hostname"' in reads(route)


def test_an_ingress_is_taken_by_the_api_server(cluster: None) -> None:
    way = {"type": "Ingress", "host": "e.example.org", "tls": {"secretRef": {"name": "mine"}}}

    _take(access.ingress(deliveries.delivery(access=way), PLATFORM))


def test_the_policy_of_the_documented_database_is_taken(cluster: None) -> None:
    """Its Cluster is not looked at: CloudNativePG's types are not to be had everywhere."""
    [policy] = [
        one
        for one in yaml.safe_load_all(DATABASE.read_text("utf-8"))
        if one["kind"] == "NetworkPolicy"
    ]
    policy["metadata"]["namespace"] = "default"

    _take(policy)


def _take(manifest: Json) -> None:
    kubectl.kubectl(
        *("create", "--dry-run=server", "--validate=strict", "-f", "-"),
        stdin=kubectl.in_one(manifest),
    )
