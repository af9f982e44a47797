"""Has a failed exam-client restarted: once per failure, by one replica, through its object.

The rules are ``core.failures``; the operator carries the request out, and kills only what is proven
to hang.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from coordinator.adapters.metrics import Metrics
from coordinator.core import deliveries as building
from coordinator.core import failures
from coordinator.core.failures import RESTARTABLE, Facts, Policy, Sight
from coordinator.errors import Conflict, DatabaseUnavailable, Refused
from coordinator.services.health import HealthMonitor
from coordinator.services.objects import DeliveryObjects, edit
from coordinator.services.work import SYSTEM, working
from coordinator.store import deliveries, events, restarts
from coordinator.store.database import Database
from coordinator.store.deliveries import Delivery
from exam_contract.delivery import ExamDelivery

_log = structlog.get_logger(__name__)
_RETRY = timedelta(seconds=30)


@dataclass(slots=True)
class FailureWatch:
    """``run`` it for the life of the process."""

    database: Database
    objects: DeliveryObjects
    health: HealthMonitor
    metrics: Metrics
    policy: Policy
    every_seconds: float
    _together: bool = False
    _withheld: dict[int, str] = field(default_factory=dict)

    async def run(self) -> None:
        if self.policy.after_seconds <= 0:
            return
        while True:
            await asyncio.sleep(self.every_seconds)
            try:
                await self.look(datetime.now(UTC))
            except DatabaseUnavailable:
                _log.info("failures_not_judged", reason="the database is away")
            except Exception:  # noqa: BLE001 -- one odd delivery must not end the watch over all
                _log.exception("failure_watch_failed")

    async def look(self, now: datetime) -> None:
        """Judge all of them once, and ask for what is due."""
        sights = {one.delivery_id: one for one in self._sights()}
        failing = [key for key, sight in sights.items() if sight.failing_since is not None]
        self._withheld = {key: why for key, why in self._withheld.items() if key in failing}
        if not failing:
            self._together = False
            return
        async with self.database.read() as db:
            requested = await restarts.requested(db, failing)
        judgement = failures.judge(
            sights.values(), requested, self.health.watching_since, now, self.policy
        )
        self._tell_together(judgement.together)
        for delivery_id in judgement.failed:
            await self._ask(sights[delivery_id], now)

    def _sights(self) -> list[Sight]:
        return [
            Sight(one.delivery_id, one.phase, one.heard_at, one.failing_since, one.failures)
            for one in self.health.all(None)
            if one.endpoint is not None
        ]

    def _tell_together(self, count: int) -> None:
        if count and not self._together:
            self.metrics.restarts.labels("withheld").inc()
            _log.error(
                "many_exam_clients_unreachable",
                count=count,
                says="nothing is restarted: the fault is this coordinator's or the network's",
            )
        self._together = count > 0

    async def _ask(self, sight: Sight, now: datetime) -> None:
        delivery = await self._claim(sight, now)
        if delivery is None:
            return
        try:
            await edit(self.objects, delivery, lambda stored: _restarted(stored, now))
        except Refused as refused:
            self.metrics.restarts.labels("refused").inc()
            _log.warning("restart_not_placed", delivery_id=delivery.id, reason=refused.detail)
            return
        async with self.database.begin() as db:
            await restarts.place(db, delivery.id)
        self.metrics.restarts.labels("requested").inc()
        _log.warning("restart_requested", delivery_id=delivery.id, epoch=delivery.epoch)

    async def _claim(self, sight: Sight, now: datetime) -> Delivery | None:
        """The delivery, when it is this replica that asks, and nothing speaks against it."""
        async with working(self.database, SYSTEM) as work:
            delivery = await deliveries.get(work.db, sight.delivery_id)
            last_event_at = await events.last_heard(work.db, sight.delivery_id)
            why_not = "it is gone"
            if delivery is not None:
                facts = _facts(delivery, last_event_at)
                why_not = failures.withheld(facts, now, self.policy) or ""
            if delivery is None or why_not:
                work.unchanged()
                self._tell_withheld(sight.delivery_id, why_not)
                return None
            claimed = await restarts.claim(
                work.db,
                delivery.id,
                now,
                sight.heard_at,
                failures.next_claim_before(now, self.policy),
                now - _RETRY,
            )
            if not claimed:
                work.unchanged()
                return None
            work.record(
                "delivery_restart_requested",
                f"delivery:{delivery.id}",
                reason=f"nothing heard and no call answered for {self.policy.after_seconds:g} s",
                epoch=delivery.epoch,
            )
            return delivery

    def _tell_withheld(self, delivery_id: int, why: str) -> None:
        if self._withheld.get(delivery_id) != why:
            self._withheld[delivery_id] = why
            self.metrics.restarts.labels("withheld").inc()
            _log.warning("restart_withheld", delivery_id=delivery_id, reason=why)


def _facts(delivery: Delivery, last_event_at: datetime | None) -> Facts:
    return Facts(
        phase=delivery.phase,
        erased=delivery.confirmed_erased,
        operator_heard_at=delivery.heard_at,
        operator_says_healthy=delivery.health is not None and delivery.health.healthy,
        last_event_at=last_event_at,
    )


def _restarted(stored: ExamDelivery, now: datetime) -> ExamDelivery:
    """The object knows last what the operator does; what was read of it before may be old."""
    if stored.status.phase not in RESTARTABLE:
        raise Conflict(f"the delivery is {stored.status.phase}")
    return building.edited(stored, "restart", now)
