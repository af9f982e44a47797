"""How every exam-client is seen: by its events, the operator's word, and a probe now and then.

Kept in memory and fed by what arrives anyway, here or at another replica; the database is read at
start, and by the feed's slow sweep.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

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
_ABSENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Watched:
    """One delivery's exam-client; ``reachable`` None until it was tried.

    ``heard_at``: it spoke to a replica or answered one. ``failing_since``: since then every call of
    ours to it has failed, ``failures`` times.
    """

    delivery_id: int
    uid: str
    pod_uid: str | None
    exam_id: str
    name: str
    phase: str
    endpoint: str | None
    endpoint_public: str | None
    epoch: int
    operator: ClientHealth | None
    told_at: datetime
    incarnation: int | None = None
    events_pending: int | None = None
    heard_at: datetime | None = None
    reachable: bool | None = None
    since: datetime | None = None
    reason: str | None = None
    failing_since: datetime | None = None
    failures: int = 0

    def message(self) -> Health:
        """What sockets are told."""
        return Health(
            delivery_id=self.delivery_id,
            reachable=bool(self.reachable),
            phase=self.phase,
            since=self.since,
            reason=self.reason,
        )


class Contact(NamedTuple):
    """What one replica tells the others of an exam-client that it heard."""

    delivery_id: int
    incarnation: int | None
    events_pending: int | None


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
        self._by_uid: dict[str, int] = {}
        self._heard_here: set[int] = set()
        self.loaded = False
        self.watching_since = datetime.now(UTC)
        """Since then this process has looked without a break."""

    def learn(self, delivery: Delivery) -> None:
        """Take over what is registered of a delivery."""
        before = self._watched.get(delivery.id)
        if before is not None and before.told_at > delivery.heard_at:
            return  # read before, and handed over after, something newer
        endpoint = None if delivery.phase in _ENDED else delivery.endpoint_internal
        now = Watched(
            delivery_id=delivery.id,
            uid=delivery.uid,
            pod_uid=delivery.pod_uid,
            exam_id=delivery.exam_id,
            name=delivery.name,
            phase=delivery.phase,
            endpoint=endpoint,
            endpoint_public=delivery.endpoint_public,
            epoch=delivery.epoch,
            operator=delivery.health,
            told_at=delivery.heard_at,
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
                failing_since=before.failing_since,
                failures=before.failures,
            )
        self._watched[delivery.id] = now
        self._by_uid[delivery.uid] = delivery.id
        if before is None or before.message() != now.message():
            self._on_change(now)

    def heard(
        self,
        delivery_id: int,
        incarnation: int | None = None,
        pending: int | None = None,
        told: bool = False,
    ) -> None:
        """Something arrived from the exam-client: it lives. ``told``: the others hear of it too."""
        known = self._watched.get(delivery_id)
        if known is not None:
            if not told:
                self._heard_here.add(delivery_id)
            self._put(_spoken(known, incarnation, pending), True, None)

    def heard_from(self, uid: str, pod_uid: str) -> None:
        """The delivery's current exam-client asked how we are: its sign of life when idle."""
        known = self._watched.get(self._by_uid.get(uid, 0))
        if known is not None and known.pod_uid == pod_uid:
            self.heard(known.delivery_id)

    def heard_elsewhere(self, contact: Contact) -> None:
        """Another replica heard it. Whether we can reach it ourselves is another matter."""
        known = self._watched.get(contact.delivery_id)
        if known is not None:
            spoken = _spoken(known, contact.incarnation, contact.events_pending)
            failing = spoken.reachable is False
            self._put(spoken, not failing, spoken.reason if failing else None)

    def take_contacts(self) -> list[Contact]:
        """Whom this replica heard since the last call, for the others."""
        heard, self._heard_here = self._heard_here, set()
        known = [self._watched[delivery_id] for delivery_id in sorted(heard)]
        return [Contact(one.delivery_id, one.incarnation, one.events_pending) for one in known]

    def answered(
        self, delivery_id: int, incarnation: int | None = None, pending: int | None = None
    ) -> None:
        """A call of ours to the exam-client was answered."""
        self.heard(delivery_id, incarnation, pending)
        known = self._watched.get(delivery_id)
        if known is not None:
            self._watched[delivery_id] = replace(known, failing_since=None, failures=0)

    def failed(self, delivery_id: int, reason: str) -> None:
        """A call of ours to the exam-client failed."""
        known = self._watched.get(delivery_id)
        if known is not None:
            since = known.failing_since or datetime.now(UTC)
            failing = replace(known, failing_since=since, failures=known.failures + 1)
            self._put(failing, False, reason)

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
        while not self.loaded:
            try:
                await self.reload(database)
            except DatabaseUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)

    async def reload(self, database: Database) -> None:
        """Take over what is registered now: a notice may have been lost. Raises
        DatabaseUnavailable.
        """
        async with database.read() as db:
            found = await deliveries.to_watch(db, self._not_ended())
        for delivery in found:
            self.learn(delivery)
        self.loaded = True

    async def run(self, database: Database) -> None:
        """Probe exam-clients that nothing was heard of for a while."""
        await self.load(database)
        while True:
            before = datetime.now(UTC)
            await asyncio.sleep(self._probe_seconds)
            self._notice_absence(before, datetime.now(UTC))
            await self._round()

    def _notice_absence(self, before: datetime, now: datetime) -> None:
        """A pause that took much longer, or less than nothing: we were away, or the clock was."""
        over = (now - before).total_seconds() - self._probe_seconds
        if abs(over) > _ABSENCE_SECONDS:
            _log.warning("was_away", seconds=round(over, 1))
            self.watching_since = now

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
                reason = None
            except ClientUnreachable as error:
                reason = error.detail
            except Exception:  # noqa: BLE001 -- an address that can't be called must not end all probes
                _log.exception("probe_failed", delivery_id=watched.delivery_id)
                reason = "its address can't be called"
        current = self._watched.get(watched.delivery_id)
        if current is None or current.endpoint != endpoint:
            return
        if reason is None:
            self.answered(watched.delivery_id)
        else:
            self.failed(watched.delivery_id, reason)

    def _fresh(self, watched: Watched, now: datetime) -> bool:
        """Heard lately, here or (told with a delay) elsewhere; one that fails is always tried."""
        if watched.heard_at is None or watched.failing_since is not None:
            return False
        return (now - watched.heard_at).total_seconds() < 2 * self._probe_seconds

    def _not_ended(self) -> list[int]:
        return [one.delivery_id for one in self._watched.values() if one.phase not in _ENDED]

    def _put(self, watched: Watched, reachable: bool, reason: str | None) -> None:
        changed = watched.reachable is not reachable
        since = datetime.now(UTC) if changed else watched.since
        after = replace(watched, reachable=reachable, since=since, reason=reason)
        self._watched[watched.delivery_id] = after
        if changed:
            self._on_change(after)


def _spoken(known: Watched, incarnation: int | None, pending: int | None) -> Watched:
    return replace(
        known,
        heard_at=datetime.now(UTC),
        incarnation=known.incarnation if incarnation is None else incarnation,
        events_pending=known.events_pending if pending is None else pending,
    )
