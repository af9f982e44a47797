"""Deliveries and who is enrolled in them, as the operator registers them."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from exam_contract.bundle import Window
from exam_contract.people import Accommodation, Enrolled
from exam_contract.progress import CLOSED_STATES, OPEN_STATES
from exam_contract.registration import ClientHealth, DeliveryRegistration


@dataclass(frozen=True, slots=True)
class Delivery:
    """A registered delivery; ``bundle_sealed`` once its bundle was built."""

    id: int
    uid: str
    name: str
    namespace: str
    exam_id: str
    exam_version: str
    content_digest: str
    roster_id: str
    signing_kid: str
    secret_ciphertext: bytes = field(repr=False)
    opens_at: datetime
    closes_at: datetime
    grace_seconds: int
    time_limit_seconds: int
    max_participants: int
    generation: int
    phase: str
    resume_phase: str | None
    desired_state: str | None
    conditions: list[dict[str, Any]]
    epoch: int
    pod_uid: str | None
    service_key_sha256: str | None = field(repr=False)
    endpoint_internal: str | None
    endpoint_public: str | None
    health: ClientHealth | None
    confirmed_erased: bool
    created_at: datetime
    heard_at: datetime
    exam_title: str
    exam_language: str

    @property
    def window(self) -> Window:
        return Window(
            opens_at=self.opens_at, closes_at=self.closes_at, grace_seconds=self.grace_seconds
        )


_COLUMNS = (
    "id, uid, name, namespace, exam_id, exam_version, content_digest, roster_id, signing_kid,"
    " secret_ciphertext, opens_at, closes_at, grace_seconds, time_limit_seconds, max_participants,"
    " generation, phase, resume_phase, desired_state, conditions, epoch, pod_uid,"
    " service_key_sha256, endpoint_internal, endpoint_public, health,"
    " confirmed_erased, created_at, heard_at,"
    " (SELECT v.title FROM exam_versions v WHERE v.exam_id = deliveries.exam_id"
    "  AND v.version = deliveries.exam_version) AS exam_title,"
    " (SELECT v.language FROM exam_versions v WHERE v.exam_id = deliveries.exam_id"
    "  AND v.version = deliveries.exam_version) AS exam_language"
)


async def get(db: AsyncConnection, delivery_id: int) -> Delivery | None:
    found = await db.execute(
        text(f"SELECT {_COLUMNS} FROM deliveries WHERE id = :id"),  # noqa: S608 -- constant
        {"id": delivery_id},
    )
    row = found.one_or_none()
    return None if row is None else _delivery(row)


async def by_uid(db: AsyncConnection, uid: str) -> Delivery | None:
    found = await db.execute(
        text(f"SELECT {_COLUMNS} FROM deliveries WHERE uid = :uid"),  # noqa: S608 -- constant
        {"uid": uid},
    )
    row = found.one_or_none()
    return None if row is None else _delivery(row)


async def lock_uid(db: AsyncConnection, uid: str) -> None:
    """Serialise registrations of one uid, also before its row exists."""
    await db.execute(text("SELECT pg_advisory_xact_lock(14, hashtext(:uid))"), {"uid": uid})


async def exam_of(db: AsyncConnection, delivery_id: int) -> str | None:
    """The exam a delivery belongs to: what permissions are scoped by. It never changes."""
    found = await db.execute(
        text("SELECT exam_id FROM deliveries WHERE id = :id"), {"id": delivery_id}
    )
    return found.scalar_one_or_none()


async def page(
    db: AsyncConnection, only: frozenset[str] | None, after: int, limit: int
) -> list[Delivery]:
    """Deliveries by id; ``only`` cuts to the exams a person may see."""
    found = await db.execute(
        text(
            f"SELECT {_COLUMNS} FROM deliveries WHERE id > :after"  # noqa: S608 -- constant
            " AND (CAST(:only AS text[]) IS NULL OR exam_id = ANY(:only)) ORDER BY id LIMIT :limit"
        ),
        {"after": after, "only": None if only is None else sorted(only), "limit": limit},
    )
    return [_delivery(row) for row in found]


async def to_watch(db: AsyncConnection, also: list[int]) -> list[Delivery]:
    """Deliveries that may have an exam-client, and those of which the caller still thinks so."""
    found = await db.execute(
        text(
            f"SELECT {_COLUMNS} FROM deliveries"  # noqa: S608 -- constant
            " WHERE phase NOT IN ('CleanedUp', 'Aborted', 'Failed') OR id = ANY(:also)"
            " ORDER BY id LIMIT 20000"
        ),
        {"also": also},
    )
    return [_delivery(row) for row in found]


async def add(
    db: AsyncConnection, uid: str, sent: DeliveryRegistration, kid: str, sealed_secret: bytes
) -> int:
    """Register a delivery and its cursor; the id is what every path calls ``{id}``."""
    found = await db.execute(
        text(
            "INSERT INTO deliveries (uid, name, namespace, exam_id, exam_version, content_digest,"
            " roster_id, signing_kid, secret_ciphertext, opens_at, closes_at, grace_seconds,"
            " time_limit_seconds, max_participants, generation, phase) VALUES (:uid, :name,"
            " :namespace, :exam_id, :exam_version, :content_digest, :roster_ref, :kid, :secret,"
            " :opens_at, :closes_at, :grace, :limit, :most, :generation, :phase) RETURNING id"
        ),
        {
            **sent.model_dump(
                include={"name", "namespace", "exam_id", "exam_version", "content_digest"}
            ),
            **_window(sent),
            "uid": uid,
            "roster_ref": sent.roster_ref,
            "kid": kid,
            "secret": sealed_secret,
            "limit": sent.time_limit_seconds,
            "most": sent.max_participants,
            "generation": sent.generation,
            "phase": sent.phase.value,
        },
    )
    delivery_id = int(found.scalar_one())
    await db.execute(text("INSERT INTO cursors (delivery_id) VALUES (:id)"), {"id": delivery_id})
    return delivery_id


async def enrol(db: AsyncConnection, delivery_id: int, roster_id: str) -> None:
    """Give everybody on the roster a participant id, in the order of the roster."""
    await db.execute(
        text(
            "INSERT INTO enrolments (delivery_id, roster_id, identifier)"
            " SELECT :id, roster_id, identifier FROM roster_entries"
            " WHERE roster_id = :roster_id ORDER BY position"
        ),
        {"id": delivery_id, "roster_id": roster_id},
    )


async def update(db: AsyncConnection, delivery_id: int, sent: DeliveryRegistration) -> None:
    """Take over what the operator says now. An epoch never falls, nor its pod with it."""
    await db.execute(
        text(
            "UPDATE deliveries SET opens_at = :opens_at, closes_at = :closes_at,"
            " grace_seconds = :grace, time_limit_seconds = :limit, max_participants = :most,"
            " generation = greatest(generation, :generation), phase = :phase,"
            " resume_phase = :resume_phase, desired_state = COALESCE(:desired, desired_state),"
            " conditions = :conditions, health = :health,"
            " pod_uid = CASE WHEN :epoch >= epoch THEN :pod_uid ELSE pod_uid END,"
            " service_key_sha256 = COALESCE(:service_key, service_key_sha256),"
            " endpoint_internal = :internal, endpoint_public = :public,"
            " epoch = greatest(epoch, :epoch), heard_at = now() WHERE id = :id"
        ),
        {
            **_window(sent),
            "id": delivery_id,
            "limit": sent.time_limit_seconds,
            "most": sent.max_participants,
            "generation": sent.generation,
            "phase": sent.phase.value,
            "resume_phase": sent.resume_phase,
            "desired": sent.desired_state,
            "conditions": json.dumps([c.model_dump(mode="json") for c in sent.conditions]),
            "health": None if sent.health is None else sent.health.model_dump_json(),
            "epoch": sent.epoch,
            "pod_uid": sent.pod_uid,
            "service_key": sent.service_key_sha256,
            "internal": sent.endpoint_internal,
            "public": sent.endpoint_public,
        },
    )


async def mark_discarded(db: AsyncConnection, delivery_id: int) -> bool:
    """Note that its data was given up; False where that was noted before."""
    found = await db.execute(
        text(
            "UPDATE deliveries SET discarded_at = now()"
            " WHERE id = :id AND discarded_at IS NULL RETURNING id"
        ),
        {"id": delivery_id},
    )
    return found.one_or_none() is not None


async def enrolled(db: AsyncConnection, delivery_id: int) -> list[Enrolled]:
    """Everybody of a delivery with their verifiers, for the bundle."""
    found = await db.execute(
        text(
            "SELECT n.participant_id, e.* FROM enrolments n JOIN roster_entries e"
            " ON e.roster_id = n.roster_id AND e.identifier = n.identifier"
            " WHERE n.delivery_id = :id ORDER BY n.participant_id"
        ),
        {"id": delivery_id},
    )
    return [
        Enrolled(
            participant_id=row.participant_id,
            identifier=row.identifier,
            name=row.name,
            email=row.email,
            accommodation=Accommodation(
                time_multiplier=row.time_multiplier, extra_seconds=row.extra_seconds
            ),
            code_verifier=row.code_verifier,
            takeover_verifiers=list(row.takeover_verifiers),
        )
        for row in found
    ]


async def names(db: AsyncConnection, delivery_id: int) -> dict[int, tuple[str, str]]:
    """Participant id to identifier and name."""
    found = await db.execute(
        text(
            "SELECT n.participant_id, e.identifier, e.name FROM enrolments n JOIN roster_entries e"
            " ON e.roster_id = n.roster_id AND e.identifier = n.identifier"
            " WHERE n.delivery_id = :id ORDER BY n.participant_id"
        ),
        {"id": delivery_id},
    )
    return {int(row.participant_id): (row.identifier, row.name) for row in found}


@dataclass(frozen=True, slots=True)
class Counts:
    """From events alone; coarse, and never behind by more than the outbox."""

    enrolled: int = 0
    started: int = 0
    open: int = 0
    closed: int = 0


async def counts(db: AsyncConnection, delivery_ids: list[int]) -> dict[int, Counts]:
    """Counts of deliveries; those without enrolments are absent."""
    found = await db.execute(
        text(
            "SELECT n.delivery_id, count(*) AS enrolled,"
            " count(*) FILTER (WHERE s.attempt_state = ANY(:open)) AS open,"
            " count(*) FILTER (WHERE s.attempt_state = ANY(:closed)) AS closed"
            " FROM enrolments n LEFT JOIN participant_states s ON s.delivery_id = n.delivery_id"
            " AND s.participant_id = n.participant_id"
            " WHERE n.delivery_id = ANY(:ids) GROUP BY n.delivery_id"
        ),
        {
            "ids": delivery_ids,
            "open": [state.value for state in OPEN_STATES],
            "closed": [state.value for state in CLOSED_STATES],
        },
    )
    return {
        int(row.delivery_id): Counts(row.enrolled, row.open + row.closed, row.open, row.closed)
        for row in found
    }


async def verifier_of(
    db: AsyncConnection, delivery_id: int, identifier: str
) -> tuple[int, str] | None:
    """Participant id and verifier of the access code of one enrolled person."""
    found = await db.execute(
        text(
            "SELECT n.participant_id, e.code_verifier FROM enrolments n JOIN roster_entries e"
            " ON e.roster_id = n.roster_id AND e.identifier = n.identifier"
            " WHERE n.delivery_id = :id AND n.identifier = :identifier"
        ),
        {"id": delivery_id, "identifier": identifier},
    )
    row = found.one_or_none()
    return None if row is None else (int(row.participant_id), str(row.code_verifier))


async def sealed_bundle(db: AsyncConnection, delivery_id: int) -> bytes | None:
    found = await db.execute(
        text("SELECT bundle_ciphertext FROM deliveries WHERE id = :id FOR UPDATE"),
        {"id": delivery_id},
    )
    sealed = found.scalar_one_or_none()
    return None if sealed is None else bytes(sealed)


async def keep_bundle(db: AsyncConnection, delivery_id: int, sealed: bytes) -> None:
    await db.execute(
        text("UPDATE deliveries SET bundle_ciphertext = :sealed WHERE id = :id"),
        {"id": delivery_id, "sealed": sealed},
    )


def _window(sent: DeliveryRegistration) -> dict[str, Any]:
    return {
        "opens_at": sent.window.opens_at,
        "closes_at": sent.window.closes_at,
        "grace": sent.window.grace_seconds,
    }


def _delivery(row: Any) -> Delivery:
    values = dict(row._mapping)
    health = values["health"]
    values["conditions"] = json.loads(values["conditions"])
    values["health"] = None if health is None else ClientHealth.model_validate_json(health)
    values["secret_ciphertext"] = bytes(values["secret_ciphertext"])
    return Delivery(**values)
