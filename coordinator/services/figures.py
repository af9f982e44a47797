"""What the results page says of a delivery: the distribution of scores, and each item's figures."""

from dataclasses import asdict
from typing import Any

from coordinator.core import figures
from coordinator.core import results as rules
from coordinator.core.figures import GivenAnswer, ItemFigures
from coordinator.core.vault import Vault
from coordinator.services import exams as exam_service
from coordinator.store import results
from coordinator.store.database import Database
from coordinator.store.deliveries import Delivery
from exam_contract.answers import is_answered
from exam_contract.content import Exam

_WITH_OPTIONS = frozenset({"single_best", "multiple_true_false", "pick_n"})


async def scores(database: Database, vault: Vault, delivery: Delivery) -> dict[str, Any]:
    """Summary and histogram of the final scores in force."""
    async with database.read() as db:
        percents = await results.final_percents(db, delivery.id)
        pending, _ = await results.manual_totals(db, delivery.id)
        exam = (
            await exam_service.open_version(db, vault, delivery.exam_id, delivery.exam_version)
        ).exam
    summary = figures.score_summary(percents, exam.scoring.pass_percent)
    return {
        **asdict(summary),
        "manual_pending": pending,
        "bins": figures.histogram(percents),
    }


async def items(database: Database, vault: Vault, delivery: Delivery) -> list[dict[str, Any]]:
    """Every item that was presented, in the order of the exam."""
    async with database.read() as db:
        orders = await results.attempts_with(db, delivery.id)
        answers = await results.item_points(db, delivery.id)
        exam = (
            await exam_service.open_version(db, vault, delivery.exam_id, delivery.exam_version)
        ).exam
    types: dict[int, str] = {item.id: item.type for item in exam.items}
    found = figures.item_figures(
        [(attempt, rules.item_order(text)) for attempt, text in orders],
        [_given(row, types) for row in answers],
    )
    by_id = {item.question_id: item for item in found}
    return [
        _described(exam, section.id, number, by_id[item_id])
        for number, (section, item_id) in enumerate(
            ((section, item_id) for section in exam.sections for item_id in section.items), start=1
        )
        if item_id in by_id
    ]


def _given(row: tuple[int, int, str, str, str, str], types: dict[int, str]) -> GivenAnswer:
    attempt, question, points, most, scoring, text = row
    answer = rules.stored_answer(text)
    with_options = types.get(question) in _WITH_OPTIONS
    return GivenAnswer(
        attempt=attempt,
        question=question,
        points=points,
        max_points=most,
        answered=is_answered(answer),
        waits=scoring == "manual",
        chosen=figures.chosen_options(answer) if with_options else (),
    )


def _described(exam: Exam, section_id: str, number: int, item: ItemFigures) -> dict[str, Any]:
    content = exam.item(item.question_id)
    return {
        **asdict(item),
        "number": number,
        "section_id": section_id,
        "type": None if content is None else content.type,
        "stem": None if content is None else content.stem,
    }
