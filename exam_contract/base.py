"""The shared ground of every contract model: frozen, closed to unknown fields, UTC times.

A document that two parts exchange must mean the same to both, so a field that one side does not
know is an error and not a surprise.
"""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
)

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_YEARS = range(1970, 2200)
_ALLOWED_CONTROLS = frozenset("\t\n\r")


class Contract(BaseModel):
    """A frozen wire document in snake_case; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _written_as_time(value: object) -> object:
    """Numbers and dates would be read as times by pydantic, and refused by the Kubernetes API."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("write a time with its zone, for example 2026-01-15T10:30:00Z")
    # Parsed here: a strict model would refuse the text that a validator hands on.
    return datetime.fromisoformat(value.upper())


def _to_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its zone, for example 2026-01-15T10:30:00Z")
    if value.year not in _YEARS:
        raise ValueError(f"a time lies between {_YEARS.start} and {_YEARS.stop - 1}")
    return value.astimezone(UTC)


def _without_controls(value: str) -> str:
    """PostgreSQL cannot store NUL, and no other control character means anything in text."""
    wrong = next((char for char in value if _is_control(char)), None)
    if wrong is not None:
        raise ValueError(f"this holds the control character U+{ord(wrong):04X}; take it out")
    return value


def _is_control(char: str) -> bool:
    return (char < " " and char not in _ALLOWED_CONTROLS) or "\x7f" <= char <= "\x9f"


def rfc3339(value: datetime) -> str:
    """UTC with fixed microseconds, so that equal instants are equal strings and sort as text."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


UtcTime = Annotated[
    datetime,
    BeforeValidator(_written_as_time),
    AfterValidator(_to_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]
Clean = AfterValidator(_without_controls)
"""For text that people write: control characters but tab and line breaks are refused."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$")]
Base64Url = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]*$", max_length=8192)]
