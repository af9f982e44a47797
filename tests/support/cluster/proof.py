"""What recovery took and what became of the answers: shown after a run, and kept as JSON and
Markdown in the folder that ``MEDXAMION_PROOF`` names."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from exam_contract.version import VERSION
from examctl.verification.checks import Figures

_NAME = "recovery"
_OPENING = """# Recovery on a real cluster

Made by `make test-cluster-full` on {made_on} (version {version}, {cores} cores, {cluster}); these
figures are in [recovery.json](recovery.json), too. People answer all the time, and a ledger outside
the cluster holds what each of them was told is saved. Seconds run from the fault to the first
answer that a successor acknowledged; where something was put wrong, to the condition that says so.
"""
_SCENARIO_HEAD = (
    "scenario",
    "times",
    "first (s)",
    "median",
    "most",
    "promised",
    "",
    "answers meanwhile",
)
_SITTING_HEAD = (
    *("sitting", "people", "acknowledged", "stored", "lost", "duplicated", "attempts"),
    "credited (s)",
)


@dataclass(frozen=True, slots=True)
class Promise:
    """The most seconds that are promised, the first time and later; to ``share`` of all times."""

    first: float
    later: float
    words: str
    share: float = 1.0

    def is_met(self, seconds: Sequence[float]) -> bool:
        most = [self.first, *[self.later] * (len(seconds) - 1)]
        met = [one <= limit for one, limit in zip(seconds, most, strict=True)]
        return sum(met) >= self.share * len(met)


AT_ONCE = Promise(5, 5, "5")
SOON = Promise(15, 15, "15")
KILLED = Promise(5, 15, "first 5, later 15")
READY = Promise(15, 15, "p95 15", share=0.95)
SAID = Promise(10, 10, "10")
UNFELT = Promise(3, 3, "none felt")
"""A pause is felt that is longer than saving takes on a busy machine."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """``times``: how often it was done; ``seconds``: until answers were acknowledged again;
    ``acknowledged``: meanwhile; ``sitting``: whose answers were counted in the end."""

    name: str
    sitting: str
    times: int
    seconds: tuple[float, ...] = ()
    promise: Promise | None = None
    acknowledged: int = 0

    @property
    def kept(self) -> str:
        """``met`` or ``missed``; empty where nothing is promised."""
        if self.promise is None:
            return ""
        return "met" if self.promise.is_met(self.seconds) else "missed"


@dataclass(frozen=True, slots=True)
class Sitting:
    """One delivery: what its people were told, and what PostgreSQL holds."""

    name: str
    participants: int
    acknowledged: int
    stored: int
    lost: int
    duplicated: int
    attempts: int
    credited_seconds: int

    @classmethod
    def of(
        cls, name: str, participants: int, figures: Figures, attempts: int, credited: int
    ) -> Self:
        """What the checker found."""
        counted = (figures.acknowledged, figures.stored, figures.lost, figures.duplicated)
        return cls(name, participants, *counted, attempts, credited)


@dataclass(slots=True)
class Proof:
    """Everything that one run measured."""

    scenarios: list[Scenario] = field(default_factory=list)
    sittings: list[Sitting] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.scenarios or self.sittings)

    def lines(self) -> list[str]:
        """Two Markdown tables."""
        scenarios = [_scenario_row(one) for one in self.scenarios]
        sittings = [_row(asdict(one).values()) for one in self.sittings]
        return [*_head(_SCENARIO_HEAD), *scenarios, "", *_head(_SITTING_HEAD), *sittings]

    def write(self, folder: Path) -> None:
        """``recovery.json`` and ``recovery.md``."""
        folder.mkdir(parents=True, exist_ok=True)
        made_on = datetime.now(UTC).strftime("%Y-%m-%d")
        about: dict[str, Any] = {
            "made_on": made_on,
            "version": VERSION,
            "cores": os.cpu_count(),
            "cluster": os.environ.get("MEDXAMION_CLUSTER", "?"),
        }
        figures = {
            "scenarios": [asdict(one) | {"kept": one.kept} for one in self.scenarios],
            "sittings": [asdict(one) for one in self.sittings],
        }
        text = json.dumps(about | figures, indent=2) + "\n"
        (folder / f"{_NAME}.json").write_text(text, "utf-8")
        page = [_OPENING.format_map(about), *self.lines(), ""]
        (folder / f"{_NAME}.md").write_text("\n".join(page), "utf-8")


def _scenario_row(one: Scenario) -> str:
    ordered = sorted(one.seconds)
    figures = ("", "", "")
    if ordered:
        middle = ordered[len(ordered) // 2]
        figures = (f"{one.seconds[0]:.1f}", f"{middle:.1f}", f"{ordered[-1]:.1f}")
    promised = one.promise.words if one.promise else ""
    cells = (one.name, one.times, *figures, promised, one.kept, one.acknowledged or "")
    return _row(cells)


def _head(words: Sequence[str]) -> list[str]:
    return [_row(words), _row("---" for _ in words)]


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"
