"""The objects of a cluster as an API server keeps them: versions, finalizers, owners, history.

Small, and true where the operator depends on it: every write has its resourceVersion, stale writes
are refused, what has finalizers or runs only begins to go, and status is a door of its own.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

Json = dict[str, Any]
_PVC_PROTECTION = "kubernetes.io/pvc-protection"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind; ``status``: its status is written through a subresource only."""

    group_version: str
    plural: str
    kind: str
    namespaced: bool = True
    status: bool = False

    @property
    def group(self) -> str:
        return self.group_version.rpartition("/")[0]


RESOURCES = {
    found.plural: found
    for found in (
        Resource("exams.medxamion.io/v1", "examdeliveries", "ExamDelivery", status=True),
        Resource("v1", "pods", "Pod"),
        Resource("v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
        Resource("v1", "secrets", "Secret"),
        Resource("v1", "services", "Service"),
        Resource("v1", "configmaps", "ConfigMap"),
        Resource("v1", "events", "Event"),
        Resource("v1", "nodes", "Node", namespaced=False),
        Resource("v1", "namespaces", "Namespace", namespaced=False),
        Resource("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"),
        Resource("networking.k8s.io/v1", "ingresses", "Ingress"),
        Resource("gateway.networking.k8s.io/v1", "httproutes", "HTTPRoute"),
        Resource("gateway.networking.k8s.io/v1", "backendtlspolicies", "BackendTLSPolicy"),
        Resource("cert-manager.io/v1", "certificates", "Certificate"),
        Resource(
            "apiextensions.k8s.io/v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            namespaced=False,
        ),
    )
}


class Refusal(Exception):
    """What the API server says instead of doing it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


@dataclass(frozen=True, slots=True)
class Place:
    """Where one object stands."""

    plural: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f'{self.plural} "{self.name}"'


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the history: what a watch would be told."""

    version: int
    type: str
    object: Json
    before: Json | None


Admission = Callable[[str, Json | None, Json | None], None]
"""Called with verb, old and new object; raises Refusal."""


@dataclass
class Store:
    """``admissions``: by plural, what has a say before a write."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    admissions: dict[str, list[Admission]] = field(default_factory=dict)
    on_change: list[Callable[[], None]] = field(default_factory=list)
    version: int = 100
    _objects: dict[Place, Json] = field(default_factory=dict)
    _history: dict[str, list[Change]] = field(default_factory=dict)
    _compacted: dict[str, int] = field(default_factory=dict)

    # reading

    def find(self, plural: str, namespace: str, name: str) -> Json | None:
        found = self._objects.get(Place(plural, namespace, name))
        return None if found is None else copy.deepcopy(found)

    def get(self, plural: str, namespace: str, name: str) -> Json:
        return copy.deepcopy(self._standing(Place(plural, namespace, name)))

    def listed(self, plural: str, namespace: str | None = None) -> list[Json]:
        """Copies, in the order of their names."""
        found = [
            (place.namespace, place.name, raw)
            for place, raw in self._objects.items()
            if place.plural == plural and namespace in (None, "", place.namespace)
        ]
        return [copy.deepcopy(raw) for _, _, raw in sorted(found, key=lambda one: one[:2])]

    def since(self, plural: str, version: int) -> list[Change] | None:
        """What happened after that version; None when it is too old to tell."""
        if version < self._compacted.get(plural, 0):
            return None
        return [one for one in self._history.get(plural, []) if one.version > version]

    def forget_history(self) -> None:
        """As etcd does after some minutes: older versions are Gone."""
        for plural in RESOURCES:
            self._history[plural] = []
            self._compacted[plural] = self.version

    # writing

    def create(self, plural: str, namespace: str, body: Json) -> Json:
        resource = RESOURCES[plural]
        raw = copy.deepcopy(body)
        place = Place(plural, namespace, raw["metadata"]["name"])
        self._check_namespace(resource, namespace)
        if place in self._objects:
            raise Refusal(409, "AlreadyExists", f"{place} already exists")
        meta = raw["metadata"]
        if resource.namespaced:
            meta["namespace"] = namespace
        meta |= {"uid": str(uuid4()), "creationTimestamp": rfc3339(self.now()), "generation": 1}
        if resource.status:
            raw.pop("status", None)
        if plural == "persistentvolumeclaims":
            meta["finalizers"] = [*meta.get("finalizers", []), _PVC_PROTECTION]
            raw.setdefault("status", {"phase": "Pending"})
        if plural == "pods":
            raw.setdefault("status", {"phase": "Pending"})
        self._admit("create", place, None, raw)
        raw |= {"apiVersion": resource.group_version, "kind": resource.kind}
        return self._commit(place, raw, "ADDED")

    def replace(
        self, plural: str, namespace: str, name: str, body: Json, *, status: bool = False
    ) -> Json:
        """PUT, of the object or of its status."""
        place = Place(plural, namespace, name)
        before = self._standing(place)
        self._check_seen(place, before, body["metadata"])
        if status:
            return self._write(place, {**before, "status": copy.deepcopy(body.get("status", {}))})
        raw = copy.deepcopy(body)
        for kept in ("uid", "creationTimestamp", "deletionTimestamp", "generation"):
            if kept in before["metadata"]:
                raw["metadata"][kept] = before["metadata"][kept]
        if RESOURCES[plural].status and "status" in before:
            raw["status"] = before["status"]
        return self._write(place, raw)

    def merge(self, plural: str, namespace: str, name: str, change: Json) -> Json:
        """A JSON merge patch; a resourceVersion in it must be the standing one."""
        place = Place(plural, namespace, name)
        before = self._standing(place)
        self._check_seen(place, before, change.get("metadata", {}))
        wanted = {key: value for key, value in change.items() if key != "status"}
        return self._write(place, merged(before, wanted if RESOURCES[plural].status else change))

    def edit(self, plural: str, namespace: str, name: str, change: Callable[[Json], None]) -> Json:
        """As a controller of the cluster does it: any part, past all admission."""
        place = Place(plural, namespace, name)
        raw = copy.deepcopy(self._standing(place))
        change(raw)
        return self._write(place, raw, admit=False)

    def delete(
        self, plural: str, namespace: str, name: str, options: Mapping[str, Any] | None = None
    ) -> Json:
        """What runs or has finalizers is only marked; everything else is gone."""
        options, place = options or {}, Place(plural, namespace, name)
        before = self._standing(place)
        wanted = (options.get("preconditions") or {}).get("uid")
        if wanted is not None and wanted != before["metadata"]["uid"]:
            said = f"Precondition failed: UID in precondition: {wanted}"
            raise Refusal(409, "Conflict", said)
        self._admit("delete", place, before, None)
        grace = _grace(plural, before, options.get("gracePeriodSeconds"))
        if grace == 0 and not before["metadata"].get("finalizers"):
            return self._remove(place)
        if "deletionTimestamp" in before["metadata"]:
            return copy.deepcopy(before)
        raw = copy.deepcopy(before)
        raw["metadata"]["deletionTimestamp"] = rfc3339(self.now() + timedelta(seconds=grace))
        raw["metadata"]["deletionGracePeriodSeconds"] = grace
        return self._commit(place, raw, "MODIFIED")

    def collect_garbage(self) -> None:
        """What has owners, and not one of them is left, goes."""
        there = {raw["metadata"]["uid"] for raw in self._objects.values()}
        for place, raw in list(self._objects.items()):
            owners = raw["metadata"].get("ownerReferences") or []
            going = "deletionTimestamp" in raw["metadata"]
            if owners and not going and not any(one["uid"] in there for one in owners):
                self.delete(place.plural, place.namespace, place.name)

    # inside

    def _write(self, place: Place, raw: Json, *, admit: bool = True) -> Json:
        before = self._objects[place]
        meta = raw["metadata"]
        meta["resourceVersion"] = before["metadata"]["resourceVersion"]
        if raw == before:
            return copy.deepcopy(before)
        if admit:
            self._check_change(place, before, raw)
            self._admit("update", place, before, raw)
        if raw.get("spec") != before.get("spec"):
            meta["generation"] = before["metadata"]["generation"] + 1
        ends = "deletionTimestamp" in meta and not meta.get("finalizers")
        if ends and not meta.get("deletionGracePeriodSeconds"):
            self._objects[place] = raw
            return self._remove(place)
        return self._commit(place, raw, "MODIFIED")

    def _commit(self, place: Place, raw: Json, kind: str) -> Json:
        before = self._objects.get(place)
        self.version += 1
        raw["metadata"]["resourceVersion"] = str(self.version)
        self._objects[place] = raw
        self._tell(place, Change(self.version, kind, copy.deepcopy(raw), before))
        return copy.deepcopy(raw)

    def _remove(self, place: Place) -> Json:
        raw = self._objects.pop(place)
        self.version += 1
        gone = copy.deepcopy(raw)
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._tell(place, Change(self.version, "DELETED", gone, raw))
        return copy.deepcopy(gone)

    def _tell(self, place: Place, change: Change) -> None:
        self._history.setdefault(place.plural, []).append(change)
        for notify in self.on_change:
            notify()

    def _standing(self, place: Place) -> Json:
        found = self._objects.get(place)
        if found is None:
            raise Refusal(404, "NotFound", f"{place} not found")
        return found

    def _check_namespace(self, resource: Resource, namespace: str) -> None:
        if not resource.namespaced:
            return
        found = self._standing(Place("namespaces", "", namespace))
        if "deletionTimestamp" in found["metadata"]:
            said = f"namespace {namespace} is being terminated"
            raise Refusal(403, "Forbidden", f"unable to create new content in it because {said}")

    def _check_seen(self, place: Place, before: Json, seen: Json) -> None:
        for part, said in (
            ("uid", "the UID in the precondition does not match"),
            ("resourceVersion", "the object has been modified; please apply your changes to it"),
        ):
            if seen.get(part) not in (None, before["metadata"][part]):
                raise Refusal(409, "Conflict", f"Operation cannot be fulfilled on {place}: {said}")

    def _check_change(self, place: Place, before: Json, raw: Json) -> None:
        if before.get("immutable") and raw.get("data") != before.get("data"):
            raise Refusal(422, "Invalid", f"{place}: data: Forbidden: field is immutable")
        added = set(raw["metadata"].get("finalizers") or ()) - set(
            before["metadata"].get("finalizers") or ()
        )
        if "deletionTimestamp" in before["metadata"] and added:
            said = "no new finalizers can be added if the object is being deleted"
            raise Refusal(422, "Invalid", f"{place}: metadata.finalizers: Forbidden: {said}")

    def _admit(self, verb: str, place: Place, before: Json | None, raw: Json | None) -> None:
        for admission in self.admissions.get(place.plural, []):
            admission(verb, before, raw)


def rfc3339(moment: datetime) -> str:
    """As the API server writes times: whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def merged(target: Json, change: Json) -> Json:
    """RFC 7386."""
    result = copy.deepcopy(target)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            standing = result.get(key)
            result[key] = merged(standing if isinstance(standing, dict) else {}, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def selected(raw: Json, labels: str, fields: str) -> bool:
    """Whether equality selectors choose the object."""
    own = raw["metadata"].get("labels") or {}
    return all(own.get(key) == value for key, value in _terms(labels)) and all(
        _at(raw, key.split(".")) == value for key, value in _terms(fields)
    )


def _terms(selector: str) -> Iterable[tuple[str, str]]:
    for term in filter(None, selector.split(",")):
        key, _, value = term.partition("=")
        yield key, value


def _at(raw: Any, path: list[str]) -> object:
    for part in path:
        raw = raw.get(part) if isinstance(raw, dict) else None
    return raw


def _grace(plural: str, raw: Json, asked: int | None) -> int:
    """Only a pod that has a node needs time to end."""
    if plural != "pods" or not raw["spec"].get("nodeName"):
        return 0
    if asked is not None:
        return asked
    return int(raw["spec"].get("terminationGracePeriodSeconds", 30))
