"""A roster CSV to roster entries: ``identifier,name,email`` and, where wanted, accommodations.

``time_multiplier`` (``1.25`` or ``5/4``) stretches the time limit, ``extra_seconds`` is added after
it. All rows are read before anything is said, so one run shows every flaw.
"""

from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from exam_contract.people import RosterEntry
from examctl.errors import FieldError
from examctl.formats.text import Row, decode, read_rows, refuse_flaws

REQUIRED = ("identifier", "name", "email")
OPTIONAL = ("time_multiplier", "extra_seconds")
MOST_PARTICIPANTS = 20_000
_WHAT = "a roster that can be imported"
_WORDS = {
    "identifier": "write 1 to 64 characters without line breaks",
    "name": "write 1 to 200 characters",
    "email": "this is no e-mail address; write one like name@example.org",
}


def read_roster(data: bytes, name: str) -> list[RosterEntry]:
    """Every participant of the file. Raises UnreadableInputError with the flaws by row."""
    rows = read_rows(decode(data, name), name)
    columns = [cell.strip().lower() for cell in rows[0].cells]
    refuse_flaws(name, _WHAT, _header_flaws(rows[0].line, columns, rows[1:]))
    entries: list[RosterEntry] = []
    flaws: list[FieldError] = []
    seen: dict[str, int] = {}
    for row in rows[1:]:
        entry, wrong = _read_row(columns, row)
        if entry is not None and entry.identifier.casefold() in seen:
            told = (
                f"{entry.identifier!r} stands in line {seen[entry.identifier.casefold()]} already"
            )
            wrong.append(FieldError(f"line {row.line}, identifier", told))
        elif entry is not None:
            seen[entry.identifier.casefold()] = row.line
            entries.append(entry)
        flaws += wrong
    refuse_flaws(name, _WHAT, flaws)
    return entries


def _header_flaws(line: int, columns: list[str], body: list[Row]) -> list[FieldError]:
    place = f"line {line}"
    known = (*REQUIRED, *OPTIONAL)
    header = f"a roster begins with the header {','.join(REQUIRED)}"
    flaws = [
        FieldError(place, f"column {name!r} is missing; {header}")
        for name in REQUIRED
        if name not in columns
    ]
    flaws += [
        FieldError(place, f"unknown column {name!r}; known are {', '.join(known)}")
        for name in columns
        if name not in known
    ]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    flaws += [FieldError(place, f"column {name!r} stands twice; keep one") for name in twice]
    if not body:
        flaws.append(FieldError(place, "a header and nobody; add a row per participant"))
    if len(body) > MOST_PARTICIPANTS:
        told = f"a roster holds at most {MOST_PARTICIPANTS} participants"
        flaws.append(FieldError(f"line {body[MOST_PARTICIPANTS].line}", told))
    return flaws


def _read_row(columns: list[str], row: Row) -> tuple[RosterEntry | None, list[FieldError]]:
    place = f"line {row.line}"
    if len(row.cells) != len(columns):
        told = f"it has {len(row.cells)} cells and the header {len(columns)}"
        return None, [FieldError(place, f"{told}; put cells that hold commas in quotes")]
    cells = {name: cell.strip() for name, cell in zip(columns, row.cells, strict=True)}
    flaws = [
        FieldError(f"{place}, {name}", "this is missing") for name in REQUIRED if not cells[name]
    ]
    accommodation = _accommodation(cells, place, flaws)
    if flaws:
        return None, flaws
    body = {name: cells[name] for name in REQUIRED} | {"accommodation": accommodation}
    try:
        return RosterEntry.model_validate(body), []
    except ValidationError as error:
        return None, _flaws(place, error)


def _accommodation(cells: dict[str, str], place: str, flaws: list[FieldError]) -> dict[str, Any]:
    accommodation: dict[str, Any] = {}
    if text := cells.get("time_multiplier", ""):
        factor = _factor(text)
        if factor is None:
            told = "write a factor from 1 to 10, such as 1.25 or 5/4"
            flaws.append(FieldError(f"{place}, time_multiplier", told))
        else:
            accommodation["time_multiplier"] = str(factor)
    if text := cells.get("extra_seconds", ""):
        if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) <= 86_400):
            told = "write whole seconds from 0 to 86400"
            flaws.append(FieldError(f"{place}, extra_seconds", told))
        else:
            accommodation["extra_seconds"] = int(text)
    return accommodation


def _factor(text: str) -> Fraction | None:
    try:
        factor = Fraction(text.replace(",", ".")) if len(text) <= 12 else None
    except (ValueError, ZeroDivisionError):
        return None
    return factor if factor is not None and 1 <= factor <= 10 else None


def _flaws(place: str, error: ValidationError) -> list[FieldError]:
    fields = dict.fromkeys(str(entry["loc"][0]) for entry in error.errors())
    return [FieldError(f"{place}, {name}", _WORDS.get(name, "this is wrong")) for name in fields]
