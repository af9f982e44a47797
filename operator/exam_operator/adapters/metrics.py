"""What the operator counts, for Prometheus."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from exam_contract.delivery import ExamDelivery, ExamDeliveryStatus, Phase
from exam_operator.core.lingering import entered_at
from exam_operator.core.world import Key

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class OperatorMetrics:
    """One registry of its own, so that two operators in one process do not meet."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._phases: dict[Key, Phase] = {}
        self._entered: dict[Key, datetime] = {}
        self._deliveries = Gauge(
            "medxamion_operator_deliveries",
            "Deliveries by phase",
            ["phase"],
            registry=self._registry,
        )
        self._restarts = Counter(
            "medxamion_operator_client_restarts_total",
            "Exam-clients started in place of one that ended",
            registry=self._registry,
        )
        self._recovery = Histogram(
            "medxamion_operator_recovery_seconds",
            "From the end of an exam-client to its successor being back",
            buckets=(0.5, 1, 1.5, 2, 3, 5, 8, 15, 30, 60, 300),
            registry=self._registry,
        )
        self.reconcile_seconds = Histogram(
            "medxamion_operator_reconcile_seconds",
            "Duration of one look, plan and obey",
            registry=self._registry,
        )
        self.reconcile_failures = Counter(
            "medxamion_operator_reconcile_failures_total",
            "Reconciles that are tried again with back-off",
            registry=self._registry,
        )
        self.api_calls = Counter(
            "medxamion_operator_api_calls_total",
            "Calls to the Kubernetes API by verb and status code (none: no answer)",
            ["verb", "code"],
            registry=self._registry,
        )
        self.watch_age_seconds = Gauge(
            "medxamion_operator_watch_age_seconds",
            "Since the watch last told of the canary, by namespace",
            ["namespace"],
            registry=self._registry,
        )
        self.queue_lag_seconds = Histogram(
            "medxamion_operator_queue_lag_seconds",
            "From the moment a look is due to its beginning",
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60),
            registry=self._registry,
        )
        self.phase_seconds = Histogram(
            "medxamion_operator_phase_seconds",
            "Time that deliveries spent in a phase they left",
            ["phase"],
            buckets=(1, 2, 5, 10, 15, 30, 60, 300, 1800, 3600, 14_400, 86_400),
            registry=self._registry,
        )
        self.queue_depth = Gauge(
            "medxamion_operator_queue_depth",
            "Deliveries waiting for their next look",
            registry=self._registry,
        )

    def standing(self, key: Key, phase: Phase) -> None:
        """Note in which phase a delivery was seen."""
        self._phases[key] = phase

    def changed(
        self, key: Key, stored: ExamDelivery, after: ExamDeliveryStatus, now: datetime
    ) -> None:
        """Note what the status that was just written to the object changed."""
        before = stored.status
        if before.phase is not after.phase:
            entered = self._entered.get(key) or entered_at(stored)
            if entered is not None:
                spent = (now - entered).total_seconds()
                self.phase_seconds.labels(phase=str(before.phase)).observe(max(0.0, spent))
            self._entered[key] = now
        self._phases[key] = after.phase
        if after.restarts.count > before.restarts.count:
            self._restarts.inc(after.restarts.count - before.restarts.count)
        started = before.restarts.recovery_started_at
        seconds = after.restarts.last_recovery_seconds
        if started is not None and after.restarts.recovery_started_at is None and seconds:
            self._recovery.observe(float(seconds))

    def forget(self, key: Key) -> None:
        self._phases.pop(key, None)
        self._entered.pop(key, None)

    def text(self) -> bytes:
        """The exposition."""
        standing = list(self._phases.values())
        for phase in Phase:
            self._deliveries.labels(phase=str(phase)).set(standing.count(phase))
        return generate_latest(self._registry)
