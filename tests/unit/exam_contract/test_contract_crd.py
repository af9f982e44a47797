"""The CRD says what the model says: structural, bounded, and with every rule's sentence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from exam_contract import crd, delivery_rules
from tests.support import golden

Json = dict[str, Any]
COMMITTED = Path(__file__).parents[3] / "crds" / "examdelivery.yaml"
DEFINITION = crd.custom_resource_definition()
SCHEMA: Json = DEFINITION["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC: Json = golden.load("exam-delivery")["spec"]


def test_the_committed_file_is_what_the_model_says() -> None:
    assert yaml.safe_load(COMMITTED.read_text("utf-8")) == DEFINITION


def test_names_are_those_of_the_api() -> None:
    assert DEFINITION["metadata"]["name"] == "examdeliveries.exams.medxamion.io"
    assert DEFINITION["spec"]["names"]["shortNames"] == ["exd"]
    assert DEFINITION["spec"]["scope"] == "Namespaced"


def test_the_schema_is_structural() -> None:
    """The API server refuses references, alternatives with null, and properties beside unions."""
    for place, node in _nodes("", SCHEMA):
        assert not {"$ref", "$defs", "anyOf", "allOf", "oneOf", "const", "title"} & set(node), place
        assert "type" in node, place


def test_a_constant_becomes_an_enum_of_one() -> None:
    found = crd.structural({"type": "string", "const": "only"})

    assert found == {"type": "string", "enum": ["only"], "maxLength": 64}


def test_every_string_and_list_is_bounded() -> None:
    """CEL's cost is counted from bounds."""
    for place, node in _nodes("", SCHEMA["properties"]["spec"]):
        if node["type"] == "string":
            assert "maxLength" in node, place
        if node["type"] == "array":
            assert "maxItems" in node, place


def test_a_status_defaults_nothing() -> None:
    status = SCHEMA["properties"]["status"]

    assert [place for place, node in _nodes("", status) if "default" in node] == []


def test_every_rule_speaks_the_same_sentence_at_the_same_place() -> None:
    spec_rules = SCHEMA["properties"]["spec"]["x-kubernetes-validations"]
    root_rules = SCHEMA["x-kubernetes-validations"]
    spoken = [(f"spec{rule['fieldPath']}", rule["message"]) for rule in spec_rules]
    spoken += [(rule["fieldPath"].removeprefix("."), rule["message"]) for rule in root_rules]
    rules = (*delivery_rules.SPEC_RULES, *delivery_rules.UPDATE_RULES)

    assert spoken == [(rule.path, rule.message) for rule in rules]
    assert all(rule["rule"] for rule in spec_rules + root_rules)


def test_every_column_reads_a_field_that_exists() -> None:
    for name, _, path, _ in crd.COLUMNS:
        node = SCHEMA
        for part in path.removeprefix(".").split("[")[0].split("."):
            if part == "creationTimestamp":
                break
            assert part in node["properties"], name
            node = node["properties"][part]


@pytest.mark.parametrize("name", ["exam-delivery", "exam-delivery-minimal"])
def test_golden_objects_fit(name: str) -> None:
    case = golden.load(name)

    jsonschema.validate(case.get("applied", case), SCHEMA)


@pytest.mark.parametrize(
    ("name", "accepted"), [("n" * 63, True), ("n" * 64, False), ("a.b", False)]
)
def test_the_schema_refuses_a_name_that_the_operator_could_not_read(
    name: str, accepted: bool
) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    faults = list(validator.iter_errors({"metadata": {"name": name}, "spec": SPEC}))
    assert [list(fault.path) for fault in faults][:1] == (
        [] if accepted else [["metadata", "name"]]
    )
    assert set(SCHEMA["properties"]["metadata"]["properties"]) <= {"name", "generateName"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timeLimitSeconds", "3600"),
        ("timeLimitSeconds", 0),
        ("timeLimitSeconds", 604_801),
        ("paused", "yes"),
        ("replicas", -1),
        ("desiredState", "Started"),
        ("window", {"opensAt": "2026-01-15T10:30:00Z"}),
        ("window", {"opensAt": 1768473000, "closesAt": "2026-01-15T12:30:00Z"}),
        ("exam", {"id": "a", "version": "1"}),
        ("exam", SPEC["exam"] | {"contentDigest": "sha256:12"}),
        ("participants", {"rosterRef": "a b"}),
        ("participants", {"rosterRef": "9", "maxCount": 20_001}),
        ("storage", {"size": "1 GB"}),
        ("storage", {"retention": "1d"}),
        ("access", {"port": 65_536}),
        ("access", {"type": "LoadBalancer"}),
    ],
)
def test_the_schema_refuses_what_the_model_refuses(field: str, value: object) -> None:
    with pytest.raises(jsonschema.ValidationError) as caught:
        jsonschema.validate({"spec": SPEC | {field: value}}, SCHEMA)

    assert list(caught.value.absolute_path)[:2] == ["spec", field]


def _nodes(place: str, node: Json) -> Iterator[tuple[str, Json]]:
    yield place, node
    for name, child in node.get("properties", {}).items():
        yield from _nodes(f"{place}.{name}", child)
    if "items" in node:
        yield from _nodes(f"{place}[]", node["items"])
