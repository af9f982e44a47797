"""What the watches told, by delivery: raw objects, and what was learned on the way.

A cache for the quiet path only. What is missing here was not seen yet, which is another thing than
not being there; whenever something is off, the edge looks at the API itself.
"""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from exam_contract.delivery import FINALIZER, ExamDelivery
from exam_contract.trust import TrustRoot
from exam_operator.core import names
from exam_operator.core.world import Access, Exit, Key, Trouble

Json = dict[str, Any]
_EXITS_KEPT = 16
_NOTED_KEPT = 64
_SHARED_LENGTH = 64
"""Longer strings are messages and keys, which hardly two objects have in common."""
_REFUSAL_COUNTS = timedelta(minutes=2)
"""Longer than any wait before the next attempt."""
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass
class Looked:
    """An object as it was seen last; ``known`` is False until then.

    ``heard_at``: when the API last told of it, by a watch or as an answer (``time.monotonic``).
    """

    found: Json | None = None
    known: bool = False
    heard_at: float = 0.0

    def see(self, found: Json | None) -> bool:
        """Take over what is seen, unless something newer is known. Returns whether it changed."""
        found = None if found is None else compact(trimmed(found))
        self.heard_at = time.monotonic()
        if found is not None and self.found is not None and _is_old_news(found, self.found):
            return False
        changed = not self.known or found != self.found
        self.found, self.known = found, True
        return changed

    def forget(self) -> None:
        self.found, self.known = None, False

    def heard_within(self, seconds: float) -> bool:
        """Whether asking the API now would hardly tell anything new."""
        return self.known and time.monotonic() - self.heard_at < seconds


@dataclass
class Known:
    """One delivery. ``judged``: the version of the object that the plan in hand was made of.

    ``unstarted``: an epoch whose start the API refused, so that nobody has it.
    ``closed_generation``: of the spec for which no other way in was found open.
    """

    raw: Json
    stored: ExamDelivery
    judged: tuple[Json, ExamDelivery] | None = None
    pod: Looked = field(default_factory=Looked)
    claim: Looked = field(default_factory=Looked)
    secret: Looked = field(default_factory=Looked)
    secret_at: datetime | None = None
    service: Looked = field(default_factory=Looked)
    control_key: str | None = None
    trust: TrustRoot | None = None
    access: Access = field(default_factory=lambda: Access(ready=False))
    access_at: datetime | None = None
    access_generation: int = -1
    closed_generation: int = -1
    origin: str | None = None
    silent_since: datetime | None = None
    was_ready: bool = False
    exits: list[Exit] = field(default_factory=list)
    noted: list[tuple[str, int]] = field(default_factory=list)
    refused: dict[str, tuple[Trouble, datetime]] = field(default_factory=dict)
    unstarted: int | None = None

    @property
    def uid(self) -> str:
        return self.stored.metadata.uid or ""

    def note_exit(self, pod_uid: str, restart: int, end: Exit) -> None:
        """Each end once, however often it is seen."""
        if (pod_uid, restart) in self.noted:
            return
        self.noted = [*self.noted, (pod_uid, restart)][-_NOTED_KEPT:]
        self.exits = [*self.exits, end][-_EXITS_KEPT:]
        self.was_ready = False

    def refusal(self, now: datetime) -> Trouble | None:
        """What was refused lately; what nobody tried again for a while does not matter any more."""
        for trouble, at in self.refused.values():
            if now - at < _REFUSAL_COUNTS:
                return trouble
        return None


