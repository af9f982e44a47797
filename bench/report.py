"""One figure with its unit and what is promised of it, and a table of them."""

from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Measure:
    """``target`` is the most (or, with ``better`` more, the least) that is promised."""

    part: str
    what: str
    value: float
    unit: str
    target: float | None = None
    better: Literal["less", "more"] = "less"
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the promise holds; None where nothing is promised."""
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "less" else self.value >= self.target


def show(measures: list[Measure]) -> None:
    """A table on standard output."""
    table = Table(show_edge=False, pad_edge=False)
    for column in ("measured", "value", "promised", "", "note"):
        table.add_column(column, justify="right" if column in ("value", "promised") else "left")
    for measure in measures:
        table.add_row(
            measure.what, with_unit(measure.value, measure.unit), promised(measure),
            {True: "met", False: "[bold red]MISSED", None: ""}[measure.met], measure.note,
        )  # fmt: skip
    Console(highlight=False, width=120).print(table)


def spoken(measure: Measure) -> dict[str, object]:
    """JSON data."""
    return {
        "part": measure.part,
        "what": measure.what,
        "value": round(measure.value, 4),
        "unit": measure.unit,
        "target": measure.target,
        "better": measure.better,
        "met": measure.met,
        "note": measure.note,
    }


def percentile(values: list[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-len(ordered) * percent // 100) - 1))]


def promised(measure: Measure) -> str:
    """In words; nothing where nothing is."""
    if measure.target is None:
        return ""
    sign = "<=" if measure.better == "less" else ">="
    return f"{sign} {with_unit(measure.target, measure.unit)}"


def with_unit(value: float, unit: str) -> str:
    """As people read it."""
    digits = 0 if abs(value) >= 100 or value == int(value) else 2
    return f"{value:,.{digits}f} {unit}".rstrip()
