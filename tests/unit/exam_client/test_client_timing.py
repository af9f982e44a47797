"""The deadline: a table of everything that can move it."""

from fractions import Fraction

import pytest

from exam_client.core import instants, timing
from exam_client.core.instants import SECOND
from exam_client.core.timing import Allowance, Terms
from exam_contract.base import rfc3339

TERMS = Terms(opens_at=0, closes_at=1000 * SECOND, grace_seconds=30, limit_seconds=600)


@pytest.mark.parametrize(
    ("started", "allowance", "expected"),
    [
        (0, Allowance(), 600),
        (100, Allowance(multiplier=Fraction(5, 4)), 850),
        (100, Allowance(extra=120), 820),
        (700, Allowance(), 1000),  # capped at the close
        (0, Allowance(multiplier=Fraction(3)), 1000),  # an accommodation does not move the cap
        (700, Allowance(granted=60), 1060),  # a grant does
        (700, Allowance(paused=30), 1030),
        (700, Allowance(credited=15), 1015),
        (700, Allowance(granted=60, paused=30, credited=15), 1105),
        (0, Allowance(multiplier=Fraction(1, 3)), 200),
    ],
)
def test_the_deadline_follows_from_start_limit_and_allowance(
    started: int, allowance: Allowance, expected: int
) -> None:
    assert timing.deadline(started * SECOND, TERMS, allowance) == expected * SECOND


@pytest.mark.parametrize(
    ("due", "now", "left"), [(10, 0, 10), (10, 9.5, 1), (10, 10, 0), (10, 99, 0), (10, 9.000001, 1)]
)
def test_seconds_left_are_rounded_up_and_never_negative(due: int, now: float, left: int) -> None:
    assert timing.seconds_left(due * SECOND, int(now * SECOND)) == left


@pytest.mark.parametrize(
    ("micros", "seconds"), [(-5, 0), (0, 0), (1, 1), (SECOND, 1), (1500001, 2)]
)
def test_gaps_are_rounded_up_in_the_participants_favour(micros: int, seconds: int) -> None:
    assert timing.whole_seconds(micros) == seconds


@pytest.mark.parametrize("instant", [0, 1, 1_768_467_600_123_456, 253_402_300_799_999_999])
def test_instants_are_written_as_the_contract_writes_them(instant: int) -> None:
    assert instants.text(instant) == rfc3339(instants.to_datetime(instant))
    assert instants.parse(instants.text(instant)) == instant