class Memory:
    """Every delivery that the operator looks after. ``on_drop``: told the uid of each that goes."""

    def __init__(self, on_drop: Callable[[str], None] = lambda uid: None) -> None:
        self._known: dict[Key, Known] = {}
        self._on_drop = on_drop

    def __len__(self) -> int:
        return len(self._known)

    def keys(self) -> list[Key]:
        return list(self._known)

    def get(self, key: Key) -> Known | None:
        return self._known.get(key)

    def see(self, raw: Json) -> tuple[Known, bool]:
        """Take over an ExamDelivery; says whether somebody changed what we act upon.

        Raises pydantic's ValidationError for an object that this version can't read.
        """
        key = key_of(raw)
        before = self._known.get(key)
        if before is not None and not is_newer(raw, before.raw):
            return before, False
        raw = compact(raw)
        stored = ExamDelivery.model_validate(raw)
        raw = trimmed({**raw, "spec": {}, "status": {}})
        if before is None or before.uid != raw["metadata"]["uid"]:
            self.drop(key)
            self._known[key] = Known(raw, stored)
            return self._known[key], True
        changed = _acted_upon(raw) != _acted_upon(before.raw)
        before.raw, before.stored = raw, stored
        return before, changed

    def drop(self, key: Key, uid: str | None = None) -> None:
        """Forget an object; with ``uid`` only that very one, not another of its name."""
        known = self._known.get(key)
        if known is not None and uid in (None, known.uid):
            del self._known[key]
            self._on_drop(known.uid)

    def uids_in(self, namespace: str) -> dict[Key, str]:
        return {key: known.uid for key, known in self._known.items() if key.namespace == namespace}

    def protected_in(self, namespace: str) -> Iterable[Key]:
        """Deliveries of a namespace whose data is not handed over yet."""
        for key, known in self._known.items():
            if key.namespace == namespace and FINALIZER in finalizers(known.raw):
                yield key


def key_of(raw: Json) -> Key:
    """Of an ExamDelivery."""
    return Key(raw["metadata"]["namespace"], raw["metadata"]["name"])


def key_of_child(raw: Json) -> Key | None:
    """Of the ExamDelivery that a pod, claim or Service belongs to; None for somebody else's."""
    name = (raw["metadata"].get("annotations") or {}).get(names.OBJECT_ANNOTATION)
    return None if name is None else Key(raw["metadata"]["namespace"], name)


def finalizers(raw: Json) -> list[str]:
    return list(raw["metadata"].get("finalizers") or [])


def trimmed(raw: Json) -> Json:
    """Without what nobody here reads and what makes thousands of objects heavy."""
    meta = {name: value for name, value in raw["metadata"].items() if name != "managedFields"}
    notes = dict(meta.get("annotations") or {})
    if notes.pop(_LAST_APPLIED, None) is not None:
        meta["annotations"] = notes
    spec = raw.get("spec")
    if raw.get("kind") == "Pod" and isinstance(spec, dict):
        kept = ("name", "image", "ports")
        containers = [
            {name: one[name] for name in kept if name in one} for one in spec.get("containers", [])
        ]
        spec = {"nodeName": spec.get("nodeName"), "containers": containers}
    return {**raw, "metadata": meta, **({} if spec is None else {"spec": spec})}


def compact(value: Any) -> Any:
    """The same, its strings shared: each document that is decoded brings every name anew."""
    if isinstance(value, dict):
        return {sys.intern(name): compact(part) for name, part in value.items()}
    if isinstance(value, list):
        return [compact(part) for part in value]
    if isinstance(value, str) and len(value) <= _SHARED_LENGTH:
        return sys.intern(value)
    return value


def _is_old_news(found: Json, before: Json) -> bool:
    same = found["metadata"]["uid"] == before["metadata"]["uid"]
    return same and not is_newer(found, before)


def is_newer(one: Json, other: Json) -> bool:
    """By resourceVersion, which the API server counts up."""
    try:
        return int(one["metadata"]["resourceVersion"]) > int(other["metadata"]["resourceVersion"])
    except (KeyError, ValueError):
        return bool(one != other)


def _acted_upon(raw: Json) -> tuple[object, ...]:
    meta = raw["metadata"]
    return (
        meta.get("generation"),
        meta.get("annotations"),
        meta.get("deletionTimestamp"),
        meta.get("finalizers"),
    )
