"""Small exams for tests: one item of a type with its key, or a whole document around items."""

from typing import Any

from exam_contract.content import Item
from exam_contract.keys import ExamDocument, KeyEntry

Json = dict[str, Any]


def options(ids: str) -> list[Json]:
    """Options ``A``, ``B``, ... of those letters."""
    return [{"id": letter, "text": f"option {letter}"} for letter in ids]


def single_best(item_id: int = 1, correct: str = "A", **members: Any) -> tuple[Json, Json]:
    """An item with three options, and its key."""
    item = {"id": item_id, "type": "single_best", "stem": "Which?", "options": options("ABC")}
    return item | members, {"item_id": item_id, "type": "single_best", "correct": correct}


def document(*pairs: tuple[Json, Json], **members: Any) -> Json:
    """An exam document as JSON data, all items in one section."""
    items = [item for item, _ in pairs]
    exam: Json = {
        "id": "sample",
        "version": "1",
        "title": "Sample",
        "sections": [{"id": "main", "title": "Main", "items": [item["id"] for item in items]}],
        "items": items,
    }
    return {"exam": exam | members, "key": [key for _, key in pairs]}


def bound(item: Json, key: Json) -> tuple[Item, KeyEntry]:
    """One item and its key entry as models."""
    frame = {"id": 1, "stem": "A question?"}
    read = ExamDocument.model_validate(document((frame | item, {"item_id": 1} | key)))
    return read.exam.items[0], read.key[0]
