"""Exam content as participants may see it: sections, stimuli and items of every type.

Nothing in these models says which answer is right: keys are a document of their own (``keys``), so
content can reach a browser and keys cannot. Options have stable ids, never positions.
"""

import base64
import binascii
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from exam_contract.base import Clean, Contract, Sha256, Slug
from exam_contract.canonical import digest_bytes
from exam_contract.rationals import Rational

OptionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000, pattern=r"\S"), Clean]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"\S"), Clean]
Seconds = Annotated[int, Field(ge=1, le=7 * 86_400)]

DELIVERED_TYPES = frozenset(
    {"single_best", "multiple_true_false", "pick_n", "numeric", "short_text", "essay"}
)
"""Types that can be sat end to end; the others are modelled and refused by name at import."""


class Option(Contract):
    """One choice; ``id`` is what answers and keys refer to, whatever order it is shown in."""

    id: OptionId
    text: Text


class Tags(Contract):
    """What blueprints and statistics group by; ``pilot`` items are shown but never scored."""

    blueprint: str | None = None
    discipline: str | None = None
    anchor: bool = False
    pilot: bool = False


class _Item(Contract):
    id: int = Field(ge=1, le=2**31 - 1)
    version: int = Field(default=1, ge=1)
    stem: Text
    stimuli: list[Slug] = Field(default=[], max_length=10)
    max_points: Rational = "1"
    tags: Tags = Tags()

    @model_validator(mode="after")
    def _points_are_positive(self) -> Self:
        if self.max_points.startswith("-") or self.max_points == "0":
            raise ValueError(f"item {self.id}: max_points must be greater than 0")
        return self


class _Choices(_Item):
    options: list[Option] = Field(min_length=2, max_length=50)
    shuffle_options: bool = False
    pinned_options: list[OptionId] = Field(default=[], max_length=50)

    @model_validator(mode="after")
    def _options_are_distinct(self) -> Self:
        ids = [option.id for option in self.options]
        _refuse_duplicates(ids, f"item {self.id}: option")
        _refuse_unknown(self.pinned_options, ids, f"item {self.id}: pinned option")
        return self


class SingleBest(_Choices):
    """One option is best. Answer: an option id."""

    type: Literal["single_best"]


class MultipleTrueFalse(_Choices):
    """Each statement is judged. Answer: object of option id to true or false (partial allowed)."""

    type: Literal["multiple_true_false"]


class PickN(_Choices):
    """Exactly ``pick`` options are asked for. Answer: list of at most ``pick`` option ids."""

    type: Literal["pick_n"]
    pick: int = Field(ge=1, le=50)

    @model_validator(mode="after")
    def _enough_options(self) -> Self:
        if self.pick >= len(self.options):
            raise ValueError(f"item {self.id}: pick must be less than the number of options")
        return self


class ExtendedMatching(_Choices):
    """Prompts share one option list. Answer: object of prompt id to option id."""

    type: Literal["extended_matching"]
    prompts: list[Option] = Field(min_length=1, max_length=50)


class Numeric(_Item):
    """A number. Answer: a decimal as a string, such as ``"7.35"``."""

    type: Literal["numeric"]
    unit: ShortText | None = None


class ShortTextItem(_Item):
    """A few words. Answer: a string; unmatched answers wait for a scorer where the key says so."""

    type: Literal["short_text"]
    max_length: int = Field(default=200, ge=1, le=500)


class Essay(_Item):
    """Free text, scored by people. Answer: a string."""

    type: Literal["essay"]
    max_length: int = Field(default=10_000, ge=1, le=50_000)


class Ordering(_Choices):
    """Options are put in order. Answer: list of all option ids."""

    type: Literal["ordering"]


class Shape(Contract):
    """A region of an image in per-mille of its width and height, with a name for the keyboard."""

    id: OptionId
    label: ShortText
    kind: Literal["rect", "circle", "poly"]
    points: list[int] = Field(min_length=3, max_length=200)


class Hotspot(_Item):
    """Regions of an image. Answer: list of shape ids; ``label`` is the keyboard alternative."""

    type: Literal["hotspot"]
    image: Slug
    shapes: list[Shape] = Field(min_length=1, max_length=50)
    pick: int = Field(default=1, ge=1, le=50)


class KeyFeature(_Choices):
    """Decisive steps of a case. Answer: list of at most ``max_choices`` option ids."""

    type: Literal["key_feature"]
    max_choices: int = Field(ge=1, le=50)


class ScriptConcordance(_Choices):
    """Effect of new information on a hypothesis. Answer: an option id, credited by a panel."""

    type: Literal["script_concordance"]
    hypothesis: ShortText
    new_information: ShortText


Item = Annotated[
    SingleBest
    | MultipleTrueFalse
    | PickN
    | ExtendedMatching
    | Numeric
    | ShortTextItem
    | Essay
    | Ordering
    | Hotspot
    | KeyFeature
    | ScriptConcordance,
    Field(discriminator="type"),
]


