"""Checks of a roster as a whole, by row; each error names the row, the field and the mend."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from exam_contract.people import RosterEntry

_SLUG = re.compile(r"[^a-z0-9]+")
_MENDS = {
    "identifier": "give 1 to 64 characters without space at the ends",
    "name": "give 1 to 200 characters",
    "email": "give an address such as name@example.org",
    "accommodation": "time_multiplier is a rational such as 5/4, extra_seconds 0 to 86400",
}


@dataclass(frozen=True, slots=True)
class RowError:
    """``row`` counts from 1."""

    row: int
    field: str
    message: str


def check(rows: list[Any]) -> tuple[list[RosterEntry], list[RowError]]:
    """Entries that are sound by themselves, and everything that is wrong with any row."""
    entries: list[RosterEntry] = []
    errors: list[RowError] = []
    first_seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        try:
            entry = RosterEntry.model_validate(row)
        except ValidationError as error:
            errors.extend(_row_errors(number, error))
            continue
        entries.append(entry)
        # Identifiers that differ only by case are one identifier to whoever types it.
        before = first_seen.setdefault(entry.identifier.casefold(), number)
        if before != number:
            message = f"the same identifier stands in row {before}; identifiers must be unique"
            errors.append(RowError(number, "identifier", message))
    return entries, errors


def slug(name: str) -> str:
    """The roster id that a name asks for: lower-case letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _SLUG.sub("-", plain).strip("-")[:48].strip("-") or "roster"


def _row_errors(number: int, error: ValidationError) -> list[RowError]:
    found = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        field = str(problem["loc"][0]) if problem["loc"] else "row"
        match problem["type"]:
            case "missing":
                message = f"{field} is missing"
            case "extra_forbidden":
                message = f"{field} is no field of a roster; remove it"
            case _:
                message = _MENDS.get(field, problem["msg"])
        found.append(RowError(number, field, message))
    return found
