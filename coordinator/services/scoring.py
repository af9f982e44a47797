"""Results as people read them: pages, figures, exports, the manual queue and its decisions."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import msgspec

from coordinator.core import results as rules
from coordinator.core.vault import Vault
from coordinator.errors import Conflict, InvalidField, NotFound
from coordinator.services import exams as exam_service
from coordinator.services.work import Work
from coordinator.store import results, transfers
from coordinator.store.database import Database
from coordinator.store.deliveries import Delivery
from exam_contract.answers import is_answered
from exam_contract.keys import EssayKey, KeyEntry
from exam_contract.rationals import render

_COLUMNS = (
    "participant_id",
    "identifier",
    "name",
    "status",
    "attempt_id",
    "started_at",
    "ended_at",
    "final_score",
    "score_numerator",
    "score_denominator",
    "answer_id",
    "question_id",
    "answer",
    "submitted_at",
    "revision",
    "points",
    "max_points",
    "scoring",
    "score_check",
)
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


async def histogram(database: Database, delivery_id: int) -> dict[str, Any]:
    """Bins of ten percent, with how many there are and their mean."""
    async with database.read() as db:
        percents = await results.final_percents(db, delivery_id)
    mean = f"{sum(percents) / len(percents):.1f}" if percents else None
    return {"bins": rules.histogram(percents), "count": len(percents), "mean": mean}


async def item_figures(database: Database, delivery_id: int) -> list[dict[str, Any]]:
    """Difficulty and discrimination of every item that was asked."""
    async with database.read() as db:
        orders = await results.attempts_with(db, delivery_id)
        answers = await results.item_points(db, delivery_id)
    attempts = [(attempt, rules.item_order(text)) for attempt, text in orders]
    marked = [
        (attempt, question, points, most, is_answered(rules.stored_answer(answer)))
        for attempt, question, points, most, _, answer in answers
    ]
    return [asdict(figures) for figures in rules.item_statistics(attempts, marked)]


async def export_csv(
    database: Database, delivery_id: int, byte_order_mark: bool
) -> AsyncIterator[bytes]:
    """UTF-8, one line per participant and answered item, safe to open in a spreadsheet."""
    head = (_BOM if byte_order_mark else "") + ",".join(_COLUMNS) + "\r\n"
    yield head.encode()
    async with database.begin() as db:
        async for rows in results.export(db, delivery_id):
            text = io.StringIO()
            writer = csv.writer(text)
            for row in rows:
                writer.writerow([rules.csv_cell(row[column]) for column in _COLUMNS])
            yield text.getvalue().encode()


async def export_json(database: Database, delivery_id: int) -> AsyncIterator[bytes]:
    """One JSON array of the same rows, answers as JSON."""
    yield b"["
    first = True
    async with database.begin() as db:
        async for rows in results.export(db, delivery_id):
            encoded = [msgspec.json.encode(_with_answer(row)) for row in rows]
            yield (b"" if first else b",\n") + b",\n".join(encoded)
            first = False
    yield b"]\n"


async def manual_queue(
    database: Database, vault: Vault, delivery: Delivery, after: int, limit: int, decided: bool
) -> list[dict[str, Any]]:
    """Answers that wait for a scorer with their question and rubric; who answered stays hidden."""
    async with database.read() as db:
        rows = await results.manual_queue(db, delivery.id, after, limit, decided)
        opened = await exam_service.open_version(db, vault, delivery.exam_id, delivery.exam_version)
    keys = {entry.item_id: entry for entry in opened.key.entries}
    return [
        {
            **_with_answer(row),
            "stem": item.stem if (item := opened.exam.item(row["question_id"])) else None,
            "type": item.type if item else None,
            "guidance": _guidance(keys.get(row["question_id"])),
        }
        for row in rows
    ]


async def decide(
    work: Work, delivery: Delivery, scorer_id: int, answer_id: int, points: str, comment: str
) -> dict[str, Any]:
    """Keep a decision and recompute the final score. Earlier decisions stay as history."""
    answer = await results.answer_to_score(work.db, delivery.id, answer_id)
    if answer is None:
        raise NotFound("there is no such answer in this delivery")
    if answer["scoring"] != "manual":
        raise Conflict("this answer is scored by rule; scorers decide only those that wait")
    given, most = Fraction(points), Fraction(answer["max_points"])
    if not 0 <= given <= most:
        raise InvalidField(f"points must be between 0 and {render(most)}")
    decision = await results.add_decision(
        work.db, delivery.id, answer_id, scorer_id, render(given), comment
    )
    attempt = int(answer["attempt_id"])
    denominator = await results.denominator_of(work.db, delivery.id, attempt)
    scores = await results.points_of_attempt(work.db, delivery.id, attempt)
    final = rules.final_score(scores, denominator)
    await results.set_final_score(
        work.db, delivery.id, attempt, final.percent, final.numerator, final.pending
    )
    work.record(
        "manual_score_given",
        f"delivery:{delivery.id}",
        answer_id=answer_id,
        decision=decision,
        points=render(given),
    )
    return {
        "answer_id": answer_id,
        "attempt_id": attempt,
        "points": render(given),
        "final_score": final.percent,
        "score_numerator": final.numerator,
        "score_denominator": denominator,
        "manual_pending": final.pending,
    }


async def receipt(database: Database, delivery_id: int) -> dict[str, Any]:
    """Signed manifest and receipt. Raises NotFound."""
    async with database.read() as db:
        stored = await transfers.get(db, delivery_id)
    if stored is None:
        raise NotFound("nothing was transferred yet")
    return {
        "manifest": stored.manifest.model_dump(),
        "manifest_digest": stored.manifest_digest,
        "receipt": None if stored.receipt is None else stored.receipt.model_dump(),
        "committed_at": stored.committed_at,
        "erased_at": stored.erased_at,
    }


def _with_answer(row: dict[str, Any]) -> dict[str, Any]:
    answer = row["answer"]
    return {**row, "answer": None if answer is None else rules.stored_answer(answer)}


def _guidance(entry: KeyEntry | None) -> str | None:
    match entry:
        case EssayKey(rubric=rubric):
            return rubric or None
        case _ if entry is not None and entry.type == "short_text":
            return "; ".join(entry.accepted) or None
        case _:
            return None
