"""The ExamDelivery objects of one machine: a folder of YAML files behind an API server's habits.

One file per object, replaced atomically and on disk before a caller hears of it; a generation that
rises when the spec changes; a resourceVersion that rises with every write. One process owns it.
"""

import threading
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog
import yaml
from pydantic import ValidationError

from exam_contract.delivery import ExamDelivery, ExamDeliveryStatus, ObjectMeta
from exam_operator.core.world import Key
from exam_operator.errors import EdgeError, ObjectConflict, ObjectUnknown, Stale
from exam_operator.local import admission, durable

log = structlog.get_logger(__name__)


class ObjectStore:
    """Reads are from memory; writes go through to the files."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._folder, self._now = folder, now
        self._objects: dict[Key, ExamDelivery] = {}
        self._lock = threading.RLock()
        durable.make_private_folder(folder)
        self._load()

    def all_keys(self) -> list[Key]:
        with self._lock:
            return sorted(self._objects, key=lambda key: (key.namespace, key.name))

    def get(self, key: Key) -> ExamDelivery:
        """Raises ObjectUnknown."""
        with self._lock:
            if key not in self._objects:
                raise ObjectUnknown(f"there is no ExamDelivery {key.name} in {key.namespace}")
            return self._objects[key]

    def create(self, wanted: ExamDelivery) -> ExamDelivery:
        """Raises ObjectConflict when it exists, ObjectInvalid when it breaks a rule."""
        admission.admit_new(wanted)
        key = key_of(wanted)
        with self._lock:
            if key in self._objects:
                raise ObjectConflict(f"ExamDelivery {key.name} exists already in {key.namespace}")
            meta = wanted.metadata.model_copy(
                update={
                    "uid": str(uuid.uuid4()),
                    "generation": 1,
                    "creation_timestamp": self._now(),
                    "deletion_timestamp": None,
                    "resource_version": "1",
                }
            )
            return self._store(wanted.model_copy(update={"metadata": meta}))

    def replace(self, wanted: ExamDelivery) -> ExamDelivery:
        """Spec, labels and annotations anew; the same again changes nothing at all."""
        with self._lock:
            stored = self.get(key_of(wanted))
            version = wanted.metadata.resource_version
            if version is not None and version != stored.metadata.resource_version:
                raise ObjectConflict("the object changed meanwhile; read it again and repeat")
            admission.admit_change(stored, wanted)
            changed = stored.spec != wanted.spec
            meta = stored.metadata.model_copy(
                update={
                    "labels": wanted.metadata.labels,
                    "annotations": wanted.metadata.annotations,
                    "generation": stored.metadata.generation + int(changed),
                }
            )
            if not changed and meta == stored.metadata:
                return stored
            return self._store(
                stored.model_copy(update={"spec": wanted.spec, "metadata": _raised(meta)})
            )

    def mark_deleted(self, key: Key, *, started_now: int = 0) -> ExamDelivery:
        """Begin the deletion, if a rule does not refuse it. ``started_now``: freshly counted."""
        with self._lock:
            stored = self.get(key)
            admission.admit_delete(_with_started(stored, started_now))
            if stored.metadata.deletion_timestamp is not None:
                return stored
            meta = stored.metadata.model_copy(update={"deletion_timestamp": self._now()})
            return self._store(stored.model_copy(update={"metadata": _raised(meta)}))

    def write_status(self, key: Key, status: ExamDeliveryStatus, uid: str | None) -> None:
        """Raises Stale when the object is another one by now."""
        with self._lock:
            stored = self._objects.get(key)
            if stored is None or stored.metadata.uid != uid:
                raise Stale("the object is gone")
            wanted = stored.model_copy(
                update={"status": status, "metadata": _raised(stored.metadata)}
            )
            try:
                self._store(wanted)
            except EdgeError as error:
                # On a full disk recovery goes on from memory: an exam matters more than its
                # status, and the running process and the coordinator know the epoch too.
                log.error("status.not_written", delivery=key.name, reason=str(error))
                self._objects[key] = wanted

    def remove(self, key: Key) -> None:
        """Let go of an object; idempotent."""
        with self._lock:
            if self._objects.pop(key, None) is not None:
                path = self._path(key)
                path.unlink(missing_ok=True)
                durable.sync_folder(path.parent)

    def _store(self, wanted: ExamDelivery) -> ExamDelivery:
        path = self._path(key_of(wanted))
        text = yaml.safe_dump(wanted.to_dict(), sort_keys=False, allow_unicode=True)
        try:
            durable.make_private_folder(path.parent)
            durable.write_private(path, text.encode())
        except OSError as error:
            raise EdgeError(f"{path} can't be written: {error.strerror}") from error
        self._objects[key_of(wanted)] = wanted
        return wanted

    def _path(self, key: Key) -> Path:
        return self._folder / key.namespace / f"{key.name}.yaml"

    def _load(self) -> None:
        for path in sorted(self._folder.glob("*/*.yaml")):
            try:
                loaded = ExamDelivery.model_validate(yaml.safe_load(path.read_text()))
            except (yaml.YAMLError, ValidationError, OSError) as error:
                raise EdgeError(
                    f"{path} can't be read as an ExamDelivery; put its backup there, or move it"
                    f" aside (its data under deliveries/ stays): {error}"
                ) from error
            self._objects[key_of(loaded)] = loaded


def key_of(stored: ExamDelivery) -> Key:
    return Key(stored.metadata.namespace, stored.metadata.name)


def _raised(meta: ObjectMeta) -> ObjectMeta:
    version = int(meta.resource_version or 0) + 1
    return meta.model_copy(update={"resource_version": str(version)})


def _with_started(stored: ExamDelivery, started_now: int) -> ExamDelivery:
    counts = stored.status.counts
    if started_now <= counts.started:
        return stored
    counts = counts.model_copy(update={"started": started_now})
    return stored.model_copy(update={"status": stored.status.model_copy(update={"counts": counts})})
