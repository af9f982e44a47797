"""Scores against values worked out by hand, and what holds for every answer whatever the rule."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exam_contract.answers import normal_answer
from exam_contract.scoring import UnsupportedItemType, max_points, score_answer
from exam_contract.texts import normal_text
from tests.support import exams

Json = dict[str, Any]
TRUTHS = {"A": True, "B": True, "C": False, "D": False}
PICKED = ["A", "B", "C"]


def points(item: Json, key: Json, answer: Any) -> Fraction:
    bound_item, entry = exams.bound(item, key)
    return score_answer(bound_item, entry, normal_answer(bound_item, answer)).points


def single_best(rule: str, penalty: str = "0", max_points: str = "1") -> tuple[Json, Json]:
    item = {"type": "single_best", "options": exams.options("ABC"), "max_points": max_points}
    return item, {"type": "single_best", "correct": "B", "rule": rule, "penalty": penalty}


def true_false(rule: str, truths: dict[str, bool] = TRUTHS) -> tuple[Json, Json]:
    letters = "".join(truths)
    item = {"type": "multiple_true_false", "options": exams.options(letters), "max_points": "2"}
    return item, {"type": "multiple_true_false", "truths": truths, "rule": rule}


def pick_n(rule: str, correct: list[str] = PICKED) -> tuple[Json, Json]:
    options = exams.options("ABCDEF")
    item = {"type": "pick_n", "options": options, "pick": len(correct), "max_points": "3"}
    return item, {"type": "pick_n", "correct": correct, "rule": rule}


def numeric(value: str, tolerance: str) -> tuple[Json, Json]:
    return {"type": "numeric"}, {"type": "numeric", "value": value, "tolerance": tolerance}


def short_text(otherwise: str) -> tuple[Json, Json]:
    key = {"type": "short_text", "accepted": ["Mitral stenosis", "MS"], "otherwise": otherwise}
    return {"type": "short_text"}, key


def judged(**answers: str) -> dict[str, bool]:
    return {letter: word == "t" for letter, word in answers.items()}


@pytest.mark.parametrize(
    ("pair", "answer", "expected"),
    [
        (single_best("dichotomous"), "B", "1"),
        (single_best("dichotomous"), "A", "0"),
        (single_best("dichotomous", max_points="5/2"), "B", "5/2"),
        (single_best("dichotomous", penalty="1/3"), "A", "0"),  # the rule takes nothing off
        (single_best("negative_marking", penalty="1/3"), "A", "-1/3"),
        (single_best("negative_marking", penalty="1/3", max_points="2"), "A", "-1/3"),
        (single_best("negative_marking", penalty="1/3", max_points="2"), "B", "2"),
        (single_best("negative_marking", penalty="1/3"), None, "0"),
    ],
)
def test_single_best(pair: tuple[Json, Json], answer: Any, expected: str) -> None:
    assert points(*pair, answer) == Fraction(expected)


@pytest.mark.parametrize(
    ("answer", "dichotomous", "ps50", "ps1n", "plus_minus"),
    [
        (judged(A="t", B="t", C="f", D="f"), "2", "2", "2", "2"),  # 4 right
        (judged(A="t", B="t", C="f", D="t"), "0", "1", "3/2", "1"),  # 3 right, 1 wrong
        (judged(A="t", B="t", C="f"), "0", "1", "3/2", "3/2"),  # 3 right, 1 left out
        (judged(A="t", B="t", C="t", D="t"), "0", "0", "1", "0"),  # 2 right: as by guessing
        (judged(A="t", B="t"), "0", "0", "1", "1"),  # 2 right, 2 left out
        (judged(A="f"), "0", "0", "0", "0"),  # the floor: never below 0
        (judged(A="f", B="f", C="t", D="t"), "0", "0", "0", "0"),
        ({}, "0", "0", "0", "0"),
        (None, "0", "0", "0", "0"),
    ],
)
def test_multiple_true_false(
    answer: Any, dichotomous: str, ps50: str, ps1n: str, plus_minus: str
) -> None:
    found = [
        points(*true_false(rule), answer) for rule in ("dichotomous", "ps50", "ps1n", "plus_minus")
    ]

    assert found == [Fraction(value) for value in (dichotomous, ps50, ps1n, plus_minus)]


@pytest.mark.parametrize(("right", "expected"), [(0, 0), (1, 0), (2, 1), (3, 2)])
def test_ps50_of_three_statements_needs_more_than_half(right: int, expected: int) -> None:
    truths = {"A": True, "B": True, "C": True}
    answer = {letter: index < right for index, letter in enumerate(truths)}

    assert points(*true_false("ps50", truths), answer) == expected


@pytest.mark.parametrize(
    ("answer", "dichotomous", "ps50", "ps1n"),
    [
        (["A", "B", "C"], "3", "3", "3"),
        (["A", "B", "D"], "0", "3/2", "2"),
        (["A", "B"], "0", "3/2", "2"),
        (["A", "D", "E"], "0", "0", "1"),
        (["D", "E", "F"], "0", "0", "0"),
        ([], "0", "0", "0"),
    ],
)
def test_pick_n(answer: list[str], dichotomous: str, ps50: str, ps1n: str) -> None:
    found = [points(*pick_n(rule), answer) for rule in ("dichotomous", "ps50", "ps1n")]

    assert found == [Fraction(value) for value in (dichotomous, ps50, ps1n)]


def test_ps50_of_pick_2_is_half_for_one_of_two() -> None:
    assert points(*pick_n("ps50", ["A", "B"]), ["A", "F"]) == Fraction(3, 2)


@pytest.mark.parametrize(
    ("value", "tolerance", "answer", "expected"),
    [
        ("7.35", "0.05", "7.40", 1),  # the border belongs to it, exactly
        ("7.35", "0.05", "7.30", 1),
        ("7.35", "0.05", "7.400000000000001", 0),
        ("7.35", "0", "7.350", 1),
        ("0.1", "0.2", "0.3", 1),  # 0.1 + 0.2 as floats would be more than 0.3
        ("-2", "0", "\u22122", 1),
        ("0", "0", "-0", 1),
        ("28", "0", "29", 0),
        ("28", "0", "", 0),
    ],
)
def test_numeric(value: str, tolerance: str, answer: str, expected: int) -> None:
    assert points(*numeric(value, tolerance), answer) == expected


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("  Mitral\n Stenosis. ", "mitral stenosis"),
        ("ＭＳ", "ms"),
        ("Straße", "strasse"),
        ("e\u0301", "é"),
        ('"MS"', "ms"),
        ("H₂O", "h2o"),
        ("B. 12", "b. 12"),
        ("...", ""),
    ],
)
def test_how_short_texts_are_compared(text: str, normal: str) -> None:
    assert normal_text(text) == normal


@given(st.text())
def test_a_normal_text_is_its_own_normal_text(text: str) -> None:
    assert normal_text(normal_text(text)) == normal_text(text)


def test_a_short_text_is_right_by_its_words() -> None:
    assert points(*short_text("manual"), "MITRAL  stenosis.") == 1


@pytest.mark.parametrize(("otherwise", "manual"), [("manual", True), ("wrong", False)])
def test_another_short_text_waits_for_a_scorer_or_is_wrong(otherwise: str, manual: bool) -> None:
    item, key = exams.bound(*short_text(otherwise))
    score = score_answer(item, key, "aortic stenosis")

    assert (score.points, score.manual) == (Fraction(0), manual)


def test_an_essay_waits_for_a_scorer_once_it_holds_words() -> None:
    item, key = exams.bound({"type": "essay", "max_points": "10"}, {"type": "essay"})

    assert score_answer(item, key, "Because.").manual
    assert not score_answer(item, key, " \n").manual
    assert not score_answer(item, key, None).manual


@pytest.mark.parametrize("kind", ["single_best", "essay"])
def test_a_pilot_item_counts_nothing_and_waits_for_nobody(kind: str) -> None:
    item, key = single_best("negative_marking", "1") if kind == "single_best" else (
        {"type": "essay"}, {"type": "essay"},
    )  # fmt: skip
    pilot, entry = exams.bound(item | {"tags": {"pilot": True}}, key)
    score = score_answer(pilot, entry, "A")

    assert max_points(pilot) == score.points == score.max_points == Fraction(0)
    assert not score.manual


def test_a_type_that_cannot_be_sat_yet_is_named() -> None:
    options = exams.options("AB")
    item, key = exams.bound(
        {"type": "ordering", "options": options}, {"type": "ordering", "order": ["B", "A"]}
    )

    with pytest.raises(UnsupportedItemType, match="item 1: ordering is not delivered yet"):
        score_answer(item, key, ["B", "A"])


ANSWERS = {
    "single_best": st.none() | st.sampled_from("ABC"),
    "multiple_true_false": st.none() | st.dictionaries(st.sampled_from("ABCD"), st.booleans()),
    "pick_n": st.none() | st.lists(st.sampled_from("ABCDEF"), max_size=3, unique=True),
    "numeric": st.none() | st.decimals(-99, 99, places=2).map(str),
}
PAIRS = [
    *(single_best(rule, "3/4") for rule in ("dichotomous", "negative_marking")),
    *(true_false(rule) for rule in ("dichotomous", "ps50", "ps1n", "plus_minus")),
    *(pick_n(rule) for rule in ("dichotomous", "ps50", "ps1n")),
    numeric("1.5", "10"),
]
BOUND = [exams.bound(*pair) for pair in PAIRS]


@given(st.data(), st.sampled_from(BOUND))
def test_points_lie_between_nothing_and_the_maximum(data: st.DataObject, pair: Any) -> None:
    item, key = pair
    answer = normal_answer(item, data.draw(ANSWERS[item.type]))
    score = score_answer(item, key, answer)
    least = Fraction(-3, 4) if key.rule == "negative_marking" and answer is not None else 0

    assert least <= score.points <= score.max_points == max_points(item)


@given(st.sampled_from([true_false(r) for r in ("ps50", "ps1n", "plus_minus")]), st.data())
def test_one_more_right_judgement_never_costs_points(pair: Any, data: st.DataObject) -> None:
    item, key = exams.bound(*pair)
    answer = data.draw(st.dictionaries(st.sampled_from("ABCD"), st.booleans()))
    letter = data.draw(st.sampled_from("ABCD"))
    better = answer | {letter: TRUTHS[letter]}

    assert score_answer(item, key, better).points >= score_answer(item, key, answer).points
