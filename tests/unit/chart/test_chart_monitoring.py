"""Alerts and dashboard ask only for metrics that exist, and say what to do."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "medxamion"
METRICS = set(
    re.findall(r"`(medxamion_[a-z_]+)`", (ROOT / "docs" / "protocol.md").read_text("utf-8"))
)
NAME = re.compile(r"\bmedxamion_[a-z_]+\b")


def test_every_metric_of_an_alert_exists() -> None:
    assert [name for rule in _rules() for name in _unknown(rule["expr"])] == []


def test_every_metric_of_the_dashboard_exists() -> None:
    asked = [target["expr"] for panel in _panels() for target in panel.get("targets", [])]

    assert len(asked) > 15
    assert [name for query in asked for name in _unknown(query)] == []


def test_panels_stand_beside_each_other() -> None:
    places = [panel["gridPos"] for panel in _panels()]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in _panels()}) == len(places)


@pytest.mark.parametrize("part", ["exam-clients", "coordinator", "operator"])
def test_every_file_of_rules_is_in_the_template(part: str) -> None:
    template = (CHART / "templates" / "monitoring" / "rules.yaml").read_text("utf-8")

    assert (CHART / "rules" / f"{part}.yaml").exists()
    assert f'"{part}"' in template


def test_every_alert_says_how_bad_what_and_what_to_do() -> None:
    rules = list(_rules())

    assert all(rule["labels"]["severity"] in ("critical", "warning") for rule in rules)
    assert all({"summary", "action"} == set(rule["annotations"]) for rule in rules)
    assert len({rule["alert"] for rule in rules}) == len(rules)


def _unknown(query: str) -> list[str]:
    return [name for name in NAME.findall(query) if _base(name) not in METRICS]


def _base(name: str) -> str:
    bare = re.sub(r"_(bucket|count|sum)$", "", name)
    return bare if bare in METRICS else name


def _rules() -> Iterator[dict[str, Any]]:
    for path in sorted((CHART / "rules").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            yield from group["rules"]


def _panels() -> list[dict[str, Any]]:
    board = json.loads((CHART / "files" / "dashboard.json").read_text("utf-8"))
    panels: list[dict[str, Any]] = board["panels"]
    return panels
