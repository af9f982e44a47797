"""Bare CSV: rows of ``stem,A,B,C,D,letter`` without a header, as question banks are published."""

from dataclasses import dataclass, field
from typing import Any

from examctl.errors import FieldError
from examctl.formats.text import Row, refuse_flaws

LETTERS = "ABCD"
_WIDTH = len(LETTERS) + 2
MOST_ITEMS = 2000


@dataclass(frozen=True, slots=True)
class Parts:
    """What a CSV yields: ``sections`` and ``items``, key entries, and each item's place."""

    content: dict[str, Any]
    key: list[dict[str, Any]]
    places: dict[int, str] = field(default_factory=dict)


def read_bare_csv(rows: list[Row], name: str) -> Parts:
    """One single_best item per row, numbered from 1. Raises UnreadableInputError."""
    flaws = [flaw for row in rows for flaw in _flaws(row)]
    refuse_flaws(name, "a bare CSV of stem,A,B,C,D,letter", flaws + too_many(rows))
    items = [_item(number, row) for number, row in enumerate(rows, start=1)]
    key = [
        {"item_id": number, "type": "single_best", "correct": row.cells[-1].strip()}
        for number, row in enumerate(rows, start=1)
    ]
    return Parts(
        {
            "sections": [section("main", "Questions", [item["id"] for item in items])],
            "items": items,
        },
        key,
        {number: f"line {row.line}" for number, row in enumerate(rows, start=1)},
    )


def section(section_id: str, title: str, items: list[int]) -> dict[str, Any]:
    """A section with its pool, as JSON data."""
    return {"id": section_id, "title": title, "items": items}


def too_many(rows: list[Row]) -> list[FieldError]:
    """The flaw of a file with more items than one exam may hold."""
    if len(rows) <= MOST_ITEMS:
        return []
    return [
        FieldError(f"line {rows[MOST_ITEMS].line}", f"an exam holds at most {MOST_ITEMS} items")
    ]


def _item(number: int, row: Row) -> dict[str, Any]:
    options = [
        {"id": letter, "text": text} for letter, text in zip(LETTERS, row.cells[1:-1], strict=True)
    ]
    return {"id": number, "type": "single_best", "stem": row.cells[0], "options": options}


def _flaws(row: Row) -> list[FieldError]:
    place = f"line {row.line}"
    if len(row.cells) != _WIDTH:
        found = f"it has {len(row.cells)} cells, and stem,A,B,C,D,letter needs {_WIDTH}"
        return [FieldError(place, f"{found}; put cells that hold commas in quotes")]
    flaws = [
        FieldError(f"{place}, {cell}", "this is empty; every cell needs text")
        for cell, text in zip(("stem", *LETTERS), row.cells[:-1], strict=True)
        if not text.strip()
    ]
    letter = row.cells[-1].strip()
    if not letter:
        flaws.append(FieldError(f"{place}, letter", "no key; write A, B, C or D"))
    elif letter not in LETTERS:
        told = f"the key names option {letter[:20]!r}, which is missing; write A, B, C or D"
        flaws.append(FieldError(f"{place}, letter", told))
    return flaws
