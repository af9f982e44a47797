"""One table of accepted and rejected ExamDelivery objects, for every door that takes them.

Structural faults are each door's own wording at the same path; rules carry the same sentence.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from exam_contract.delivery import Condition, ExamDelivery, ExamDeliveryStatus, Phase
from tests.support import deliveries

Json = dict[str, Any]
Edit = Callable[[Json], None]


@dataclass(frozen=True)
class NewObject:
    """``path`` is empty where the object is accepted; ``says`` must be in a rule's sentence."""

    name: str
    edit: Edit
    path: str = ""
    kind: Literal["structure", "rule"] = "structure"
    says: str = ""

    @property
    def accepted(self) -> bool:
        return not self.path

    def document(self) -> Json:
        wanted = copy.deepcopy(deliveries.document())
        self.edit(wanted)
        return wanted


@dataclass(frozen=True)
class Change:
    """An edit of a stored object in a phase; ``stored`` prepares the spec that stands."""

    name: str
    phase: Phase
    stored: Edit
    edit: Edit
    path: str = ""
    says: str = ""
    resume: Phase | None = None
    validated: bool = False

    @property
    def accepted(self) -> bool:
        return not self.path

    def documents(self) -> tuple[Json, Json]:
        """What stands and what is wanted."""
        standing = copy.deepcopy(deliveries.document())
        self.stored(standing)
        wanted = copy.deepcopy(standing)
        self.edit(wanted)
        return standing, wanted

    def status(self) -> ExamDeliveryStatus:
        """The status that stands."""
        validated = Condition(
            type="DataValidated",
            status="True",
            reason="ReceiptVerified",
            last_transition_time=deliveries.NOON,
        )
        return ExamDeliveryStatus(
            phase=self.phase,
            resume_phase=self.resume,
            conditions=[validated] if self.validated else [],
        )

    def stored_object(self) -> ExamDelivery:
        return ExamDelivery.model_validate({**self.documents()[0]}).model_copy(
            update={"status": self.status()}
        )


def put(path: str, value: object) -> Edit:
    """Sets the member at a dotted path, making mappings on the way."""

    def edit(document: Json) -> None:
        *way, last = path.split(".")
        here = document
        for part in way:
            here = here.setdefault(part, {})
        here[last] = value

    return edit


def drop(path: str) -> Edit:
    """Removes the member at a dotted path."""

    def edit(document: Json) -> None:
        *way, last = path.split(".")
        here = document
        for part in way:
            here = here[part]
        del here[last]

    return edit


def both(*edits: Edit) -> Edit:
    def edit(document: Json) -> None:
        for one in edits:
            one(document)

    return edit


def nothing(document: Json) -> None:
    """The object as it is."""


_LONGEST = (
    ("spec.exam.id", "e", 63),
    ("spec.exam.version", "1", 32),
    ("spec.participants.rosterRef", "r", 63),
    ("spec.client.image", "i", 512),
    ("spec.storage.className", "c", 253),
    ("spec.encryption.keySecretRef.name", "k", 253),
    ("spec.access.tls.secretRef.name", "t", 253),
    ("spec.access.host", "h", 253),
)
_CHILD = "exam-6f1d3c52-8a07-4c1e-9b7e-0d5a3c2f4e11"

