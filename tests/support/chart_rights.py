"""What the chart allows, read from its templates: every test of the operator runs with no more."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.fake_kubernetes import Call
from tests.support.fake_store import RESOURCES

_TEMPLATES = Path(__file__).parents[2] / "charts" / "medxamion" / "templates"
VALUE = "a-value"
_ROLE = "medxamion-operator"


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource; ``names``: only objects of these names, where there are any.

    ``own``: in the operator's own namespace, not in those of deliveries.
    """

    verb: str
    group: str
    resource: str
    names: tuple[str, ...]
    own: bool


def rights(role_name: str) -> frozenset[Right]:
    """Of the Role in delivery namespaces, the Role of its own, and the ClusterRole."""
    found: set[Right] = set()
    for template in ("deliveries/rbac.yaml", "operator/rbac.yaml", "coordinator/rbac.yaml"):
        for role in _documents(_TEMPLATES / template):
            if role["kind"] in ("Role", "ClusterRole") and role["metadata"]["name"] == role_name:
                own = template.startswith("operator/") and role["kind"] == "Role"
                found |= {right for rule in role["rules"] for right in _rights(rule, own=own)}
    return frozenset(found)


def allowed(call: Call) -> bool:
    """Whether the operator may do that in a namespace of deliveries."""
    return any(covers(right, call) for right in _RIGHTS if not right.own)


def covers(right: Right, call: Call) -> bool:
    group = RESOURCES[call.plural].group
    if (right.verb, right.group, right.resource) != (call.verb, group, call.resource):
        return False
    return not right.names or call.name in right.names or right.names == (VALUE,)


def _rights(rule: dict[str, Any], *, own: bool) -> set[Right]:
    names = rule.get("resourceNames", ())
    names = (names,) if isinstance(names, str) else tuple(names)
    return {
        Right(verb, group, resource, names, own)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _documents(template: Path) -> list[dict[str, Any]]:
    """The template with a word in place of each value."""
    text = re.sub(r"^\s*\{\{-?.*\}\}\s*$", "", template.read_text("utf-8"), flags=re.MULTILINE)
    return [one for one in yaml.safe_load_all(re.sub(r"\{\{.*?\}\}", VALUE, text)) if one]


_RIGHTS = rights(_ROLE)
