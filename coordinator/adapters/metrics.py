"""Prometheus metrics of one coordinator, in a registry of their own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_PREFIX = "medxamion_coordinator_"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Names and labels stand in docs/protocol.md."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._seconds(
            "request_seconds",
            "Requests by route, method and status.",
            "door",
            "route",
            "method",
            "status",
        )
        self.events = self._count(
            "events_total",
            "Events by outcome: stored, duplicate, gap, conflict, fenced.",
            "outcome",
        )
        self.ingest = self._seconds("ingest_seconds", "From a batch's arrival to its COMMIT.")
        self.event_lag = self._seconds(
            "event_lag_seconds",
            "Age of the newest event of a batch at its COMMIT, by the exam-client's clock.",
        )
        self.sockets = self._level("sockets", "Open WebSockets.")
        self.frames = self._count("frames_total", "WebSocket frames sent.")
        self.live = self._count("live_progress_total", "Live progress replies by source.", "source")
        self.transfers = self._count(
            "transfers_total", "Final transfers: receipted, mismatch, conflict.", "outcome"
        )
        self.unreachable = self._level(
            "exam_clients_unreachable", "Exam-clients that should answer and do not."
        )
        self.tls_expiry = self._level(
            "tls_expiry_timestamp_seconds",
            "When the certificate in force ends (Unix time); 0 over plain http.",
        )
        self.restarts = self._count(
            "restart_requests_total",
            "Restarts of failed exam-clients: requested, refused, withheld.",
            "outcome",
        )
        self.database = self._level(
            "database_reachable", "1 when PostgreSQL answered when it was last asked."
        )
        self.sign_ins = self._count(
            "sign_ins_total", "Sign-ins by kind and outcome.", "kind", "outcome"
        )

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)

    def _count(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}{name}", says, labels, registry=self.registry)

    def _level(self, name: str, says: str) -> Gauge:
        return Gauge(f"{_PREFIX}{name}", says, registry=self.registry)

    def _seconds(self, name: str, says: str, *labels: str) -> Histogram:
        return Histogram(f"{_PREFIX}{name}", says, labels, registry=self.registry, buckets=_BUCKETS)
