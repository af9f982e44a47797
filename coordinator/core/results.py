"""Arithmetic over final results: the manifest recomputed, scores checked again, figures of items.

Points are exact rationals throughout; only statistics that are ratios of roots become floats.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from coordinator.core.canonical import merkle_root
from exam_contract.answers import AnswerInvalid, normal_answer
from exam_contract.canonical import canonical_bytes
from exam_contract.content import Exam
from exam_contract.keys import AnswerKey
from exam_contract.rationals import percent, render
from exam_contract.results import TABLES, Manifest, ParticipantCount, Row, TableSummary
from exam_contract.scoring import UnsupportedItemType, score_answer


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where rows and manifest disagree."""

    table: str
    message: str


def summarise(tables: Mapping[str, Sequence[Row]]) -> dict[str, TableSummary]:
    """Count and Merkle root of every table, from rows in key order."""
    return {
        table: TableSummary(count=len(tables[table]), merkle_root=merkle_root(tables[table]))
        for table in TABLES
    }


def compare(manifest: Manifest, tables: Mapping[str, Sequence[Row]]) -> Mismatch | None:
    """The first disagreement between a manifest and the rows; None when they agree."""
    found = summarise(tables)
    stated = {str(table): summary for table, summary in manifest.tables.items()}
    for table in TABLES:
        said = stated.get(table)
        if said is None:
            return Mismatch(table, f"the manifest says nothing of {table}")
        if said.count != found[table].count:
            message = f"{table}: the manifest says {said.count} rows, {found[table].count} came"
            return Mismatch(table, message)
        if said.merkle_root != found[table].merkle_root:
            return Mismatch(table, f"{table}: the rows differ from those the manifest names")
    if dict(manifest.participants) != participant_counts(tables):
        return Mismatch("participants", "the counts of a participant differ from the rows")
    audit = tables["client_audit"]
    if manifest.audit_head != (audit[-1]["hash"] if audit else ""):
        return Mismatch("client_audit", "audit_head is not the hash of the last row")
    return None


def participant_counts(tables: Mapping[str, Sequence[Row]]) -> dict[str, ParticipantCount]:
    """What each participant left: answers, revisions and the final score of the attempt."""
    owner = {row["id"]: row["participant_id"] for row in tables["attempts"]}
    scores = {row["participant_id"]: row["final_score"] for row in tables["attempts"]}
    answers = Counter(owner.get(row["attempt_id"]) for row in tables["answers"])
    revisions = Counter(owner.get(row["attempt_id"]) for row in tables["answer_revisions"])
    return {
        str(row["id"]): ParticipantCount(
            answers=answers[row["id"]],
            revisions=revisions[row["id"]],
            final_score=scores.get(row["id"]),
        )
        for row in tables["participants"]
    }


def check_scores(exam: Exam, key: AnswerKey, answers: Iterable[Row]) -> dict[int, str]:
    """Points computed again from raw answers: answer id to ok, mismatch or manual."""
    items = {item.id: item for item in exam.items}
    entries = {entry.item_id: entry for entry in key.entries}
    checks = {}
    for row in answers:
        item, entry = items.get(row["question_id"]), entries.get(row["question_id"])
        if item is None or entry is None:
            checks[row["id"]] = "mismatch"
            continue
        try:
            answer = normal_answer(item, json.loads(row["answer"]))
            score = score_answer(item, entry, answer)
        except (AnswerInvalid, UnsupportedItemType, ValueError):
            checks[row["id"]] = "mismatch"
            continue
        if score.manual:
            checks[row["id"]] = "manual" if row["scoring"] == "manual" else "mismatch"
            continue
        same = (render(score.points), render(score.max_points)) == (
            row["points"],
            row["max_points"],
        )
        checks[row["id"]] = "ok" if same else "mismatch"
    return checks


@dataclass(frozen=True, slots=True)
class FinalScore:
    percent: int
    numerator: str
    pending: int


def final_score(points: Iterable[tuple[str, bool]], denominator: str) -> FinalScore:
    """The score in force from (points, waits for a scorer) of every answer of an attempt."""
    rows = list(points)
    total = sum((Fraction(text) for text, _ in rows), Fraction(0))
    return FinalScore(
        percent=percent(total, Fraction(denominator)),
        numerator=render(total),
        pending=sum(pending for _, pending in rows),
    )


def histogram(percents: Iterable[int], width: int = 10) -> list[dict[str, int]]:
    """Bins of final percents; below 0 counts into the first, 100 into the last."""
    counts = Counter(min(max(value, 0), 99) // width for value in percents)
    return [
        {
            "from": start,
            "to": start + width if start + width < 100 else 100,
            "count": counts[start // width],
        }
        for start in range(0, 100, width)
    ]


@dataclass(frozen=True, slots=True)
class ItemStatistics:
    """``p_value``: mean share of the points over all who were asked; ``discrimination``: the
    correlation of an item's points with the rest of the score (point-biserial when scored 0 or 1).
    Both are decimal strings, None where they are not defined."""

    question_id: int
    asked: int
    answered: int
    p_value: str | None
    discrimination: str | None


def item_statistics(
    attempts: Iterable[tuple[int, Sequence[int]]],
    answers: Iterable[tuple[int, int, str, str, bool]],
) -> list[ItemStatistics]:
    """``attempts``: (id, items asked); ``answers``: (attempt, question, points, max, answered)."""
    orders = list(attempts)
    shares: dict[tuple[int, int], float] = {}
    totals: dict[int, float] = defaultdict(float)
    answered: Counter[int] = Counter()
    for attempt, question, points, most, is_answered in answers:
        earned, whole = float(Fraction(points)), float(Fraction(most))
        shares[attempt, question] = earned / whole if whole else 0.0
        totals[attempt] += earned
        answered[question] += is_answered
    asked: dict[int, list[int]] = defaultdict(list)
    for attempt, order in orders:
        for question in order:
            asked[question].append(attempt)
    return [
        _statistics(question, asked[question], shares, totals, answered[question])
        for question in sorted(asked)
    ]


def item_order(text: str) -> list[int]:
    """The item ids of an attempt's stored order."""
    return [int(value) for value in json.loads(text)]


def stored_answer(text: str) -> object:
    """An answer as JSON data."""
    return json.loads(text)


def csv_cell(value: object) -> str:
    """Text that no spreadsheet takes for a formula: a quote goes before = + - @ tab and CR."""
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    text = value if isinstance(value, str) else canonical_bytes(value).decode()
    return "'" + text if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _statistics(
    question: int,
    attempts: Sequence[int],
    shares: Mapping[tuple[int, int], float],
    totals: Mapping[int, float],
    answered: int,
) -> ItemStatistics:
    own = [shares.get((attempt, question), 0.0) for attempt in attempts]
    rest = [totals.get(attempt, 0.0) - mine for attempt, mine in zip(attempts, own, strict=True)]
    mean = sum(own) / len(own) if own else None
    return ItemStatistics(
        question_id=question,
        asked=len(attempts),
        answered=answered,
        p_value=None if mean is None else f"{mean:.3f}",
        discrimination=_correlation(own, rest),
    )


def _correlation(xs: Sequence[float], ys: Sequence[float]) -> str | None:
    count = len(xs)
    if count < 2:
        return None
    mean_x, mean_y = sum(xs) / count, sum(ys) / count
    variance_x = sum((x - mean_x) ** 2 for x in xs)
    variance_y = sum((y - mean_y) ** 2 for y in ys)
    if variance_x <= 1e-12 or variance_y <= 1e-12:
        return None
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return f"{covariance / math.sqrt(variance_x * variance_y):.3f}"