class Media(Contract):
    """A file inside the exam, found by the digest of its bytes; ``data`` is standard base64."""

    digest: Sha256
    media_type: Literal["image/png", "image/jpeg", "image/svg+xml", "image/webp"]
    data: str = Field(max_length=8 * 2**20)

    @model_validator(mode="after")
    def _digest_is_its_own(self) -> Self:
        try:
            found = digest_bytes(base64.b64decode(self.data, validate=True))
        except binascii.Error as error:
            raise ValueError(f"media {self.digest}: data is not standard base64") from error
        if found != self.digest:
            raise ValueError(f"media {self.digest}: the bytes in data have the digest {found}")
        return self


class Stimulus(Contract):
    """A vignette or image that one or more items share; an image without ``alt`` is refused."""

    id: Slug
    title: ShortText | None = None
    text: Text | None = None
    media: Sha256 | None = None
    alt: ShortText | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.text is None and self.media is None:
            raise ValueError(f"stimulus {self.id}: give text, media or both")
        if self.media is not None and self.alt is None:
            raise ValueError(f"stimulus {self.id}: media needs alt text for those who can't see it")
        return self


class Selection(Contract):
    """Which items of the pool a participant gets: all (``count`` absent) or ``count`` drawn."""

    count: int | None = Field(default=None, ge=1)


class Section(Contract):
    """A run of items shown together. ``items`` is the pool in authored order."""

    id: Slug
    title: ShortText
    instructions: Text | None = None
    items: list[int] = Field(min_length=1, max_length=2000)
    time_limit_seconds: Seconds | None = None
    break_after_seconds: Seconds | None = None
    selection: Selection = Selection()
    shuffle_items: bool = False
    pinned_items: list[int] = Field(default=[], max_length=2000)

    @model_validator(mode="after")
    def _pool_is_sound(self) -> Self:
        _refuse_duplicates(self.items, f"section {self.id}: item")
        _refuse_unknown(self.pinned_items, self.items, f"section {self.id}: pinned item")
        if self.selection.count is not None and self.selection.count > len(self.items):
            raise ValueError(f"section {self.id}: selection.count exceeds the pool")
        if self.selection.count is not None and self.selection.count < len(self.pinned_items):
            raise ValueError(f"section {self.id}: selection.count is less than its pinned items")
        return self


class ReviewPolicy(Contract):
    """What a participant sees of the score: never, at the end, or while sitting."""

    show_score: Literal["never", "at_end", "live"] = "never"
    change_answers: bool = True


class ScoringPolicy(Contract):
    """How totals are judged; both optional. ``section_minimums``: section id to percent."""

    pass_percent: int | None = Field(default=None, ge=0, le=100)
    section_minimums: dict[Slug, Annotated[int, Field(ge=0, le=100)]] = Field(default={})


class Exam(Contract):
    """One immutable exam version. Its digest (``canonical.digest``) names it in every delivery."""

    schema_version: Literal[1] = 1
    id: Slug
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "en"
    title: ShortText
    instructions: Text | None = None
    navigation: Literal["free", "linear", "section_locked"] = "free"
    review: ReviewPolicy = ReviewPolicy()
    scoring: ScoringPolicy = ScoringPolicy()
    sections: list[Section] = Field(min_length=1, max_length=50)
    stimuli: list[Stimulus] = Field(default=[], max_length=2000)
    media: list[Media] = Field(default=[], max_length=500)
    items: list[Item] = Field(min_length=1, max_length=2000)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        _refuse_duplicates([item.id for item in self.items], "item id")
        _refuse_duplicates([section.id for section in self.sections], "section id")
        _refuse_duplicates([stimulus.id for stimulus in self.stimuli], "stimulus id")
        _refuse_duplicates([media.digest for media in self.media], "media digest")
        return self

    @model_validator(mode="after")
    def _references_resolve(self) -> Self:
        placed = [item for section in self.sections for item in section.items]
        _refuse_duplicates(placed, "item placed in two sections")
        _refuse_unknown(placed, [item.id for item in self.items], "section item")
        _refuse_unknown([item.id for item in self.items], placed, "item in no section")
        known = [stimulus.id for stimulus in self.stimuli]
        for item in self.items:
            _refuse_unknown(item.stimuli, known, f"item {item.id}: stimulus")
        digests = [media.digest for media in self.media]
        used = [stimulus.media for stimulus in self.stimuli if stimulus.media is not None]
        _refuse_unknown(used, digests, "stimulus media")
        sections = [section.id for section in self.sections]
        _refuse_unknown(self.scoring.section_minimums, sections, "section of a minimum")
        return self

    def item(self, item_id: int) -> "Item | None":
        """The item of that id, or None."""
        return next((item for item in self.items if item.id == item_id), None)


def undelivered_types(exam: Exam) -> list[tuple[int, str]]:
    """Items whose type can't be sat yet, as (item id, type)."""
    return [(item.id, item.type) for item in exam.items if item.type not in DELIVERED_TYPES]


def _refuse_duplicates(values: Iterable[object], what: str) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"{what} {twice[0]!r} stands more than once; ids must be unique")


def _refuse_unknown(values: Iterable[object], known: Iterable[object], what: str) -> None:
    allowed = set(known)
    unknown = [value for value in values if value not in allowed]
    if unknown:
        raise ValueError(f"{what} {unknown[0]!r} does not exist here")
