"""Events of exam-clients: checked, stored in one transaction per batch, then passed on.

At least once in, effect once. The hub and other replicas are told only after COMMIT.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.metrics import Metrics
from coordinator.core import ingest, progress
from coordinator.core.canonical import event_digest
from coordinator.core.identity import Proof, check_exam_client
from coordinator.core.ingest import Fence, Incoming
from coordinator.errors import (
    BadRequest,
    BodyTooLarge,
    Fenced,
    InvalidField,
    NotRegistered,
    SeqConflict,
    SeqGap,
)
from coordinator.hub.hub import Hub
from coordinator.services.feed import Feed, written
from coordinator.services.health import HealthMonitor
from coordinator.services.state_cache import StateCache
from coordinator.store import events
from coordinator.store.database import Database
from coordinator.store.events import Sender
from exam_contract.events import EVENT, MAX_BATCH_EVENTS
from exam_contract.progress import ParticipantProgress

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """What an exam-client's request says and proves; ``fence`` None before its incarnation."""

    uid: str
    pod_uid: str
    proof: Proof
    fence: Fence | None


def check_caller(caller: Caller, sender: Sender | None, fenced: bool = True) -> Sender:
    """The delivery of that caller. Raises Unauthenticated, NotRegistered, Fenced."""
    if sender is None:
        raise NotRegistered("this delivery is not registered here yet")
    check_exam_client(caller.proof, caller.pod_uid, sender.registered)
    if fenced:
        _check_fence(caller.fence, sender.cursor.fence)
    return sender


@dataclass(frozen=True, slots=True)
class Ingest:
    """The use case with everything it touches."""

    database: Database
    hub: Hub
    feed: Feed
    health: HealthMonitor
    metrics: Metrics
    states: StateCache = field(default_factory=StateCache)

    async def receive(self, caller: Caller, raw: bytes) -> int:
        """Store a batch; the highest seq that is committed. Raises SeqGap, SeqConflict, Fenced."""
        began = time.perf_counter()
        batch = parse(raw)
        async with self.database.begin() as db:
            sender = self._sender(caller, await events.sender(db, caller.uid, lock=True), batch)
            plan = await self._plan(db, sender, batch)
            states = await self._store(db, sender, plan.new)
            if plan.conflict is not None:
                await events.quarantine(db, sender.delivery_id, plan.conflict)
        self._tell(sender, plan, states, len(batch))
        self.metrics.ingest.observe(time.perf_counter() - began)
        accepted = sender.cursor.accepted_through + len(plan.new)
        if plan.conflict is not None:
            raise SeqConflict(
                f"seq {plan.conflict.incoming.event.seq} is held by another event; it is kept for"
                " the committee to judge",
                expected_seq=accepted + 1,
            )
        if plan.gap is not None:
            raise SeqGap(f"send from seq {plan.gap}", expected_seq=plan.gap)
        return accepted

    def _sender(self, caller: Caller, found: Sender | None, batch: Sequence[Incoming]) -> Sender:
        try:
            sender = check_caller(caller, found)
            _check_ownership(sender, caller, batch)
        except Fenced:
            self.metrics.events.labels("fenced").inc()
            raise
        return sender

    async def _plan(
        self, db: AsyncConnection, sender: Sender, batch: Sequence[Incoming]
    ) -> ingest.Plan:
        seqs = ingest.known_seqs(sender.cursor, batch)
        known = await events.digests(db, sender.delivery_id, seqs) if seqs else {}
        return ingest.plan(sender.cursor, batch, known)

    async def _store(
        self, db: AsyncConnection, sender: Sender, new: Sequence[Incoming]
    ) -> dict[int, ParticipantProgress]:
        if not new:
            return {}
        states = await self._states_before(db, sender, new)
        for item in new:
            participant = getattr(item.event, "participant_id", None)
            if participant is not None:
                before = states.get(participant) or progress.registered(participant)
                states[participant] = progress.fold(before, item.event)
        first = sender.cursor.stream + 1
        await events.append(db, sender.delivery_id, first, new)
        if states:
            last = first + len(new) - 1
            await events.keep_states(db, sender.delivery_id, last, states.values())
        return states

    async def _states_before(
        self, db: AsyncConnection, sender: Sender, new: Sequence[Incoming]
    ) -> dict[int, ParticipantProgress]:
        concerned = {getattr(item.event, "participant_id", 0) for item in new} - {0}
        kept = self.states.get(sender.delivery_id, sender.cursor.stream)
        known = {person: kept[person] for person in concerned if person in kept}
        unknown = sorted(concerned - known.keys())
        read = await events.states(db, sender.delivery_id, unknown) if unknown else {}
        return {**known, **read}

    def _tell(
        self,
        sender: Sender,
        plan: ingest.Plan,
        states: dict[int, ParticipantProgress],
        received: int,
    ) -> None:
        count = self.metrics.events.labels
        count("stored").inc(len(plan.new))
        if plan.gap is not None:
            count("gap").inc()
        elif plan.conflict is not None:
            count("conflict").inc()
            _log.error("event_conflict", delivery_id=sender.delivery_id)
        else:
            count("duplicate").inc(received - len(plan.new))
        incarnation = sender.cursor.fence.incarnation
        self.health.heard(sender.delivery_id, incarnation, told=bool(plan.new))
        if not plan.new:
            return
        before = sender.cursor.stream
        self.states.keep(sender.delivery_id, before, before + len(plan.new), states)
        newest = max(item.event.timestamp for item in plan.new)
        self.metrics.event_lag.observe(max(0.0, (datetime.now(UTC) - newest).total_seconds()))
        first = sender.cursor.stream + 1
        if self.hub.watched(sender.delivery_id):
            self.hub.publish(sender.delivery_id, written(first, plan.new, states))
        self.feed.tell("events", sender.delivery_id, first + len(plan.new) - 1)


def parse(raw: bytes) -> list[Incoming]:
    """One event or a batch, every digest recomputed. Raises BadRequest, InvalidField."""
    try:
        body: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest("the body is not JSON") from error
    bodies = body.get("events") if isinstance(body, dict) and "events" in body else [body]
    if not isinstance(bodies, list) or not bodies:
        raise InvalidField("send one event, or an object with a list of events")
    if len(bodies) > MAX_BATCH_EVENTS:
        raise BodyTooLarge(f"send at most {MAX_BATCH_EVENTS} events at once")
    return [_incoming(place, item) for place, item in enumerate(bodies)]


def _incoming(place: int, body: Any) -> Incoming:
    try:
        event = EVENT.validate_python(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidField(f"event {place}: {where}: {first['msg']}") from error
    if event_digest(body) != event.digest:
        raise InvalidField(f"event {place}: its digest is not that of its members")
    return Incoming(event, body)


def _check_fence(sent: Fence | None, current: Fence) -> None:
    if sent is None:
        raise NotRegistered("send X-Epoch and X-Incarnation of the registered incarnation")
    if sent < current:
        raise Fenced(f"epoch {current.epoch}, incarnation {current.incarnation} has taken over")
    if sent > current:
        raise NotRegistered("register this incarnation first")


def _check_ownership(sender: Sender, caller: Caller, batch: Sequence[Incoming]) -> None:
    for item in batch:
        event = item.event
        if event.delivery_id != sender.delivery_id:
            raise InvalidField(f"event {event.seq} belongs to another delivery")
        if caller.fence is not None and Fence(event.epoch, event.incarnation) > caller.fence:
            raise Fenced(f"event {event.seq} comes from a newer incarnation than its sender")
