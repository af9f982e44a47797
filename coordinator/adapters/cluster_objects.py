"""ExamDelivery objects through the Kubernetes API server, and its refusals in our words.

A ``Status`` says what was refused where: CEL rules and schema faults as causes with a field path,
admission policies as a sentence behind the policy's name, missing rights as a sentence about verbs.
"""

import json
import re
from pathlib import Path
from typing import Any

import httpx

from coordinator.adapters.objects_api import Door
from coordinator.errors import Conflict, NotFound, NotReady, Refused, RuleViolated

_DENIED = re.compile(r"denied (?:the )?request: (.*)", re.DOTALL)
_NO_RIGHT = re.compile(
    r'cannot (\w+) resource "[\w./]+" in API group "[^"]*"(?: in the namespace "([^"]*)")?'
)
_UNKNOWN_FIELD = re.compile(r'unknown field "([^"]+)"')
_VALUE = "Invalid value: "
Json = dict[str, Any]
Fault = dict[str, str]


def cluster_door(base_url: str, token_file: Path, ca_file: Path | None) -> Door:
    """The API server, by the pod's own ServiceAccount."""
    return Door(
        base_url=base_url,
        token_file=token_file,
        ca_file=ca_file,
        away="the Kubernetes API does not answer; exams go on without it, try again in a moment",
        refusal=refusal,
    )


def refusal(reply: httpx.Response) -> Refused:
    """What the API server refused, at the paths that our own doors use."""
    status = _status(reply)
    said = str(status.get("message", "")) or f"status {reply.status_code}"
    match reply.status_code:
        case 422:
            return _violated(_causes(status, said))
        case 403:
            return _forbidden(status, said)
        case 400 if found := _UNKNOWN_FIELD.findall(said):
            message = "the cluster's ExamDelivery definition does not know this field; renew it"
            return _violated([{"path": path, "message": message} for path in found])
        case 409:
            return _conflict(status)
        case 404:
            return _not_found(status)
        case 401:
            return NotReady(
                "the Kubernetes API does not accept the coordinator's ServiceAccount token"
            )
        case _:
            return NotReady(f"the Kubernetes API says: {said[:300]}")


def _status(reply: httpx.Response) -> Json:
    try:
        body = reply.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) and body.get("kind") == "Status" else {}


def _causes(status: Json, said: str) -> list[Fault]:
    details = status.get("details") or {}
    found = [
        {"path": str(cause.get("field") or ""), "message": _sentence(str(cause["message"]))}
        for cause in details.get("causes") or []
        if cause.get("message")
    ]
    faults = found or [{"path": "", "message": _sentence(said)}]
    return [fault if fault["path"] else {**fault, "path": "metadata.name"} for fault in faults]


def _sentence(message: str) -> str:
    """Without the policy's name, and without the value in front of a rule's own sentence."""
    denied = _DENIED.search(message)
    if denied:
        return denied[1]
    if not message.startswith(_VALUE):
        return message
    try:
        _, end = json.JSONDecoder().raw_decode(message, len(_VALUE))
    except ValueError:
        return message
    rest = message[end:].removeprefix(": ")
    return rest or message


def _forbidden(status: Json, said: str) -> Refused:
    missing = _NO_RIGHT.search(said)
    if missing:
        verb, namespace = missing[1], missing[2] or "this namespace"
        message = (
            f"the coordinator has no right to {verb} deliveries in {namespace}; use a delivery"
            " namespace of this installation (values.deliveryNamespaces)"
        )
        return _violated([{"path": "metadata.namespace", "message": message}])
    faults = _causes(status, said)
    if not _DENIED.search(said):
        faults = [
            {**fault, "message": said.partition(" is forbidden: ")[2] or said} for fault in faults
        ]
    return _violated(faults)


def _conflict(status: Json) -> Refused:
    if status.get("reason") == "AlreadyExists":
        name = (status.get("details") or {}).get("name", "of that name")
        return Conflict(f"a delivery {name} exists already in this namespace; choose another name")
    return Conflict("the object changed meanwhile; read it again and repeat")


def _not_found(status: Json) -> Refused:
    details = status.get("details") or {}
    if details.get("kind") == "namespaces":
        message = f"there is no namespace {details.get('name', '')}; make it or choose another"
        return _violated([{"path": "metadata.namespace", "message": message}])
    if not details.get("name"):
        return NotReady("this cluster does not know ExamDelivery objects; install the chart's CRD")
    return NotFound("the delivery's object does not exist any more")


def _violated(faults: list[Fault]) -> RuleViolated:
    first = faults[0]
    return RuleViolated(first["message"], errors=faults)
