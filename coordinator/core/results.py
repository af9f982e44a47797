"""Arithmetic over final results: the manifest recomputed, and scores checked again.

Points are exact rationals throughout.
"""

import json
from collections import Counter
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
