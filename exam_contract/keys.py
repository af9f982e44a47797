"""The answer key: which answers earn which points. Never sent to a browser.

A key is bound to its exam version by the content's digest, so that scores can always be computed
again from raw answers, and a key for other content is refused instead of silently used.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from exam_contract.base import Contract, Sha256, Slug
from exam_contract.canonical import digest
from exam_contract.content import Exam, Item, OptionId, ShortText
from exam_contract.rationals import Decimal, Rational
from exam_contract.texts import normal_text


class _Key(Contract):
    item_id: int
    item_version: int = 1


class SingleBestKey(_Key):
    """``penalty`` (default 0) is taken for a wrong choice; an unanswered item is never wrong."""

    type: Literal["single_best"]
    correct: OptionId
    rule: Literal["dichotomous", "negative_marking"] = "dichotomous"
    penalty: Rational = "0"

    @model_validator(mode="after")
    def _penalty_takes(self) -> Self:
        if self.penalty.startswith("-"):
            raise ValueError(f"item {self.item_id}: write the penalty as the points to take, not -")
        return self


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

    @model_validator(mode="after")
    def _tolerance_allows(self) -> Self:
        if Fraction(self.tolerance) < 0:
            raise ValueError(f"item {self.item_id}: tolerance must not be negative")
        return self


class ShortTextKey(_Key):
    """Right when the normalised answer is in ``accepted``; else a scorer decides or it is wrong."""

    type: Literal["short_text"]
    accepted: list[ShortText] = Field(default=[], max_length=200)
    otherwise: Literal["manual", "wrong"] = "manual"
    rule: Literal["dichotomous"] = "dichotomous"

    @model_validator(mode="after")
    def _can_be_right(self) -> Self:
        if not self.accepted and self.otherwise == "wrong":
            raise ValueError(f"item {self.item_id}: no text is accepted and nobody decides")
        if any(not normal_text(text) for text in self.accepted):
            raise ValueError(f"item {self.item_id}: an accepted text needs more than punctuation")
        return self


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
    """``weights``: option id to the share of the points it earns, 0..1."""

    type: Literal["script_concordance"]
    weights: dict[OptionId, Rational] = Field(min_length=2, max_length=50)
    rule: Literal["weights"] = "weights"

    @model_validator(mode="after")
    def _weights_are_shares(self) -> Self:
        if any(not 0 <= Fraction(weight) <= 1 for weight in self.weights.values()):
            raise ValueError(f"item {self.item_id}: weights must be between 0 and 1")
        return self


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
    _refuse_repeated(item.id, _listed_ids(entry))
    _check_extent(item, entry, named, known)


def _check_extent(item: Item, entry: KeyEntry, named: set[str], known: set[str]) -> None:
    if entry.type in ("multiple_true_false", "script_concordance") and named != known:
        raise KeyMismatch(f"item {item.id}: the key must judge every option or statement")
    if entry.type == "ordering" and named != known:
        raise KeyMismatch(f"item {item.id}: the key must put every option in order")
    if entry.type == "pick_n" and item.type == "pick_n" and len(entry.correct) != item.pick:
        raise KeyMismatch(f"item {item.id}: the key must name exactly {item.pick} distinct options")
    if entry.type == "extended_matching" and item.type == "extended_matching":
        _check_matches(item.id, {p.id for p in item.prompts}, {o.id for o in item.options}, entry)


def _check_matches(
    item_id: int, prompts: set[str], options: set[str], entry: ExtendedMatchingKey
) -> None:
    if set(entry.matches) != prompts:
        raise KeyMismatch(f"item {item_id}: the key must match every prompt, and nothing else")
    if not set(entry.matches.values()) <= options:
        raise KeyMismatch(f"item {item_id}: the key must match prompts to options")


def _refuse_repeated(item_id: int, listed: Sequence[str]) -> None:
    if len(set(listed)) != len(listed):
        raise KeyMismatch(f"item {item_id}: the key names an option twice; name it once")


def _listed_ids(entry: KeyEntry) -> list[str]:
    match entry.type:
        case "pick_n" | "hotspot" | "key_feature":
            return entry.correct
        case "ordering":
            return entry.order
        case _:
            return []


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
