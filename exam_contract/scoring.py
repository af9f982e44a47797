"""Points for an answer: exact rationals, a named rule per key, the same wherever it is computed.

Rules, with their sources:
dichotomous: all or nothing. ps50, ps1n: Bauer, Holzer, Kopp, Fischer, "Pick-N multiple
choice-exams: a comparison of scoring algorithms", Adv Health Sci Educ 16 (2011): half the points
for at least half of the n true options, and 1/n for each. For multiple true-false ps50 asks for
more than half of the statements (Kanzow et al., GMS J Med Educ 40(2), 2023), since half is what
guessing gives. plus_minus: +1/n for a right and -1/n for a wrong judgement, never below 0.
negative_marking: the key's penalty for a wrong choice. Unanswered earns 0 and is never wrong.
"""

from dataclasses import dataclass
from fractions import Fraction

from exam_contract.answers import Answer, is_answered
from exam_contract.content import Item
from exam_contract.keys import (
    KeyEntry,
    MultipleTrueFalseKey,
    NumericKey,
    PickNKey,
    ShortTextKey,
    SingleBestKey,
)
from exam_contract.texts import normal_text

_HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Score:
    """``points`` of ``max_points``; ``manual`` means that a scorer still decides (points are 0)."""

    points: Fraction
    max_points: Fraction
    manual: bool = False


class UnsupportedItemType(ValueError):
    """The type is modelled but not delivered yet."""


def max_points(item: Item) -> Fraction:
    """Points the item can earn; 0 for pilot items, which are shown and never scored."""
    return Fraction(0) if item.tags.pilot else Fraction(item.max_points)


def score_answer(item: Item, key: KeyEntry, answer: Answer) -> Score:
    """Score a normal-form answer. Raises UnsupportedItemType for types not delivered yet."""
    most = max_points(item)
    if not is_answered(answer) or most == 0:
        return Score(Fraction(0), most)
    share = _share(key, answer, most)
    return Score(Fraction(0), most, manual=True) if share is None else Score(share * most, most)


def _share(key: KeyEntry, answer: Answer, most: Fraction) -> Fraction | None:
    match key:
        case SingleBestKey():
            return _single_best(key, answer, most)
        case MultipleTrueFalseKey():
            return _true_false(key, answer)
        case PickNKey():
            return _pick_n(key, answer)
        case NumericKey():
            return _numeric(key, answer)
        case ShortTextKey():
            return _short_text(key, answer)
        case _ if key.type == "essay":
            return None
        case _:
            raise UnsupportedItemType(f"item {key.item_id}: {key.type} is not delivered yet")


def _single_best(key: SingleBestKey, answer: Answer, most: Fraction) -> Fraction:
    if answer == key.correct:
        return Fraction(1)
    return -Fraction(key.penalty) / most if key.rule == "negative_marking" else Fraction(0)


def _true_false(key: MultipleTrueFalseKey, answer: Answer) -> Fraction:
    statements = len(key.truths)
    right = sum(1 for option, truth in answer.items() if key.truths[option] == truth)
    if key.rule == "ps1n":
        return Fraction(right, statements)
    if key.rule == "plus_minus":
        return max(Fraction(0), Fraction(right - (len(answer) - right), statements))
    if right == statements:
        return Fraction(1)
    return _HALF if key.rule == "ps50" and 2 * right > statements else Fraction(0)


def _pick_n(key: PickNKey, answer: Answer) -> Fraction:
    right = len(set(answer) & set(key.correct))
    if key.rule == "ps1n":
        return Fraction(right, len(key.correct))
    if right == len(key.correct):
        return Fraction(1)
    return _HALF if key.rule == "ps50" and 2 * right >= len(key.correct) else Fraction(0)


def _numeric(key: NumericKey, answer: Answer) -> Fraction:
    off = abs(Fraction(answer) - Fraction(key.value))
    return Fraction(1) if off <= Fraction(key.tolerance) else Fraction(0)


def _short_text(key: ShortTextKey, answer: Answer) -> Fraction | None:
    if normal_text(answer) in {normal_text(text) for text in key.accepted}:
        return Fraction(1)
    return None if key.otherwise == "manual" else Fraction(0)