NEW_OBJECTS = (
    NewObject("as it is", nothing),
    NewObject("every bound on time", put("spec.timeLimitSeconds", 604_800)),
    NewObject("a retention of a day", put("spec.storage.retention", "24h")),
    NewObject("a composed duration", put("spec.transfer.deadline", "1h30m")),
    NewObject("desired Assigned", put("spec.desiredState", "Assigned")),
    NewObject("paused", put("spec.paused", True)),
    NewObject("another zone", put("spec.window.opensAt", "2026-01-15T12:59:00+01:00")),
    NewObject("a name of 63 characters", put("metadata.name", "n" * 63)),
    NewObject("a longer name", put("metadata.name", "n" * 64), "metadata.name"),
    NewObject("a name with a dot", put("metadata.name", "maths.2026"), "metadata.name"),
    NewObject("labels and annotations", put("metadata.labels", {"room": "1"})),
    NewObject("Replace on RWOP", put("spec.recovery.nodeLossPolicy", "Replace")),
    *(
        NewObject(
            f"{way} with a host", put("spec.access", {"type": way, "host": "exam.example.org"})
        )
        for way in ("ClusterIP", "NodePort", "Ingress", "HTTPRoute")
    ),
    *(
        NewObject(f"{way} without a host", put("spec.access", {"type": way}))
        for way in ("ClusterIP", "NodePort")
    ),
    *(
        NewObject(
            f"{way} with {what}",
            put("spec.access", {"type": way, **host}),
            *("spec.access.host", "rule", "access.host is required"),
        )
        for way in ("Ingress", "HTTPRoute")
        for what, host in (("no host", {}), ("an empty host", {"host": ""}))
    ),
    *(
        NewObject(f"the longest {path}", put(path, fill * longest))
        for path, fill, longest in _LONGEST
    ),
    *(
        NewObject(f"more than the longest {path}", put(path, fill * (longest + 1)), path)
        for path, fill, longest in _LONGEST
    ),
    NewObject("another kind", put("kind", "Exam"), "kind"),
    NewObject("another version", put("apiVersion", "exams.medxamion.io/v2"), "apiVersion"),
    NewObject("no exam", drop("spec.exam"), "spec.exam"),
    NewObject("no digest", drop("spec.exam.contentDigest"), "spec.exam.contentDigest"),
    NewObject("no window", drop("spec.window"), "spec.window"),
    NewObject("no close", drop("spec.window.closesAt"), "spec.window.closesAt"),
    NewObject("no time limit", drop("spec.timeLimitSeconds"), "spec.timeLimitSeconds"),
    NewObject("no roster", drop("spec.participants.rosterRef"), "spec.participants.rosterRef"),
    NewObject("no spec", drop("spec"), "spec"),
    NewObject("an unknown field", put("spec.timeLimit", 60), "spec.timeLimit"),
    NewObject("an unknown nested field", put("spec.window.opens", "x"), "spec.window.opens"),
    NewObject("a snake_case name", put("spec.time_limit_seconds", 60), "spec.time_limit_seconds"),
    NewObject("a number as text", put("spec.timeLimitSeconds", "60"), "spec.timeLimitSeconds"),
    NewObject("no time at all", put("spec.timeLimitSeconds", 0), "spec.timeLimitSeconds"),
    NewObject("over a week", put("spec.timeLimitSeconds", 604_801), "spec.timeLimitSeconds"),
    NewObject("a version that is no text", put("spec.exam.version", 1), "spec.exam.version"),
    NewObject(
        "a digest of another kind",
        put("spec.exam.contentDigest", "md5:0"),
        "spec.exam.contentDigest",
    ),
    NewObject("an exam id with a space", put("spec.exam.id", "my exam"), "spec.exam.id"),
    NewObject(
        "an impossible date",
        put("spec.window.opensAt", "2026-02-30T09:00:00Z"),
        "spec.window.opensAt",
    ),
    NewObject("words for a date", put("spec.window.opensAt", "tomorrow"), "spec.window.opensAt"),
    NewObject(
        "an unknown desired state", put("spec.desiredState", "Sleeping"), "spec.desiredState"
    ),
    NewObject("a state in lower case", put("spec.desiredState", "running"), "spec.desiredState"),
    NewObject(
        "too many participants",
        put("spec.participants.maxCount", 20_001),
        "spec.participants.maxCount",
    ),
    NewObject("too much grace", put("spec.window.graceSeconds", 3601), "spec.window.graceSeconds"),
    NewObject(
        "negative restarts", put("spec.recovery.maxRestarts", -1), "spec.recovery.maxRestarts"
    ),
    NewObject(
        "an unknown policy",
        put("spec.recovery.nodeLossPolicy", "Kill"),
        "spec.recovery.nodeLossPolicy",
    ),
    NewObject("a size without sense", put("spec.storage.size", "big"), "spec.storage.size"),
    NewObject("a duration in days", put("spec.storage.retention", "3d"), "spec.storage.retention"),
    NewObject("an access of another type", put("spec.access.type", "Door"), "spec.access.type"),
    NewObject("a port out of range", put("spec.access.port", 70_000), "spec.access.port"),
    NewObject("a pause that is a word", put("spec.paused", "yes"), "spec.paused"),
    NewObject("replicas out of bounds", put("spec.replicas", 101), "spec.replicas"),
    NewObject(
        "a window that ends before it begins",
        put("spec.window.closesAt", "2026-01-15T11:00:00Z"),
        "spec.window",
        "rule",
        "opensAt must be before window.closesAt",
    ),
    NewObject("two replicas", put("spec.replicas", 2), "spec.replicas", "rule", "must be 1"),
    NewObject(
        "Replace without RWOP",
        both(
            put("spec.recovery.nodeLossPolicy", "Replace"),
            put("spec.storage.accessMode", "ReadWriteOnce"),
        ),
        "spec.recovery.nodeLossPolicy",
        "rule",
        "needs storage.accessMode ReadWriteOncePod",
    ),
    NewObject("an address as host", put("spec.access.host", "2001:db8::7")),
    NewObject("a host with a path", put("spec.access.host", "e.org/steal#"), "spec.access.host"),
    NewObject("a wildcard as host", put("spec.access.host", "*.medxamion.svc"), "spec.access.host"),
    NewObject(
        "the coordinator's name as host",
        put("spec.access.host", "medxamion-coordinator-internal.medxamion.SVC"),
        "spec.access.host",
        "rule",
        "may not be a name inside the cluster",
    ),
    NewObject(
        "a Service's whole name as host",
        put("spec.access.host", "postgresql.medxamion.svc.cluster.local."),
        "spec.access.host",
        "rule",
        "may not be a name inside the cluster",
    ),
    NewObject("a certificate of one's own", put("spec.access.tls.secretRef.name", "exam-tls")),
    NewObject(
        "another delivery's certificate",
        put("spec.access.tls.secretRef.name", f"{_CHILD}-tls"),
        "spec.access.tls",
        "rule",
        "a Secret of a delivery's own",
    ),
    NewObject(
        "another delivery's key",
        put("spec.encryption.keySecretRef.name", _CHILD),
        "spec.encryption",
        "rule",
        "a Secret of a delivery's own",
    ),
)

