"""The event log of deliveries: one locked cursor each, stream numbers given at commit.

The cursor's row lock makes the order of stream numbers the order of commits, so a reader that has
seen number n has seen everything before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.core.ingest import Conflict, Cursor, Fence, Incoming
from exam_contract.progress import ParticipantProgress
from exam_contract.trust import PublicKey


@dataclass(frozen=True, slots=True)
class Sender:
    """What is needed to know an exam-client: read together with its cursor."""

    delivery_id: int
    pod_uid: str | None
    service_key_sha256: str | None
    cursor: Cursor


_SENDER = (
    "SELECT d.id, d.pod_uid, d.service_key_sha256,"
    " c.accepted_through, c.stream, c.epoch, c.incarnation"
    " FROM deliveries d JOIN cursors c ON c.delivery_id = d.id WHERE d.uid = :uid"
)


async def sender(db: AsyncConnection, uid: str, lock: bool = False) -> Sender | None:
    """The delivery of that uid; with ``lock`` nobody else moves its cursor until COMMIT."""
    statement = _SENDER + (" FOR UPDATE OF c" if lock else "")
    row = (await db.execute(text(statement), {"uid": uid})).one_or_none()
    if row is None:
        return None
    cursor = Cursor(row.accepted_through, row.stream, Fence(row.epoch, row.incarnation))
    return Sender(row.id, row.pod_uid, row.service_key_sha256, cursor)


async def digests(db: AsyncConnection, delivery_id: int, seqs: list[int]) -> dict[int, str]:
    """Digests of stored events."""
    found = await db.execute(
        text("SELECT seq, digest FROM events WHERE delivery_id = :id AND seq = ANY(:seqs)"),
        {"id": delivery_id, "seqs": seqs},
    )
    return {int(row.seq): str(row.digest) for row in found}


async def append(
    db: AsyncConnection, delivery_id: int, first_stream: int, new: Iterable[Incoming]
) -> None:
    """Insert events in order and move the cursor past the last; one statement for all of it."""
    items = list(new)
    events = [item.event for item in items]
    await db.execute(
        text(
            "WITH stored AS (INSERT INTO events (delivery_id, seq, stream, participant_id,"
            " event_type, digest, body) SELECT :id, * FROM unnest(CAST(:seqs AS bigint[]),"
            " CAST(:streams AS bigint[]), CAST(:participants AS bigint[]), CAST(:types AS text[]),"
            " CAST(:digests AS text[]), CAST(:bodies AS text[])))"
            " UPDATE cursors SET accepted_through = :last, stream = :last_stream,"
            " last_event_at = now() WHERE delivery_id = :id"
        ),
        {
            "id": delivery_id,
            "seqs": [event.seq for event in events],
            "streams": list(range(first_stream, first_stream + len(events))),
            "participants": [getattr(event, "participant_id", None) for event in events],
            "types": [event.event_type for event in events],
            "digests": [event.digest for event in events],
            "bodies": [msgspec.json.encode(item.body).decode() for item in items],
            "last": events[-1].seq,
            "last_stream": first_stream + len(events) - 1,
        },
    )


async def states(
    db: AsyncConnection, delivery_id: int, participants: list[int] | None = None
) -> dict[int, ParticipantProgress]:
    """Last known states: of those participants, or of everybody heard of."""
    found = await db.execute(
        text(
            "SELECT participant_id, state FROM participant_states WHERE delivery_id = :id"
            " AND (CAST(:only AS bigint[]) IS NULL OR participant_id = ANY(:only))"
        ),
        {"id": delivery_id, "only": participants},
    )
    return {
        int(row.participant_id): ParticipantProgress.model_validate_json(row.state) for row in found
    }


async def keep_states(
    db: AsyncConnection, delivery_id: int, stream: int, after: Iterable[ParticipantProgress]
) -> None:
    """Store the states that a batch led to."""
    rows = list(after)
    await db.execute(
        text(
            "INSERT INTO participant_states SELECT :id, p, :stream, a, s FROM"
            " unnest(CAST(:participants AS bigint[]), CAST(:attempt_states AS text[]),"
            " CAST(:states AS text[])) AS new (p, a, s)"
            " ON CONFLICT (delivery_id, participant_id) DO UPDATE SET stream = excluded.stream,"
            " attempt_state = excluded.attempt_state, state = excluded.state"
        ),
        {
            "id": delivery_id,
            "stream": stream,
            "participants": [row.participant_id for row in rows],
            "attempt_states": [row.state.value for row in rows],
            "states": [row.model_dump_json() for row in rows],
        },
    )


async def quarantine(db: AsyncConnection, delivery_id: int, conflict: Conflict) -> None:
    """Keep an event whose seq is taken by another, for people to judge."""
    event = conflict.incoming.event
    await db.execute(
        text(
            "INSERT INTO event_quarantine (delivery_id, seq, digest, stored_digest, body)"
            " VALUES (:id, :seq, :digest, :stored, :body) ON CONFLICT DO NOTHING"
        ),
        {
            "id": delivery_id,
            "seq": event.seq,
            "digest": event.digest,
            "stored": conflict.stored_digest,
            "body": msgspec.json.encode(conflict.incoming.body).decode(),
        },
    )


async def since(
    db: AsyncConnection, delivery_id: int, stream: int, limit: int
) -> list[tuple[int, dict[str, Any]]]:
    """Stream numbers and bodies after a stream number, in order."""
    found = await db.execute(
        text(
            "SELECT stream, body FROM events WHERE delivery_id = :id AND stream > :stream"
            " ORDER BY stream LIMIT :limit"
        ),
        {"id": delivery_id, "stream": stream, "limit": limit},
    )
    return [(int(row.stream), msgspec.json.decode(row.body)) for row in found]


async def heads(db: AsyncConnection, delivery_ids: list[int]) -> dict[int, int]:
    """The newest stream number of each delivery."""
    found = await db.execute(
        text("SELECT delivery_id, stream FROM cursors WHERE delivery_id = ANY(:ids)"),
        {"ids": delivery_ids},
    )
    return {int(row.delivery_id): int(row.stream) for row in found}


async def last_heard(db: AsyncConnection, delivery_id: int) -> Any:
    """When the last event was committed; None before the first."""
    found = await db.execute(
        text("SELECT last_event_at FROM cursors WHERE delivery_id = :id"), {"id": delivery_id}
    )
    return found.scalar_one_or_none()


async def raise_fence(
    db: AsyncConnection, delivery_id: int, fence: Fence, key: PublicKey, last_seq: int
) -> bool:
    """Register an incarnation's key; False when that incarnation has another key already."""
    found = await db.execute(
        text(
            "INSERT INTO client_keys (delivery_id, epoch, incarnation, kid, x, last_seq)"
            " VALUES (:id, :epoch, :incarnation, :kid, :x, :last_seq)"
            " ON CONFLICT (delivery_id, epoch, incarnation) DO UPDATE SET last_seq ="
            " greatest(client_keys.last_seq, excluded.last_seq)"
            " WHERE client_keys.x = excluded.x RETURNING 1"
        ),
        {
            "id": delivery_id,
            **fence._asdict(),
            "kid": key.kid,
            "x": key.x,
            "last_seq": last_seq,
        },
    )
    if found.scalar_one_or_none() is None:
        return False
    await db.execute(
        text(
            "UPDATE cursors SET epoch = :epoch, incarnation = :incarnation WHERE delivery_id = :id"
        ),
        {"id": delivery_id, **fence._asdict()},
    )
    return True


async def client_key(db: AsyncConnection, delivery_id: int, kid: str) -> tuple[str, Fence] | None:
    """The public half of a key some incarnation registered, and the newest that did."""
    found = await db.execute(
        text(
            "SELECT x, epoch, incarnation FROM client_keys WHERE delivery_id = :id AND kid = :kid"
            " ORDER BY epoch DESC, incarnation DESC LIMIT 1"
        ),
        {"id": delivery_id, "kid": kid},
    )
    row = found.one_or_none()
    return None if row is None else (row.x, Fence(row.epoch, row.incarnation))
