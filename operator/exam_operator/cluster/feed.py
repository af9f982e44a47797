"""What the watches say goes into memory, and wakes the loop where it matters."""

from collections.abc import Callable
from typing import Any

import structlog
from pydantic import ValidationError

from exam_operator.cluster.canary import Canary
from exam_operator.cluster.looking import Looking
from exam_operator.cluster.memory import Memory, key_of, key_of_child
from exam_operator.core.world import Key

Json = dict[str, Any]
log = structlog.get_logger(__name__)
DELETED = "DELETED"


class Feed:
    """One method for each kind that is watched; each takes a watch event's type and object."""

    def __init__(
        self, memory: Memory, looking: Looking, canary: Canary, enqueue: Callable[[Key], None]
    ) -> None:
        self._memory, self._looking = memory, looking
        self._canary, self._enqueue = canary, enqueue

    def delivery(self, kind: str | None, raw: Json) -> None:
        key = key_of(raw)
        if kind == DELETED:
            self._memory.drop(key, raw["metadata"]["uid"])
            self._enqueue(key)
            return
        try:
            _, changed = self._memory.see(raw)
        except ValidationError as error:
            log.error("object.unreadable", delivery=key.name, faults=error.error_count())
            return
        if changed:
            self._enqueue(key)

    def pod(self, kind: str | None, raw: Json) -> None:
        key = key_of_child(raw)
        known = None if key is None else self._memory.get(key)
        if key is None or known is None:
            return
        if kind == DELETED and not _is(raw, known.pod.found):
            return  # the end of an earlier one, told late
        if self._looking.note_pod(known, None if kind == DELETED else raw):
            self._enqueue(key)

    def claim(self, kind: str | None, raw: Json) -> None:
        key = key_of_child(raw)
        known = None if key is None else self._memory.get(key)
        if key is None or known is None:
            return
        if kind == DELETED and not _is(raw, known.claim.found):
            return
        if known.claim.see(None if kind == DELETED else raw):
            self._enqueue(key)

    def service(self, kind: str | None, raw: Json) -> None:
        """Somebody deleted or changed the way to an exam-client: look whether it still stands."""
        key = key_of_child(raw)
        known = None if key is None else self._memory.get(key)
        if key is None or known is None:
            return
        gone, found = kind == DELETED, known.service.found
        if gone and found is not None and not _is(raw, found):
            return
        if known.service.see(None if gone else raw) and known.access.ready:
            known.access_at = None
            self._enqueue(key)

    def canary(self, raw: Json) -> None:
        self._canary.heard(raw)


def _is(raw: Json, found: Json | None) -> bool:
    return found is not None and found["metadata"]["uid"] == raw["metadata"]["uid"]
