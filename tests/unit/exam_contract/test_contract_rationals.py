"""Rationals are exact, in lowest terms, and rounded half to even only for people."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from exam_contract import rationals

RATIONAL: TypeAdapter[str] = TypeAdapter(rationals.Rational)
DECIMAL: TypeAdapter[str] = TypeAdapter(rationals.Decimal)


@pytest.mark.parametrize(
    ("written", "kept"),
    [("1", "1"), ("2/4", "1/2"), ("-6/3", "-2"), ("007", "7"), ("-0", "0"), ("0/5", "0")],
)
def test_a_rational_is_kept_in_lowest_terms(written: str, kept: str) -> None:
    assert RATIONAL.validate_python(written) == kept


@pytest.mark.parametrize("wrong", ["", "1/0", "1.5", "1/-2", "+1", " 1", "1\n", "1" * 10, "½", 1])
def test_what_is_no_rational_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        RATIONAL.validate_python(wrong)


@pytest.mark.parametrize("right", ["7.35", "-0.5", "0", "123456789012345.123456789012345"])
def test_a_decimal_is_kept_as_written(right: str) -> None:
    assert DECIMAL.validate_python(right) == right


@pytest.mark.parametrize("wrong", ["", ".5", "5.", "1e3", "1,5", "+1", "NaN", "1" * 16, "1\n", "٣"])
def test_what_is_no_decimal_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        DECIMAL.validate_python(wrong)


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        ("12", "15", 80), ("1", "3", 33), ("2", "3", 67),
        ("1", "200", 0), ("3", "200", 2), ("5", "200", 2), ("7", "200", 4),  # halves go to even
        ("-1", "3", -33), ("-1", "200", 0), ("-3", "200", -2), ("0", "0", 0), ("1/3", "1/3", 100),
    ],
)  # fmt: skip
def test_percents_round_half_to_even(part: str, whole: str, expected: int) -> None:
    assert rationals.percent(Fraction(part), Fraction(whole)) == expected


@given(st.fractions(max_denominator=999), st.fractions(min_value="1/999", max_denominator=999))
def test_a_percent_is_never_more_than_half_a_point_off(part: Fraction, whole: Fraction) -> None:
    exact = part * 100 / whole

    assert abs(rationals.percent(part, whole) - exact) <= Fraction(1, 2)


@given(st.fractions(min_value=-999, max_value=999, max_denominator=999))
def test_a_rendered_rational_reads_back(value: Fraction) -> None:
    assert Fraction(RATIONAL.validate_python(rationals.render(value))) == value
