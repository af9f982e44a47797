"""The chart's values and their schema say the same, and wrong values are refused."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from exam_contract.version import VERSION
from tests.support.cluster import installation

Json = dict[str, Any]
ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "medxamion"
VALUES: Json = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text("utf-8"))
KIND: Json = yaml.safe_load((ROOT / "tests" / "cluster" / "kind.yaml").read_text("utf-8"))
TRIAL: Json = yaml.safe_load((ROOT / "examples" / "values-trial.yaml").read_text("utf-8"))
EXAMPLES = sorted((ROOT / "examples").glob("values-*.yaml"))
# Helm gives every chart `global`; free words have no names to compare.
UNCOMPARED = {"global"}


def test_the_defaults_obey_the_schema() -> None:
    jsonschema.validate(VALUES, SCHEMA)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_obey_the_schema(example: Path) -> None:
    jsonschema.validate(_merged(VALUES, yaml.safe_load(example.read_text("utf-8"))), SCHEMA)


def test_the_trial_is_reached_at_its_node_port() -> None:
    coordinator = TRIAL["coordinator"]

    assert urlsplit(coordinator["publicUrl"]).port == coordinator["service"]["nodePort"]


@pytest.mark.parametrize(
    "port",
    [TRIAL["coordinator"]["service"]["nodePort"], installation.NODE_PORT],
    ids=["trial", "tests"],
)
def test_kind_shows_the_port_on_localhost(port: int) -> None:
    """Elsewhere nobody would notice: only kind's nodes are behind a mapping."""
    node = KIND["nodes"][0]
    first, last = map(int, _service_ports(KIND).split("-"))

    assert first <= port <= last
    assert {"containerPort": port, "hostPort": port, "listenAddress": "127.0.0.1"} in node[
        "extraPortMappings"
    ]


def test_kind_shows_every_port_that_a_delivery_may_get() -> None:
    mapped = [one["hostPort"] for one in KIND["nodes"][0]["extraPortMappings"]]
    first, last = map(int, _service_ports(KIND).split("-"))

    assert mapped == list(range(first, last + 1))


def test_the_example_of_a_delivery_has_a_way_in_from_outside() -> None:
    example = yaml.safe_load((ROOT / "examples" / "delivery.yaml").read_text("utf-8"))

    assert example["spec"]["access"] == {"type": "NodePort"}


def test_every_value_has_a_schema_and_every_schema_a_value() -> None:
    assert set(_described("", SCHEMA)) == set(_valued("", VALUES, SCHEMA))


def test_no_object_takes_unknown_names_but_free_words() -> None:
    for place, node in _objects("", SCHEMA):
        assert "additionalProperties" in node or "properties" not in node, place


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("deliveryNamespaces", []),
        ("deliveryNamespaces", ["Exams"]),
        ("deliveryNamespaces", ["exams", "exams"]),
        ("coordinator.replicas", 0),
        ("coordinator.replica", 2),
        ("coordinator.service.type", "Nodeport"),
        ("coordinator.service.nodePort", 99_999),
        ("coordinator.database.sslMode", "verify"),
        ("coordinator.image.digest", "sha256:12"),
        ("coordinator.image", "medxamion/coordinator"),
        ("image.registry", "https://registry.example.org"),
        ("image.pullPolicy", "ifNotPresent"),
        ("operator.gateway", "gateway"),
        ("operator.ingressAnnotations", {"haproxy.org/server-ssl": True}),
        ("coordinator.trustedProxies", "10.0.0.1"),
        ("coordinator.trustedProxies", ["proxy.example.org"]),
        ("operator.publicHost", "https://exams.example.org"),
        ("client.priorityClassName", "Very High"),
        ("tls.issuer", "letsencrypt"),
        ("tls.certManager.kind", "issuer"),
        ("postgresql.trial.size", "1 GB"),
        ("postgresql.trial.runAsUser", 0),
        ("networkPolicies.apiServer.cidrs", ["10.0.0.1"]),
        ("networkPolicies.monitoring.from", [{"pods": {}}]),
        ("monitoring.podMonitor.interval", "30"),
        ("bootstrap.tokenSecret", "First Admin"),
        ("examDeliveries", {}),
    ],
)
def test_a_wrong_value_is_refused(path: str, value: object) -> None:
    values = copy.deepcopy(VALUES)
    *parents, last = path.split(".")
    place = values
    for parent in parents:
        place = place[parent]
    place[last] = value

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, SCHEMA)


def test_the_chart_has_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))

    assert chart["version"] == chart["appVersion"] == VERSION


def _service_ports(cluster: Json) -> str:
    patch = yaml.safe_load(cluster["kubeadmConfigPatches"][0])
    return str(patch["apiServer"]["extraArgs"]["service-node-port-range"])


def _resolved(node: Json) -> Json:
    reference = node.get("$ref", "").rpartition("/")[2]
    return {**SCHEMA["$defs"][reference], **node} if reference else node


def _described(place: str, node: Json) -> Iterator[str]:
    """The dotted names of all values that the schema knows."""
    for name, child in _resolved(node).get("properties", {}).items():
        if name in UNCOMPARED or _is_free(place, name):
            continue
        yield f"{place}.{name}"
        yield from _described(f"{place}.{name}", child)


def _valued(place: str, values: Json, node: Json) -> Iterator[str]:
    properties = _resolved(node).get("properties", {})
    for name, value in values.items():
        if _is_free(place, name) or not properties:
            continue
        yield f"{place}.{name}"
        if isinstance(value, dict):
            yield from _valued(f"{place}.{name}", value, properties[name])


def _is_free(place: str, name: str) -> bool:
    """Kubernetes' own words, of which the defaults show a few."""
    return place.endswith(".resources") and name in ("requests", "limits", "claims")


def _objects(place: str, node: Any) -> Iterator[tuple[str, Json]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield place, node
        for name, child in node.items():
            yield from _objects(f"{place}.{name}", child)


def _merged(values: Json, over: Json) -> Json:
    merged = dict(values)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged
