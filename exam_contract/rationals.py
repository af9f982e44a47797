"""Exact rationals as text: ``3/4``, ``-1/2`` or ``2``. Scores never pass through a float."""

from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

_PATTERN = r"^-?[0-9]{1,9}(/[1-9][0-9]{0,8})?$"


def render(value: Fraction) -> str:
    """The lowest-terms text of a rational, without ``/1``."""
    return str(value)


def _lowest_terms(text: str) -> str:
    return render(Fraction(text))


Rational = Annotated[str, StringConstraints(pattern=_PATTERN), AfterValidator(_lowest_terms)]
Decimal = Annotated[
    str, StringConstraints(pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$", max_length=40)
]
"""A decimal number as the author or participant wrote it; compared exactly, as a rational."""


def percent(part: Fraction, whole: Fraction) -> int:
    """Integer percent, rounded half to even (IEEE 754 roundTiesToEven); 0 when ``whole`` is 0."""
    if whole == 0:
        return 0
    return round(part * 100 / whole)
