"""Results as people use them: exports, the manual queue and its decisions, the receipt."""

import csv
import io
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any

import msgspec

from coordinator.core import results as rules
from coordinator.core.vault import Vault
from coordinator.errors import Conflict, InvalidField, NotFound
from coordinator.services import exams as exam_service
from coordinator.services.keyring import Keyring
from coordinator.services.work import Work
from coordinator.store import events, results, transfers
from coordinator.store.database import Database
from coordinator.store.deliveries import Delivery
from exam_contract.content import Exam
from exam_contract.keys import EssayKey, KeyEntry, ShortTextKey
from exam_contract.rationals import render
from exam_contract.trust import PublicKey

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
) -> dict[str, Any]:
    """Answers that wait for a scorer with their question and rubric; who answered stays hidden."""
    async with database.read() as db:
        rows = await results.manual_queue(db, delivery.id, after, limit, decided)
        waiting, done = await results.manual_totals(db, delivery.id)
        opened = await exam_service.open_version(db, vault, delivery.exam_id, delivery.exam_version)
    keys = {entry.item_id: entry for entry in opened.key.entries}
    items = [_queued(row, opened.exam, keys.get(row["question_id"])) for row in rows]
    following = items[-1]["answer_id"] if len(items) == limit else None
    return {"items": items, "next": following, "pending": waiting, "decided": done}


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
    waiting, done = await results.manual_totals(work.db, delivery.id)
    return {
        "answer_id": answer_id,
        "pending": waiting,
        "decided": done,
        "attempt_id": attempt,
        "points": render(given),
        "final_score": final.percent,
        "score_numerator": final.numerator,
        "score_denominator": denominator,
        "manual_pending": final.pending,
    }


async def receipt(database: Database, keyring: Keyring, delivery_id: int) -> dict[str, Any]:
    """Signed manifest and receipt with the keys that check them. Raises NotFound."""
    async with database.read() as db:
        stored = await transfers.get(db, delivery_id)
        if stored is None:
            raise NotFound("nothing was transferred yet")
        client = await events.client_key(db, delivery_id, stored.manifest.kid)
    signed = stored.receipt
    return {
        "manifest": stored.manifest.model_dump(),
        "manifest_digest": stored.manifest_digest,
        "manifest_key": None if client is None else _public(stored.manifest.kid, client[0]),
        "receipt": None if signed is None else signed.model_dump(),
        "receipt_key": None if signed is None else _coordinators_key(keyring, signed.kid),
        "committed_at": stored.committed_at,
        "erased_at": stored.erased_at,
    }


def _public(kid: str, x: str) -> dict[str, Any]:
    return PublicKey(kid=kid, x=x).model_dump()


def _coordinators_key(keyring: Keyring, kid: str) -> dict[str, Any]:
    return keyring.trust(kid).keys[0].model_dump()


def _with_answer(row: dict[str, Any]) -> dict[str, Any]:
    answer = row["answer"]
    return {**row, "answer": None if answer is None else rules.stored_answer(answer)}


def _queued(row: dict[str, Any], exam: Exam, entry: KeyEntry | None) -> dict[str, Any]:
    item = exam.item(row["question_id"])
    shown = [] if item is None else [s for s in exam.stimuli if s.id in item.stimuli]
    return {
        **_with_answer(row),
        "stem": None if item is None else item.stem,
        "type": None if item is None else item.type,
        "stimuli": [{"title": stimulus.title, "text": stimulus.text} for stimulus in shown],
        "rubric": (entry.rubric or None) if isinstance(entry, EssayKey) else None,
        "accepted": entry.accepted if isinstance(entry, ShortTextKey) else [],
    }
