"""How every exam-client is seen: by its events, the operator's word, and a probe now and then.

Kept in memory and fed by what arrives anyway; the database is read once, at start.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from coordinator.adapters.exam_clients import ExamClients
from coordinator.adapters.metrics import Metrics
from coordinator.errors import ClientUnreachable, DatabaseUnavailable
from coordinator.store import deliveries
from coordinator.store.database import Database
from coordinator.store.deliveries import Delivery
from exam_contract.messages import Health
from exam_contract.registration import ClientHealth

_log = structlog.get_logger(__name__)
_ENDED = frozenset({"CleanedUp", "Aborted", "Failed"})
_AT_ONCE = 50
_RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Watched:
    """One delivery's exam-client; ``reachable`` None until it was tried."""

    delivery_id: int
    exam_id: str
    name: str
    phase: str
    endpoint: str | None
    endpoint_public: str | None
    epoch: int
    operator: ClientHealth | None
    incarnation: int | None = None
    events_pending: int | None = None
    heard_at: datetime | None = None
    reachable: bool | None = None
    since: datetime | None = None
    reason: str | None = None

    def message(self) -> Health:
        """What sockets are told."""
        return Health(
            delivery_id=self.delivery_id,
            reachable=bool(self.reachable),
            phase=self.phase,
            since=self.since,
            reason=self.reason,
        )


class HealthMonitor:
    """``on_change`` is called when a delivery's health or phase changes."""

    def __init__(
        self,
        clients: ExamClients,
        metrics: Metrics,
        probe_seconds: float,
        on_change: Callable[[Watched], None],
    ) -> None:
        self._clients, self._metrics = clients, metrics
        self._probe_seconds, self._on_change = probe_seconds, on_change
        self._watched: dict[int, Watched] = {}

    def learn(self, delivery: Delivery) -> None:
        """Take over what is registered of a delivery."""
        before = self._watched.get(delivery.id)
        endpoint = None if delivery.phase in _ENDED else delivery.endpoint_internal
        now = Watched(
            delivery_id=delivery.id,
            exam_id=delivery.exam_id,
            name=delivery.name,
            phase=delivery.phase,
            endpoint=endpoint,
            endpoint_public=delivery.endpoint_public,
            epoch=delivery.epoch,
            operator=delivery.health,
        )
        if before is not None and before.endpoint == endpoint:
            now = replace(
                now,
                incarnation=before.incarnation,
                events_pending=before.events_pending,
                heard_at=before.heard_at,
                reachable=before.reachable,
                since=before.since,
                reason=before.reason,
            )
        self._watched[delivery.id] = now
        if before is None or before.message() != now.message():
            self._on_change(now)

    def heard(
        self, delivery_id: int, incarnation: int | None = None, pending: int | None = None
    ) -> None:
        """Something arrived from the exam-client: it lives."""
        known = self._watched.get(delivery_id)
        if known is not None:
            known = replace(
                known,
                heard_at=datetime.now(UTC),
                incarnation=known.incarnation if incarnation is None else incarnation,
                events_pending=known.events_pending if pending is None else pending,
            )
            self._put(known, True, None)

    def failed(self, delivery_id: int, reason: str) -> None:
        """A call to the exam-client failed."""
        known = self._watched.get(delivery_id)
        if known is not None:
            self._put(known, False, reason)

    def get(self, delivery_id: int) -> Watched | None:
        return self._watched.get(delivery_id)

    def all(self, only: frozenset[str] | None) -> list[Watched]:
        """By delivery id; ``only`` cuts to the exams a person may see."""
        return [
            self._watched[delivery_id]
            for delivery_id in sorted(self._watched)
            if only is None or self._watched[delivery_id].exam_id in only
        ]

    async def load(self, database: Database) -> None:
        """Read what may be running, waiting for the database where it is away."""
        while True:
            try:
                async with database.read() as db:
                    found = await deliveries.not_ended(db)
            except DatabaseUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            for delivery in found:
                self.learn(delivery)
            return

    async def run(self, database: Database) -> None:
        """Probe exam-clients that nothing was heard of since the last round."""
        await self.load(database)
        while True:
            await asyncio.sleep(self._probe_seconds)
            await self._round()

    async def _round(self) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)
        now = datetime.now(UTC)
        async with asyncio.TaskGroup() as tasks:
            for watched in list(self._watched.values()):
                if watched.endpoint is not None and not self._fresh(watched, now):
                    tasks.create_task(self._probe(watched, watched.endpoint, gate))
        silent = [w for w in self._watched.values() if w.endpoint and w.reachable is False]
        self._metrics.unreachable.set(len(silent))

    async def _probe(self, watched: Watched, endpoint: str, gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                await self._clients.probe(endpoint)
                verdict, reason = True, None
            except ClientUnreachable as error:
                verdict, reason = False, error.detail
            except Exception:  # noqa: BLE001 -- an address that can't be called must not end all probes
                _log.exception("probe_failed", delivery_id=watched.delivery_id)
                verdict, reason = False, "its address can't be called"
        current = self._watched.get(watched.delivery_id)
        if current is not None and current.endpoint == endpoint:
            heard = datetime.now(UTC) if verdict else current.heard_at
            self._put(replace(current, heard_at=heard), verdict, reason)

    def _fresh(self, watched: Watched, now: datetime) -> bool:
        heard = watched.heard_at
        return heard is not None and (now - heard).total_seconds() < self._probe_seconds

    def _put(self, watched: Watched, reachable: bool, reason: str | None) -> None:
        changed = watched.reachable is not reachable
        since = datetime.now(UTC) if changed else watched.since
        after = replace(watched, reachable=reachable, since=since, reason=reason)
        self._watched[watched.delivery_id] = after
        if changed:
            self._on_change(after)
