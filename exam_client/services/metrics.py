"""Prometheus figures of one exam-client, on a registry of its own."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_COMMIT_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_PREFIX = "medxamion_client_"


class Metrics:
    """Counters are told; gauges ask when they are read."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._commit = Histogram(
            f"{_PREFIX}commit_seconds",
            "Time from taking a batch to its acknowledgement",
            buckets=_COMMIT_BUCKETS,
            registry=self.registry,
        )
        self._batch = Histogram(
            f"{_PREFIX}batch_commands",
            "Commands committed together",
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )
        self.answers = Counter(
            f"{_PREFIX}answers", "Answers acknowledged as durable", registry=self.registry
        )
        self.refusals = Counter(
            f"{_PREFIX}refusals", "Requests refused, by code", ["code"], registry=self.registry
        )

    def committed(self, commands: int, seconds: float, waiting: int) -> None:
        """One batch (called from the writer thread)."""
        self._commit.observe(seconds)
        self._batch.observe(commands)

    def ask(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """A gauge that asks for its value when it is scraped."""
        Gauge(f"{_PREFIX}{name}", meaning, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        return generate_latest(self.registry)
