"""Figures that decide whether a promise is kept: percentiles, and what counts as met."""

import pytest

from bench.report import Measure, percentile, spoken

HUNDRED = [float(value) for value in range(100, 0, -1)]


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        (HUNDRED, 50, 50.0),
        (HUNDRED, 99, 99.0),
        (HUNDRED, 100, 100.0),
        ([3.0, 1.0, 2.0], 99, 3.0),
        ([3.0, 1.0, 2.0], 1, 1.0),
        ([7.0], 50, 7.0),
    ],
)
def test_percentiles_are_of_the_nearest_rank(
    values: list[float], percent: float, expected: float
) -> None:
    assert percentile(values, percent) == expected


@pytest.mark.parametrize(
    ("value", "target", "better", "met"),
    [
        (9.9, 10.0, "less", True),
        (10.1, 10.0, "less", False),
        (8001.0, 8000.0, "more", True),
        (7999.0, 8000.0, "more", False),
        (1.0, None, "less", None),
    ],
)
def test_a_promise_is_met_or_missed_or_was_not_made(
    value: float, target: float | None, better: str, met: bool | None
) -> None:
    measure = Measure("part", "what", value, "ms", target, "more" if better == "more" else "less")

    assert measure.met is met
    assert spoken(measure)["met"] is met
