"""The answer key: which answers earn which points. Never sent to a browser.

A key is bound to its exam version by the content's digest, so that scores can always be computed
again from raw answers, and a key for other content is refused instead of silently used.
"""

from typing import Annotated, Literal

from pydantic import Field

from exam_contract.base import Contract, Sha256, Slug
from exam_contract.canonical import digest
from exam_contract.content import Exam, Item, OptionId, ShortText
from exam_contract.rationals import Decimal, Rational


class _Key(Contract):
    item_id: int
    item_version: int = 1


class SingleBestKey(_Key):
    """``penalty`` (default 0) is taken for a wrong choice; an unanswered item is never wrong."""

    type: Literal["single_best"]
    correct: OptionId
    rule: Literal["dichotomous", "negative_marking"] = "dichotomous"
    penalty: Rational = "0"


class MultipleTrueFalseKey(_Key):
    """``truths``: every option id to its truth."""

    type: Literal["multiple_true_false"]
    truths: dict[OptionId, bool] = Field(min_length=2, max_length=50)
    rule: Literal["dichotomous", "ps50", "ps1n", "plus_minus"] = "dichotomous"


class PickNKey(_Key):
    """``correct``: the options to be picked, exactly ``pick`` of them."""

    type: Literal["pick_n"]
    correct: list[OptionId] = Field(min_length=1, max_length=50)
    rule: Literal["dichotomous", "ps50", "ps1n"] = "dichotomous"


class ExtendedMatchingKey(_Key):
    type: Literal["extended_matching"]
    matches: dict[OptionId, OptionId] = Field(min_length=1, max_length=50)
    rule: Literal["dichotomous", "ps1n"] = "ps1n"


class NumericKey(_Key):
    """Right when ``|answer - value| <= tolerance``, compared exactly, in the item's unit."""

    type: Literal["numeric"]
    value: Decimal
    tolerance: Decimal = "0"
    rule: Literal["dichotomous"] = "dichotomous"


class ShortTextKey(_Key):
    """Right when the normalised answer is in ``accepted``; else a scorer decides or it is wrong."""

    type: Literal["short_text"]
    accepted: list[ShortText] = Field(default=[], max_length=200)
    otherwise: Literal["manual", "wrong"] = "manual"
    rule: Literal["dichotomous"] = "dichotomous"


class EssayKey(_Key):
    type: Literal["essay"]
    rubric: str = Field(default="", max_length=20_000)
    rule: Literal["manual"] = "manual"


class OrderingKey(_Key):
    type: Literal["ordering"]
    order: list[OptionId] = Field(min_length=2, max_length=50)
    rule: Literal["dichotomous"] = "dichotomous"


class HotspotKey(_Key):
    type: Literal["hotspot"]
    correct: list[OptionId] = Field(min_length=1, max_length=50)
    rule: Literal["dichotomous"] = "dichotomous"


class KeyFeatureKey(_Key):
    type: Literal["key_feature"]
    correct: list[OptionId] = Field(min_length=1, max_length=50)
    rule: Literal["dichotomous", "ps1n"] = "ps1n"


class ScriptConcordanceKey(_Key):
    """``weights``: option id to the share of the panel, 0..1."""

    type: Literal["script_concordance"]
    weights: dict[OptionId, Rational] = Field(min_length=2, max_length=50)
    rule: Literal["weights"] = "weights"


KeyEntry = Annotated[
    SingleBestKey
    | MultipleTrueFalseKey
    | PickNKey
    | ExtendedMatchingKey
    | NumericKey
    | ShortTextKey
    | EssayKey
    | OrderingKey
    | HotspotKey
    | KeyFeatureKey
    | ScriptConcordanceKey,
    Field(discriminator="type"),
]


class AnswerKey(Contract):
    """One entry per item of one exam version."""

    schema_version: Literal[1] = 1
    exam_id: Slug
    exam_version: str
    content_digest: Sha256
    entries: list[KeyEntry] = Field(min_length=1, max_length=2000)


class ExamDocument(Contract):
    """What an author writes and ``examctl exam import`` reads: content and key in one file."""

    exam: Exam
    key: list[KeyEntry] = Field(min_length=1, max_length=2000)


class KeyMismatch(ValueError):
    """The key does not fit the content; the message names the item and the mend."""


def bind_key(document: ExamDocument) -> AnswerKey:
    """The key of a document, bound to its content's digest. Raises KeyMismatch."""
    content = document.exam
    key = AnswerKey(
        exam_id=content.id,
        exam_version=content.version,
        content_digest=content_digest(content),
        entries=document.key,
    )
    check_key(content, key)
    return key


def content_digest(exam: Exam) -> str:
    """Digest of the canonical JSON of the content, defaults written out."""
    return digest(exam.model_dump(mode="json"))


def check_key(exam: Exam, key: AnswerKey) -> None:
    """Every item has exactly one entry that fits it, and the digest is the content's own."""
    if key.content_digest != content_digest(exam):
        raise KeyMismatch("the key belongs to other content: its content_digest differs")
    entries: dict[int, KeyEntry] = {}
    for entry in key.entries:
        if entry.item_id in entries:
            raise KeyMismatch(f"item {entry.item_id}: two keys; keep one")
        entries[entry.item_id] = entry
    for item in exam.items:
        if item.id not in entries:
            raise KeyMismatch(f"item {item.id}: no key; every item needs one")
        _check_entry(item, entries.pop(item.id))
    if entries:
        raise KeyMismatch(f"item {next(iter(entries))}: a key for an item that does not exist")


def _check_entry(item: Item, entry: KeyEntry) -> None:
    if entry.type != item.type:
        raise KeyMismatch(f"item {item.id}: it is {item.type}, its key is {entry.type}")
    if entry.item_version != item.version:
        raise KeyMismatch(f"item {item.id}: its version is {item.version}, the key's is another")
    named, known = _named_ids(entry), _known_ids(item)
    missing = sorted(named - known)
    if missing:
        raise KeyMismatch(f"item {item.id}: the key names option {missing[0]!r}, which is missing")
    if entry.type == "multiple_true_false" and named != known:
        raise KeyMismatch(f"item {item.id}: the key must judge every statement")
    if entry.type == "pick_n" and item.type == "pick_n" and len(set(entry.correct)) != item.pick:
        raise KeyMismatch(f"item {item.id}: the key must name exactly {item.pick} distinct options")


def _known_ids(item: Item) -> set[str]:
    if item.type == "hotspot":
        return {shape.id for shape in item.shapes}
    if item.type == "numeric" or item.type == "short_text" or item.type == "essay":
        return set()
    known = {option.id for option in item.options}
    if item.type == "extended_matching":
        return known | {prompt.id for prompt in item.prompts}
    return known


def _named_ids(entry: KeyEntry) -> set[str]:
    match entry.type:
        case "single_best":
            return {entry.correct}
        case "multiple_true_false":
            return set(entry.truths)
        case "pick_n" | "hotspot" | "key_feature":
            return set(entry.correct)
        case "extended_matching":
            return set(entry.matches) | set(entry.matches.values())
        case "ordering":
            return set(entry.order)
        case "script_concordance":
            return set(entry.weights)
        case _:
            return set()
