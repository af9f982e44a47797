"""Latencies as percentiles and as a histogram: exact, from all samples, in milliseconds."""

from array import array
from dataclasses import asdict, dataclass

EDGES_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


@dataclass(frozen=True, slots=True)
class Summary:
    """Nearest-rank percentiles; ``histogram``: upper edge in ms (``inf`` last) to how many."""

    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    histogram: dict[str, int]

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


class Latencies:
    """Collects samples; 8 bytes each."""

    def __init__(self) -> None:
        self._samples = array("d")

    def add(self, seconds: float) -> None:
        self._samples.append(seconds * 1000)

    def summary(self) -> Summary:
        ordered = sorted(self._samples)
        edges = [*(str(edge) for edge in EDGES_MS), "inf"]
        histogram = dict.fromkeys(edges, 0)
        for sample in ordered:
            histogram[_edge(sample)] += 1
        return Summary(
            len(ordered),
            _rank(ordered, 50),
            _rank(ordered, 90),
            _rank(ordered, 99),
            round(ordered[-1], 3) if ordered else 0.0,
            histogram,
        )


def _rank(ordered: list[float], percent: int) -> float:
    if not ordered:
        return 0.0
    return round(ordered[-(-len(ordered) * percent // 100) - 1], 3)


def _edge(sample: float) -> str:
    return next((str(edge) for edge in EDGES_MS if sample <= edge), "inf")
