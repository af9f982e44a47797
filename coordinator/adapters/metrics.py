"""Prometheus metrics of one coordinator, in a registry of their own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Names and labels stand in docs/protocol.md."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "medxamion_coordinator_request_seconds",
            "Requests by route, method and status.",
            ["door", "route", "method", "status"],
            registry=self.registry,
            buckets=_FAST,
        )
        self.events = Counter(
            "medxamion_coordinator_events_total",
            "Events by outcome: stored, duplicate, gap, conflict, fenced.",
            ["outcome"],
            registry=self.registry,
        )
        self.ingest = Histogram(
            "medxamion_coordinator_ingest_seconds",
            "Time from a batch's arrival to its COMMIT.",
            registry=self.registry,
            buckets=_FAST,
        )
        self.event_lag = Histogram(
            "medxamion_coordinator_event_lag_seconds",
            "Age of the newest event of a batch at its COMMIT, by the exam-client's clock.",
            registry=self.registry,
            buckets=_FAST,
        )
        self.sockets = Gauge(
            "medxamion_coordinator_sockets", "Open WebSockets.", registry=self.registry
        )
        self.frames = Counter(
            "medxamion_coordinator_frames_total", "WebSocket frames sent.", registry=self.registry
        )
        self.live = Counter(
            "medxamion_coordinator_live_progress_total",
            "Live progress replies by source.",
            ["source"],
            registry=self.registry,
        )
        self.transfers = Counter(
            "medxamion_coordinator_transfers_total",
            "Final transfers by outcome: receipted, mismatch, conflict.",
            ["outcome"],
            registry=self.registry,
        )
        self.unreachable = Gauge(
            "medxamion_coordinator_exam_clients_unreachable",
            "Exam-clients that should answer and do not.",
            registry=self.registry,
        )
        self.sign_ins = Counter(
            "medxamion_coordinator_sign_ins_total",
            "Sign-ins by kind and outcome.",
            ["kind", "outcome"],
            registry=self.registry,
        )

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)
