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

from coordinator.core.identity import Registered
from coordinator.core.ingest import Conflict, Cursor, Fence, Incoming
from exam_contract.progress import ParticipantProgress
from exam_contract.trust import PublicKey


@dataclass(frozen=True, slots=True)
class Sender:
    """What is needed to know an exam-client: read together with its cursor."""

    delivery_id: int
    registered: Registered
    cursor: Cursor


_SENDER = (
    "SELECT d.id, d.namespace, d.pod_uid, d.service_key_sha256,"
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
    registered = Registered(row.namespace, row.pod_uid, row.service_key_sha256)
    return Sender(row.id, registered, cursor)


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
            " event_type, digest, body) SELECT :id, seq, :first_stream + place - 1, participant,"
            " type, digest, body FROM unnest(CAST(string_to_array(:seqs, chr(10)) AS bigint[]),"
            " CAST(string_to_array(:participants, chr(10), '') AS bigint[]),"
            " string_to_array(:types, chr(10)), string_to_array(:digests, chr(10)),"
            " string_to_array(:bodies, chr(10))) WITH ORDINALITY"
            " AS new (seq, participant, type, digest, body, place))"
            " UPDATE cursors SET accepted_through = :last, stream = :last_stream,"
            " last_event_at = now() WHERE delivery_id = :id"
        ),
        {
            "id": delivery_id,
            "seqs": _lines(event.seq for event in events),
            "first_stream": first_stream,
            "participants": _lines(getattr(event, "participant_id", "") for event in events),
            "types": _lines(event.event_type for event in events),
            "digests": _lines(event.digest for event in events),
            "bodies": b"\n".join(msgspec.json.encode(item.body) for item in items).decode(),
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
            " unnest(CAST(string_to_array(:participants, chr(10)) AS bigint[]),"
            " string_to_array(:attempt_states, chr(10)), string_to_array(:states, chr(10)))"
            " AS new (p, a, s)"
            " ON CONFLICT (delivery_id, participant_id) DO UPDATE SET stream = excluded.stream,"
            " attempt_state = excluded.attempt_state, state = excluded.state"
        ),
        {
            "id": delivery_id,
            "stream": stream,
            "participants": _lines(row.participant_id for row in rows),
            "attempt_states": _lines(row.state.value for row in rows),
            "states": _lines(row.model_dump_json() for row in rows),
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


def _lines(values: Iterable[object]) -> str:
    """A column as one text: PostgreSQL splits it thirty times faster than psycopg writes arrays.

    Compact JSON, numbers and codes hold no line feed.
    """
    return "\n".join(map(str, values))
