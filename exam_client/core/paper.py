"""The bundle, compiled for use: items by id, keys by id, scores as integers over one denominator.

Every score an answer can earn is a multiple of ``1 / scale``, so adding up never rounds and never
needs a fraction on the path of an answer.
"""

import base64
import math
from fractions import Fraction

import msgspec

from exam_client.core import ordering, timing
from exam_client.core.instants import from_datetime
from exam_client.core.records import Person
from exam_contract.answers import is_answered, normal_answer
from exam_contract.bundle import Bundle
from exam_contract.content import Item
from exam_contract.keys import KeyEntry
from exam_contract.scoring import max_points, score_answer

_MEMO_LIMIT = 64
"""Distinct answers remembered per item: enough for choices, bounded for free text."""
_encoder = msgspec.json.Encoder(order="sorted")


class Judged(msgspec.Struct, frozen=True):
    """A normal-form answer with what it earns, in units of ``1 / scale``."""

    text: str
    """Canonical JSON."""
    answered: bool
    points: int
    out_of: int
    manual: bool


class Paper:
    """Read-only after construction; shared by every thread."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.exam = bundle.exam
        self.items: dict[int, Item] = {item.id: item for item in bundle.exam.items}
        self._keys: dict[int, KeyEntry] = {entry.item_id: entry for entry in bundle.key.entries}
        self.section_of = {
            item: section.id for section in bundle.exam.sections for item in section.items
        }
        self.stimuli = {stimulus.id: stimulus for stimulus in bundle.exam.stimuli}
        self.media = {media.digest: media for media in bundle.exam.media}
        self.scale = math.lcm(*(self._unit(item) for item in bundle.exam.items))
        self._maxima = {
            item.id: _scaled(max_points(item), self.scale) for item in bundle.exam.items
        }
        self._memo: dict[int, dict[str, Judged]] = {item.id: {} for item in bundle.exam.items}
        self._secret = _unpadded(bundle.delivery_secret)
        self.people = [_person(bundle, index) for index in range(len(bundle.participants))]
        self.terms = timing.Terms(
            opens_at=from_datetime(bundle.window.opens_at),
            closes_at=from_datetime(bundle.window.closes_at),
            grace_seconds=bundle.window.grace_seconds,
            limit_seconds=bundle.time_limit_seconds,
        )

    def judge(self, item_id: int, answer: object) -> Judged:
        """Normal form and score of an answer. Raises AnswerInvalid."""
        item = self.items[item_id]
        normal = normal_answer(item, answer)
        text = _encoder.encode(normal).decode()
        memo = self._memo[item_id]
        judged = memo.get(text)
        if judged is None:
            judged = self._judge(item, normal, text)
            if len(memo) < _MEMO_LIMIT:
                memo[text] = judged
        return judged

    def judge_text(self, item_id: int, text: str) -> Judged:
        """The same for an answer that was stored."""
        return self.judge(item_id, msgspec.json.decode(text))

    def order_for(self, participant_id: int) -> tuple[int, ...]:
        """Every item this participant gets, in the order shown."""
        return tuple(
            item
            for section in self.exam.sections
            for item in ordering.items_of(self._secret, participant_id, section)
        )

    def options_for(self, participant_id: int, item: Item) -> list[str]:
        """Option ids of an item in the order this participant sees."""
        options = [option.id for option in getattr(item, "options", [])]
        if not getattr(item, "shuffle_options", False):
            return options
        pinned: list[str] = getattr(item, "pinned_options", [])
        return ordering.options_of(self._secret, participant_id, item.id, options, pinned)

    def maximum(self, item_ids: tuple[int, ...]) -> int:
        """Scaled points that those items can earn together."""
        return sum(self._maxima[item_id] for item_id in item_ids)

    def scaled(self, points: str) -> int:
        return _scaled(Fraction(points), self.scale)

    def rational(self, scaled: int) -> str:
        """Scaled points as a rational's text."""
        if scaled % self.scale == 0:
            return str(scaled // self.scale)
        return str(Fraction(scaled, self.scale))

    def _judge(self, item: Item, normal: object, text: str) -> Judged:
        score = score_answer(item, self._keys[item.id], normal)
        return Judged(
            text=text,
            answered=is_answered(normal),
            points=_scaled(score.points, self.scale),
            out_of=_scaled(score.max_points, self.scale),
            manual=score.manual,
        )

    def _unit(self, item: Item) -> int:
        """A denominator that divides every score the item can earn."""
        key = self._keys[item.id]
        parts = 1
        match key.type:
            case "multiple_true_false":
                parts = 2 * len(key.truths)
            case "pick_n":
                parts = 2 * len(set(key.correct))
            case "single_best":
                parts = Fraction(key.penalty).denominator
            case _:
                pass
        return max_points(item).denominator * parts


def percent(part: int, whole: int) -> int:
    """Integer percent, half to even, of scaled points: equal to ``rationals.percent``."""
    if whole == 0:
        return 0
    quotient, rest = divmod(part * 100, whole)
    if 2 * rest > whole or (2 * rest == whole and quotient % 2 == 1):
        return quotient + 1
    return quotient


def _scaled(points: Fraction, scale: int) -> int:
    scaled = points * scale
    if scaled.denominator != 1:
        raise ValueError(f"{points} points are no multiple of 1/{scale}")
    return scaled.numerator


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _person(bundle: Bundle, index: int) -> Person:
    enrolled = bundle.participants[index]
    return Person(
        id=enrolled.participant_id,
        identifier=enrolled.identifier,
        name=enrolled.name,
        email=enrolled.email,
        multiplier=Fraction(enrolled.accommodation.time_multiplier),
        extra_seconds=enrolled.accommodation.extra_seconds,
        code_verifier=enrolled.code_verifier,
        takeover_verifiers=tuple(enrolled.takeover_verifiers),
    )
