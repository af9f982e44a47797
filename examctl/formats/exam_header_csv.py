"""CSV with a header: one item per row, of any delivered type.

Columns, in any order; only ``stem`` and ``key`` are required:

- ``id`` (default: the row's number), ``type`` (default single_best), ``stem``, ``max_points``
  (default 1), ``section`` (rows of one section get one section of the exam), ``blueprint``,
  ``discipline``, ``pilot`` (yes or no), ``rule`` (a scoring rule of the type)
- ``A`` to ``Z``: the options or statements; empty cells are no options
- ``key``: single_best: a letter; multiple_true_false: the letters of the true statements, or
  ``none``; pick_n: letters; numeric: the value; short_text: accepted texts with ``|`` between them;
  essay: the rubric, or nothing
- ``tolerance`` and ``unit`` of numeric, ``max_length`` of short_text and essay

``question`` is understood as ``stem``, and ``letter``, ``answer`` or ``correct`` as ``key``.
"""

import re
from collections.abc import Callable
from typing import Any

from examctl.errors import FieldError
from examctl.formats.exam_bare_csv import Parts, section, too_many
from examctl.formats.text import Row, refuse_flaws

OPTION_COLUMNS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
COLUMNS = (
    "id", "type", "stem", "key", "max_points", "section", "blueprint", "discipline", "pilot",
    "rule", "tolerance", "unit", "max_length",
)  # fmt: skip
_WHAT = "an exam as CSV with a header"
_ALIASES = {"question": "stem", "letter": "key", "answer": "key", "correct": "key"}
_TRUTH = {"": False, "no": False, "false": False, "0": False, "yes": True, "true": True, "1": True}
Cells = dict[str, str]


