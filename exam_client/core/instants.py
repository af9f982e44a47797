"""Instants as integer microseconds since 1970 in UTC: exact, cheap to compare, no zones to mix up.

Text is RFC 3339 exactly as ``exam_contract.base.rfc3339`` writes it.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=8192)
def text(instant: int) -> str:
    """RFC 3339 in UTC with microseconds. Remembered: a batch writes its instant many times."""
    second, micros = divmod(instant, SECOND)
    return f"{_second_text(second)}.{micros:06d}Z"


def text_or_none(instant: int | None) -> str | None:
    return None if instant is None else text(instant)


def parse(value: str) -> int:
    """The instant of a text that ``text`` or a contract model wrote."""
    return from_datetime(datetime.fromisoformat(value))


def parse_or_none(value: str | None) -> int | None:
    return None if value is None else parse(value)


def from_datetime(value: datetime) -> int:
    return (value - _EPOCH) // timedelta(microseconds=1)


def to_datetime(instant: int) -> datetime:
    return _EPOCH + timedelta(microseconds=instant)


def to_datetime_or_none(instant: int | None) -> datetime | None:
    return None if instant is None else to_datetime(instant)


@lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")