_KEY_NAME, _CLASS = "spec.encryption.keySecretRef.name", "spec.storage.className"
_FINALISED = put("spec.desiredState", "Finalised")
_RUNNING = put("spec.desiredState", "Running")
_EARLIER_CLOSE = put("spec.window.closesAt", "2026-01-15T13:00:00Z")
_LATER_CLOSE = put("spec.window.closesAt", "2026-01-15T15:00:00Z")

CHANGES = (
    Change("the same again", Phase.RUNNING, nothing, nothing),
    Change("close early", Phase.RUNNING, nothing, _FINALISED),
    Change("abort", Phase.RUNNING, nothing, put("spec.desiredState", "Aborted")),
    Change("extend while running", Phase.RUNNING, nothing, _LATER_CLOSE),
    Change("shorten before running", Phase.PREPARED, nothing, _EARLIER_CLOSE),
    Change("another time limit", Phase.RUNNING, nothing, put("spec.timeLimitSeconds", 7200)),
    Change("another image", Phase.RUNNING, nothing, put("spec.client.image", "client:2")),
    Change("roll back while finalising", Phase.FINALISING, _FINALISED, _RUNNING),
    Change("roll back while transferring", Phase.TRANSFERRING, _FINALISED, _RUNNING),
    Change(
        "roll back while recovering from transferring",
        Phase.RECOVERING,
        _FINALISED,
        _RUNNING,
        resume=Phase.TRANSFERRING,
    ),
    Change("roll back and extend", Phase.FINALISING, _FINALISED, both(_RUNNING, _LATER_CLOSE)),
    Change(
        "roll back validated data",
        Phase.TRANSFERRING,
        _FINALISED,
        _RUNNING,
        "spec.desiredState",
        "moves forward only",
        validated=True,
    ),
    Change(
        "back to prepared",
        Phase.RUNNING,
        nothing,
        put("spec.desiredState", "Prepared"),
        "spec.desiredState",
        "moves forward only",
    ),
    Change(
        "abort after finalised",
        Phase.FINALISING,
        _FINALISED,
        put("spec.desiredState", "Aborted"),
        "spec.desiredState",
        "allowed only before Finalised",
    ),
    Change(
        "shorten while running",
        Phase.RUNNING,
        nothing,
        _EARLIER_CLOSE,
        "spec.window.closesAt",
        "extended, not shortened",
    ),
    Change(
        "shorten while recovering",
        Phase.RECOVERING,
        nothing,
        _EARLIER_CLOSE,
        "spec.window.closesAt",
        "extended, not shortened",
        resume=Phase.RUNNING,
    ),
    Change(
        "move the opening while running",
        Phase.RUNNING,
        nothing,
        put("spec.window.opensAt", "2026-01-15T11:30:00Z"),
        "spec.window.opensAt",
        "can't be changed once the exam is running",
    ),
    Change(
        "another exam version",
        Phase.ASSIGNED,
        nothing,
        put("spec.exam.version", "2"),
        "spec.exam",
        "create another ExamDelivery",
    ),
    Change(
        "a larger volume",
        Phase.ASSIGNED,
        nothing,
        put("spec.storage.size", "2Gi"),
        "spec.storage",
        "storage can't be changed",
    ),
    Change(
        "another key",
        Phase.ASSIGNED,
        nothing,
        put("spec.encryption.keySecretRef", {"name": "other"}),
        "spec.encryption",
        "encryption can't be changed",
    ),
    *(
        Change(
            f"{what} that was given is taken away",
            Phase.ASSIGNED,
            put(path, value),
            drop(dropped),
            rule,
            f"{rule.removeprefix('spec.')} can't be changed",
        )
        for what, path, value, dropped, rule in (
            ("a key", _KEY_NAME, "own", "spec.encryption.keySecretRef", "spec.encryption"),
            ("a key with its part", _KEY_NAME, "own", "spec.encryption", "spec.encryption"),
            ("a class", _CLASS, "fast", _CLASS, "spec.storage"),
            ("a class with its part", _CLASS, "fast", "spec.storage", "spec.storage"),
        )
    ),
    Change(
        "a class that was not given",
        Phase.ASSIGNED,
        nothing,
        put(_CLASS, "fast"),
        "spec.storage",
        "storage can't be changed",
    ),
    Change(
        "a key where the whole part was left out",
        Phase.ASSIGNED,
        lambda document: document["spec"].pop("encryption", None),
        put(_KEY_NAME, "late"),
        "spec.encryption",
        "encryption can't be changed",
    ),
    Change("the same key again", Phase.RUNNING, put(_KEY_NAME, "own"), nothing),
    Change(
        "another roster",
        Phase.ASSIGNED,
        nothing,
        put("spec.participants.rosterRef", "other"),
        "spec.participants.rosterRef",
        "part of the signed bundle",
    ),
)
