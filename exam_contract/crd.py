"""The CustomResourceDefinition of ExamDelivery, built from the model that everybody else uses.

Structural schemas know neither ``$ref`` nor null, so references are written out and an optional
field is simply one that may be absent. Rules become CEL with the same sentence and field path that
the other door speaks.
"""

from typing import Any

from exam_contract import delivery, delivery_rules

Schema = dict[str, Any]

_DROPPED = ("title", "additionalProperties", "discriminator", "$defs")
_MAX_ENUM = 64
_MAX_DATE = 40
_MAX_NAME = 63

COLUMNS = (
    ("Exam", "string", ".spec.exam.id", 0),
    ("Phase", "string", ".status.phase", 0),
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Participants", "integer", ".status.counts.enrolled", 0),
    ("Acked", "integer", ".status.counts.acked", 0),
    ("Restarts", "integer", ".status.restarts.count", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Node", "string", ".status.pod.node", 1),
    ("Epoch", "integer", ".status.epoch", 1),
    ("Transfer", "string", ".status.transfer.state", 1),
    ("PVC", "string", ".status.pvcName", 1),
)


def custom_resource_definition() -> Schema:
    """The whole CRD as JSON data."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{delivery.PLURAL}.{delivery.GROUP}"},
        "spec": {
            "group": delivery.GROUP,
            "scope": "Namespaced",
            "names": {
                "plural": delivery.PLURAL,
                "singular": delivery.KIND.lower(),
                "kind": delivery.KIND,
                "listKind": f"{delivery.KIND}List",
                "shortNames": ["exd"],
                "categories": ["exams"],
            },
            "versions": [_version()],
        },
    }


def _version() -> Schema:
    return {
        "name": delivery.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root_schema()},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, "priority": priority}
            for name, kind, path, priority in COLUMNS
        ],
    }


def _root_schema() -> Schema:
    spec = structural(delivery.ExamDeliverySpec.model_json_schema(by_alias=True))
    status = structural(delivery.ExamDeliveryStatus.model_json_schema(by_alias=True))
    spec["x-kubernetes-validations"] = [_spec_rule(rule) for rule in delivery_rules.SPEC_RULES]
    return {
        "type": "object",
        "description": "One sitting of one exam version for one roster.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": _name_schema()}},
            "spec": spec,
            "status": _without_defaults(status),
        },
        "x-kubernetes-validations": [_update_rule(rule) for rule in delivery_rules.UPDATE_RULES],
    }


def _name_schema() -> Schema:
    """Shorter than Kubernetes allows: it becomes a part of other objects."""
    name = delivery.ObjectMeta.model_json_schema(by_alias=True)["properties"]["name"]
    return {"type": "string", "pattern": name["pattern"], "maxLength": _MAX_NAME}


def _spec_rule(rule: delivery_rules.SpecRule) -> Schema:
    path = rule.path.removeprefix("spec")
    return {"rule": rule.cel, "message": rule.message, "fieldPath": path}


def _update_rule(rule: delivery_rules.UpdateRule) -> Schema:
    return {"rule": rule.cel, "message": rule.message, "fieldPath": f".{rule.path}"}


def structural(schema: Schema) -> Schema:
    """A pydantic JSON schema as a Kubernetes structural schema: flat, nowhere null, bounded."""
    return _flatten(schema, schema.get("$defs", {}))


def _flatten(node: Schema, definitions: dict[str, Schema]) -> Schema:
    merged = _resolve(node, definitions)
    flat = {name: value for name, value in merged.items() if name not in _DROPPED}
    _bound_strings(flat)
    if "properties" in merged:
        flat["properties"] = {
            name: _flatten(child, definitions) for name, child in merged["properties"].items()
        }
    if "items" in merged:
        flat["items"] = _flatten(merged["items"], definitions)
    _plain_default(flat)
    return flat


def _resolve(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """Follow a reference and drop null alternatives; what stands beside them wins."""
    beside = {name: value for name, value in node.items() if name not in ("$ref", "anyOf", "allOf")}
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return {**_resolve(target, definitions), **beside}
    for alternatives in (node.get("anyOf"), node.get("allOf")):
        real = [part for part in alternatives or [] if part.get("type") != "null"]
        if len(real) == 1:
            return {**_resolve(real[0], definitions), **beside}
    return dict(node)


def _bound_strings(flat: Schema) -> None:
    """CEL's cost is counted from bounds, so every string has one, enums and dates too."""
    if "const" in flat:
        flat["enum"] = [flat.pop("const")]
    if flat.get("type") != "string":
        return
    if "enum" in flat:
        flat.setdefault("maxLength", _MAX_ENUM)
    elif flat.get("format") == "date-time":
        flat.setdefault("maxLength", _MAX_DATE)
    else:
        flat.setdefault("maxLength", 512)


def _plain_default(flat: Schema) -> None:
    """Null means absent; an object's default is empty, since its fields default themselves."""
    if "default" not in flat:
        return
    if flat["default"] is None:
        del flat["default"]
    elif flat.get("type") == "object":
        flat["default"] = {}


def _without_defaults(node: Schema) -> Schema:
    """A status holds what was observed: nothing in it may appear by itself."""
    cleaned = {name: value for name, value in node.items() if name not in ("default", "required")}
    if "properties" in node:
        cleaned["properties"] = {
            name: _without_defaults(child) for name, child in node["properties"].items()
        }
    if "items" in node:
        cleaned["items"] = {**_without_defaults(node["items"])}
    return cleaned
