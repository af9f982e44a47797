"""Live progress with its source: live, cached for a moment, last known, or from the results.

One request at a time asks an exam-client (single flight); whoever comes meanwhile, or within the
half second after, gets the same figures marked ``cached``.
"""

import asyncio
import time
from dataclasses import dataclass, field

from coordinator.adapters.exam_clients import ExamClients, Target
from coordinator.adapters.metrics import Metrics
from coordinator.core import progress
from coordinator.errors import ClientRefused, ClientUnreachable, DatabaseUnavailable
from coordinator.services.health import HealthMonitor
from coordinator.services.history import historical
from coordinator.services.keyring import Keyring
from coordinator.store import deliveries, events, transfers
from coordinator.store.database import Database
from coordinator.store.deliveries import Delivery
from exam_contract.progress import LiveProgress, ParticipantProgress

_COMPLETE = frozenset({"Validated", "CleanedUp", "Aborted"})
_ACTOR = "coordinator"
_MOST_SLOTS = 2000


@dataclass(slots=True)
class _Slot:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    live: LiveProgress | None = None
    fetched: float = 0.0
    names: dict[int, tuple[str, str]] | None = None


class Live:
    """``read`` answers for any delivery, whatever state it is in."""

    def __init__(
        self,
        database: Database,
        clients: ExamClients,
        keyring: Keyring,
        health: HealthMonitor,
        metrics: Metrics,
        cache_seconds: float,
    ) -> None:
        self._database, self._clients, self._keyring = database, clients, keyring
        self._health, self._metrics, self._cache_seconds = health, metrics, cache_seconds
        self._slots: dict[int, _Slot] = {}

    async def read(self, delivery: Delivery) -> LiveProgress:
        """Figures and where they come from."""
        found = await self._read(delivery)
        self._metrics.live.labels(found.source).inc()
        return found

    async def _read(self, delivery: Delivery) -> LiveProgress:
        if delivery.phase in _COMPLETE:
            stored = await self._historical(delivery)
            if stored is not None:
                return stored
        if delivery.endpoint_internal is None:
            return await self._last_known(delivery, "the delivery has no exam-client right now")
        slot = self._slot(delivery.id)
        async with slot.lock:
            if slot.live is not None and time.monotonic() - slot.fetched < self._cache_seconds:
                return slot.live.model_copy(update={"source": "cached"})
            try:
                slot.live = await self._ask(delivery, delivery.endpoint_internal, slot)
                slot.fetched = time.monotonic()
                return slot.live
            except (ClientUnreachable, ClientRefused) as error:
                slot.live = None
                if isinstance(error, ClientUnreachable):
                    self._health.failed(delivery.id, error.detail)
                reason = error.detail
        return await self._last_known(delivery, reason)

    async def _ask(self, delivery: Delivery, endpoint: str, slot: _Slot) -> LiveProgress:
        token = self._keyring.service_token(delivery, _ACTOR)
        view = await self._clients.progress(Target(endpoint, token))
        self._health.answered(delivery.id, view.incarnation, view.stats.events_pending)
        return LiveProgress(
            delivery_id=delivery.id,
            source="live",
            as_of=view.as_of,
            stats=view.stats,
            participants=_named(view.participants, await self._names(delivery, slot)),
        )

    async def _last_known(self, delivery: Delivery, reason: str) -> LiveProgress:
        names = await self._names(delivery, self._slot(delivery.id))
        async with self._database.read() as db:
            stored = await transfers.get(db, delivery.id)
            if stored is not None and stored.receipt is not None:
                return await historical(db, delivery.id, stored.committed_at)
            states = await events.states(db, delivery.id)
            heard = await events.last_heard(db, delivery.id)
        rows = [states.get(person) or progress.registered(person) for person in names]
        return LiveProgress(
            delivery_id=delivery.id,
            source="last_known",
            as_of=heard,
            stats=progress.stats(rows),
            participants=_named(rows, names),
            reason=reason,
        )

    async def _historical(self, delivery: Delivery) -> LiveProgress | None:
        async with self._database.read() as db:
            stored = await transfers.get(db, delivery.id)
            if stored is None:
                return None
            return await historical(db, delivery.id, stored.committed_at)

    async def _names(self, delivery: Delivery, slot: _Slot) -> dict[int, tuple[str, str]]:
        # Enrolment never changes after registration, so this is read once per delivery.
        if slot.names is None:
            try:
                async with self._database.read() as db:
                    slot.names = await deliveries.names(db, delivery.id)
            except DatabaseUnavailable:
                return {}  # figures without names are better than none
        return slot.names

    def _slot(self, delivery_id: int) -> _Slot:
        if len(self._slots) > _MOST_SLOTS:
            idle = [key for key, slot in self._slots.items() if not slot.lock.locked()]
            for key in idle[: len(idle) // 2]:
                del self._slots[key]
        return self._slots.setdefault(delivery_id, _Slot())


def _named(
    rows: list[ParticipantProgress], names: dict[int, tuple[str, str]]
) -> list[ParticipantProgress]:
    return [
        row.model_copy(update={"identifier": known[0], "name": known[1]})
        if (known := names.get(row.participant_id)) is not None
        else row
        for row in rows
    ]
