"""Figures about final scores and items: distribution, difficulty, discrimination, choices made.

Points are exact rationals on the way in; only statistics that are ratios of roots become floats.
"""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

BIN_PERCENT = 5


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """Percents; None where nobody has a score, or where the exam has no pass mark."""

    count: int
    mean: float | None
    median: float | None
    standard_deviation: float | None
    minimum: int | None
    maximum: int | None
    pass_percent: int | None
    passed: int | None


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """One stored answer; ``chosen`` are the option ids it holds, where the type has options."""

    attempt: int
    question: int
    points: str
    max_points: str
    answered: bool
    waits: bool
    chosen: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ItemFigures:
    """``mean_percent``: mean share of the points over all who were asked; ``discrimination``: the
    correlation of an item's points with the rest of the score (point-biserial when scored 0 or 1),
    None where it is not defined."""

    question_id: int
    presented: int
    answered: int
    mean_percent: int | None
    discrimination: float | None
    manual_pending: int
    choices: dict[str, int]


def score_summary(percents: Sequence[int], pass_percent: int | None) -> ScoreSummary:
    """What a page says above the histogram."""
    passed = None if pass_percent is None else sum(value >= pass_percent for value in percents)
    return ScoreSummary(
        count=len(percents),
        mean=round(statistics.fmean(percents), 1) if percents else None,
        median=round(statistics.median(percents), 1) if percents else None,
        standard_deviation=round(statistics.pstdev(percents), 1) if percents else None,
        minimum=min(percents, default=None),
        maximum=max(percents, default=None),
        pass_percent=pass_percent,
        passed=passed,
    )


def histogram(percents: Iterable[int]) -> list[dict[str, int]]:
    """Bins of final percents; below 0 counts into the first, 100 into the last."""
    counts = Counter(min(max(value, 0), 99) // BIN_PERCENT for value in percents)
    return [
        {"from": start, "to": start + BIN_PERCENT, "count": counts[start // BIN_PERCENT]}
        for start in range(0, 100, BIN_PERCENT)
    ]


def item_figures(
    attempts: Sequence[tuple[int, Sequence[int]]], answers: Iterable[GivenAnswer]
) -> list[ItemFigures]:
    """``attempts``: (id, items in the order shown)."""
    shares: dict[tuple[int, int], float] = {}
    totals: dict[int, float] = defaultdict(float)
    given: dict[int, list[GivenAnswer]] = defaultdict(list)
    for answer in answers:
        earned, whole = float(Fraction(answer.points)), float(Fraction(answer.max_points))
        shares[answer.attempt, answer.question] = earned / whole if whole else 0.0
        totals[answer.attempt] += earned
        given[answer.question].append(answer)
    presented: dict[int, list[int]] = defaultdict(list)
    for attempt, order in attempts:
        for question in order:
            presented[question].append(attempt)
    return [
        _figures(question, presented[question], shares, totals, given[question])
        for question in sorted(presented)
    ]


def chosen_options(answer: object) -> tuple[str, ...]:
    """The option ids of an answer; true statements of a true-false item count as chosen."""
    match answer:
        case [*ids]:
            return tuple(str(option) for option in ids)
        case dict():
            return tuple(str(option) for option, truth in answer.items() if truth is True)
        case str():
            return (answer,)
        case _:
            return ()


def _figures(
    question: int,
    attempts: Sequence[int],
    shares: Mapping[tuple[int, int], float],
    totals: Mapping[int, float],
    given: Sequence[GivenAnswer],
) -> ItemFigures:
    own = [shares.get((attempt, question), 0.0) for attempt in attempts]
    whole = {answer.attempt: float(Fraction(answer.points)) for answer in given}
    rest = [totals.get(attempt, 0.0) - whole.get(attempt, 0.0) for attempt in attempts]
    return ItemFigures(
        question_id=question,
        presented=len(attempts),
        answered=sum(answer.answered for answer in given),
        mean_percent=round(100 * statistics.fmean(own)) if own else None,
        discrimination=_correlation(own, rest),
        manual_pending=sum(answer.waits for answer in given),
        choices=dict(Counter(option for answer in given for option in answer.chosen)),
    )


def _correlation(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    if len(xs) < 2:
        return None
    mean_x, mean_y = statistics.fmean(xs), statistics.fmean(ys)
    variance_x = sum((x - mean_x) ** 2 for x in xs)
    variance_y = sum((y - mean_y) ** 2 for y in ys)
    if variance_x <= 1e-12 or variance_y <= 1e-12:
        return None
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return round(covariance / math.sqrt(variance_x * variance_y), 3)