class _Wrong(ValueError):
    """A cell that cannot be read: the column and the mend."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


def has_header(rows: list[Row]) -> bool:
    """Whether the first row names columns: ``stem`` itself, or other names for stem and key."""
    written = [cell.strip().lower() for cell in rows[0].cells] if rows else []
    return "stem" in written or {"stem", "key"} <= {_ALIASES.get(name, name) for name in written}


def read_header_csv(rows: list[Row], name: str) -> Parts:
    """Items and keys of every row. Raises UnreadableInputError with all flaws found."""
    columns = [_column(cell) for cell in rows[0].cells]
    body = rows[1:]
    refuse_flaws(name, _WHAT, _column_flaws(rows[0].line, columns, body) + too_many(body))
    items: list[dict[str, Any]] = []
    key: list[dict[str, Any]] = []
    sections: dict[str, list[int]] = {}
    flaws: list[FieldError] = []
    places: dict[int, str] = {}
    for number, row in enumerate(body, start=1):
        try:
            item, entry = _read_row(number, _cells(columns, row))
            _note_place(item["id"], row.line, places)
        except _Wrong as error:
            flaws.append(FieldError(f"line {row.line}, {error.column}", str(error)))
            continue
        items.append(item)
        key.append(entry)
        sections.setdefault(_cells(columns, row).get("section", "").strip(), []).append(item["id"])
    refuse_flaws(name, _WHAT, flaws)
    return Parts({"sections": _sections(sections), "items": items}, key, places)


def _column(cell: str) -> str:
    name = cell.strip()
    return name if name in OPTION_COLUMNS else _ALIASES.get(name.lower(), name.lower())


def _column_flaws(line: int, columns: list[str], body: list[Row]) -> list[FieldError]:
    place = f"line {line}"
    known = (*COLUMNS, *OPTION_COLUMNS)
    flaws = [
        FieldError(place, f"unknown column {name!r}; known are {', '.join(COLUMNS)}, A to Z")
        for name in columns
        if name not in known
    ]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    flaws += [FieldError(place, f"column {name!r} stands twice; keep one") for name in twice]
    if "key" not in columns:
        flaws.append(FieldError(place, "no key: the column 'key' is missing"))
    if not body:
        flaws.append(FieldError(place, "a header and no items; add a row per item"))
    return flaws


def _cells(columns: list[str], row: Row) -> Cells:
    if len(row.cells) != len(columns):
        told = f"it has {len(row.cells)} cells and the header {len(columns)}"
        raise _Wrong("cells", f"{told}; put cells that hold commas in quotes")
    return dict(zip(columns, row.cells, strict=True))


def _note_place(item_id: int, line: int, places: dict[int, str]) -> None:
    if item_id in places:
        raise _Wrong("id", f"{item_id} stands in {places[item_id]} already; ids must be unique")
    places[item_id] = f"line {line}"


def _sections(sections: dict[str, list[int]]) -> list[dict[str, Any]]:
    return [
        section(f"section-{number}", title or "Questions", items)
        for number, (title, items) in enumerate(sections.items(), start=1)
    ]


def _read_row(number: int, cells: Cells) -> tuple[dict[str, Any], dict[str, Any]]:
    kind = cells.get("type", "").strip().lower() or "single_best"
    if kind not in _KINDS:
        raise _Wrong("type", f"unknown or undelivered type {kind!r}; use {', '.join(_KINDS)}")
    if not cells["stem"].strip():
        raise _Wrong("stem", "this is empty; every item needs a stem")
    item_id = _integer(cells, "id", number)
    item: dict[str, Any] = {"id": item_id, "type": kind, "stem": cells["stem"]}
    entry: dict[str, Any] = {"item_id": item_id, "type": kind}
    item["tags"] = _tags(cells)
    if points := cells.get("max_points", "").strip():
        item["max_points"] = points
    if rule := cells.get("rule", "").strip():
        entry["rule"] = rule
    _KINDS[kind](cells, item, entry)
    return item, entry


def _tags(cells: Cells) -> dict[str, Any]:
    pilot = cells.get("pilot", "").strip().lower()
    if pilot not in _TRUTH:
        raise _Wrong("pilot", "write yes or no")
    tags = {name: cells.get(name, "").strip() or None for name in ("blueprint", "discipline")}
    return {**tags, "pilot": _TRUTH[pilot]}


def _integer(cells: Cells, column: str, default: int) -> int:
    text = cells.get(column, "").strip()
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise _Wrong(column, f"{text[:20]!r} is no whole number from 1 up")
    return int(text)


def _single_best(cells: Cells, item: dict[str, Any], entry: dict[str, Any]) -> None:
    item["options"] = _options(cells)
    picked = _letters(cells, item["options"])
    if len(picked) != 1:
        raise _Wrong("key", "no key; write the letter of the best option" if not picked else
                     "single_best has one best option; write one letter")  # fmt: skip
    entry["correct"] = picked[0]


def _true_false(cells: Cells, item: dict[str, Any], entry: dict[str, Any]) -> None:
    item["options"] = _options(cells)
    none_true = cells["key"].strip().lower() == "none"
    true = [] if none_true else _letters(cells, item["options"])
    if not true and not none_true:
        raise _Wrong("key", "no key; write the letters of the true statements, or none")
    entry["truths"] = {option["id"]: option["id"] in true for option in item["options"]}


def _pick_n(cells: Cells, item: dict[str, Any], entry: dict[str, Any]) -> None:
    item["options"] = _options(cells)
    picked = _letters(cells, item["options"])
    if not 1 <= len(picked) < len(item["options"]):
        raise _Wrong("key", "no key; write the letters to be picked, fewer than there are options")
    item["pick"], entry["correct"] = len(picked), picked


def _numeric(cells: Cells, item: dict[str, Any], entry: dict[str, Any]) -> None:
    _refuse_options(cells, "numeric")
    value = cells["key"].strip().replace(",", ".").replace("\N{MINUS SIGN}", "-")
    if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", value):
        raise _Wrong("key", "no key; write the right number, for example 7.35")
    entry["value"] = value
    if tolerance := cells.get("tolerance", "").strip().replace(",", "."):
        entry["tolerance"] = tolerance
    if unit := cells.get("unit", "").strip():
        item["unit"] = unit


def _short_text(cells: Cells, item: dict[str, Any], entry: dict[str, Any]) -> None:
    _refuse_options(cells, "short_text")
    entry["accepted"] = [text.strip() for text in cells["key"].split("|") if text.strip()]
    if not entry["accepted"]:
        raise _Wrong("key", "no key; write the accepted texts with | between them")
    item["max_length"] = _integer(cells, "max_length", 200)


def _essay(cells: Cells, item: dict[str, Any], entry: dict[str, Any]) -> None:
    _refuse_options(cells, "essay")
    entry["rubric"] = cells["key"]
    item["max_length"] = _integer(cells, "max_length", 10_000)


_KINDS: dict[str, Callable[[Cells, dict[str, Any], dict[str, Any]], None]] = {
    "single_best": _single_best,
    "multiple_true_false": _true_false,
    "pick_n": _pick_n,
    "numeric": _numeric,
    "short_text": _short_text,
    "essay": _essay,
}


def _options(cells: Cells) -> list[dict[str, str]]:
    filled = [name for name in OPTION_COLUMNS if cells.get(name, "").strip()]
    if len(filled) < 2:
        raise _Wrong("A", "at least two options are needed; fill the columns A, B, ...")
    return [{"id": name, "text": cells[name]} for name in filled]


def _refuse_options(cells: Cells, kind: str) -> None:
    filled = [name for name in OPTION_COLUMNS if cells.get(name, "").strip()]
    if filled:
        raise _Wrong(filled[0], f"{kind} has no options; leave this cell empty")


def _letters(cells: Cells, options: list[dict[str, str]]) -> list[str]:
    letters = [letter for letter in re.split(r"[\s,;]+", cells["key"].strip()) if letter]
    known = [option["id"] for option in options]
    for letter in letters:
        if letter not in known:
            told = f"the key names option {letter[:20]!r}, which is missing"
            raise _Wrong("key", f"{told}; this row has {', '.join(known)}")
    if len(set(letters)) != len(letters):
        raise _Wrong("key", "a letter stands twice; write each once")
    return letters
