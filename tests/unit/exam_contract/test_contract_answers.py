"""What fits a question is stored in one form; what does not is refused with words that help."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exam_contract.answers import AnswerInvalid, is_answered, normal_answer
from exam_contract.content import Item
from tests.support import exams

ABC = exams.options("ABC")
KEYS: dict[str, dict[str, Any]] = {
    "single_best": {"correct": "A"},
    "multiple_true_false": {"truths": {"A": True, "B": False, "C": True}},
    "pick_n": {"correct": ["A", "B"]},
    "numeric": {"value": "1"},
    "short_text": {"accepted": ["x"]},
    "essay": {},
    "ordering": {"order": ["C", "A", "B"]},
    "extended_matching": {"matches": {"p": "A", "q": "B"}},
    "hotspot": {"correct": ["s"]},
    "key_feature": {"correct": ["A"]},
    "script_concordance": {"weights": {"A": "0", "B": "1", "C": "1/2"}},
}
EXTRA: dict[str, dict[str, Any]] = {
    "single_best": {"options": ABC},
    "multiple_true_false": {"options": ABC},
    "pick_n": {"options": ABC, "pick": 2},
    "numeric": {},
    "short_text": {"max_length": 5},
    "essay": {"max_length": 5},
    "ordering": {"options": ABC},
    "extended_matching": {
        "options": ABC,
        "prompts": [{"id": "p", "text": "P"}, {"id": "q", "text": "Q"}],
    },
    "hotspot": {
        "image": "i",
        "shapes": [
            {"id": "s", "label": "S", "kind": "rect", "points": [0, 0, 1, 1]},
            {"id": "t", "label": "T", "kind": "circle", "points": [0, 0, 1]},
        ],
    },
    "key_feature": {"options": ABC, "max_choices": 2},
    "script_concordance": {"options": ABC, "hypothesis": "h", "new_information": "n"},
}


def item(kind: str) -> Item:
    return exams.bound({"type": kind} | EXTRA[kind], {"type": kind} | KEYS[kind])[0]


@pytest.mark.parametrize(
    ("kind", "sent", "stored"),
    [
        ("single_best", "B", "B"),
        ("script_concordance", "C", "C"),
        ("multiple_true_false", {"C": False, "A": True}, {"A": True, "C": False}),
        ("multiple_true_false", {}, {}),
        ("pick_n", ["C", "A"], ["A", "C"]),
        ("pick_n", [], []),
        ("key_feature", ["B", "A"], ["A", "B"]),
        ("hotspot", ["t"], ["t"]),
        ("ordering", ["B", "C", "A"], ["B", "C", "A"]),
        ("extended_matching", {"q": "B", "p": "B"}, {"p": "B", "q": "B"}),
        ("numeric", " 7,35 ", "7.35"),
        ("numeric", "\u22120.5", "-0.5"),
        ("numeric", "1200", "1200"),
        ("numeric", "0,180", "0.180"),
        ("numeric", "1,25", "1.25"),
        ("numeric", "-0", "-0"),
        ("numeric", "  ", ""),
        ("short_text", "größe", "größe"),
        ("short_text", "", ""),
        ("essay", "a\r\nb\t", "a\r\nb\t"),
    ],
)
def test_the_stored_form(kind: str, sent: Any, stored: Any) -> None:
    assert normal_answer(item(kind), sent) == stored


@pytest.mark.parametrize("kind", EXTRA)
def test_null_clears_every_type(kind: str) -> None:
    assert normal_answer(item(kind), None) is None


@pytest.mark.parametrize(
    ("kind", "sent", "message"),
    [
        ("single_best", "D", "send one option id, one of A, B, C"),
        ("single_best", ["A"], "send one option id"),
        ("single_best", "", "send one option id"),
        ("script_concordance", 1, "send one option id"),
        ("multiple_true_false", {"D": True}, "out of A, B, C"),
        ("multiple_true_false", ["A"], "send an object of option id to true or false"),
        ("multiple_true_false", {"A": 1}, "answered by true or false; leave it out otherwise"),
        ("multiple_true_false", {"A": None}, "leave it out otherwise"),
        ("pick_n", "A", "send a list of option ids"),
        ("pick_n", [["A"]], "send a list of option ids"),
        ("pick_n", ["A", "A"], "send distinct option ids out of A, B, C"),
        ("pick_n", ["D"], "send distinct option ids"),
        ("pick_n", ["A", "B", "C"], "send at most 2 option ids"),
        ("key_feature", ["A", "B", "C"], "send at most 2 option ids"),
        ("hotspot", ["s", "t"], "send at most 1 option ids"),
        ("ordering", ["A", "B"], "every option id exactly once"),
        ("ordering", "CAB", "send a list of option ids"),
        ("ordering", ["A", "B", 3], "send a list of option ids"),
        ("extended_matching", {"r": "A"}, "send an object of prompt id to option id"),
        ("extended_matching", [], "send an object of prompt id"),
        ("extended_matching", {"p": "D"}, "send one option id"),
        ("numeric", 7.35, "send the number as a string"),
        ("numeric", True, "send the number as a string"),
        ("numeric", "about 7", "send a decimal number as a string"),
        ("numeric", "1e5", "send a decimal number"),
        ("numeric", ".5", "send a decimal number"),
        ("numeric", "1.2.3", "send a decimal number"),
        ("numeric", "9" * 16, "send a decimal number"),
        ("numeric", "٣", "send a decimal number"),
        ("numeric", "1,200", "1,200 can be read in two ways; write 1200 or use a point"),
        ("numeric", "1,200,000", "can be read in two ways; write 1200000"),
        ("short_text", 5, "send text"),
        ("short_text", "abcdef", "send at most 5 characters; this has 6"),
        ("essay", "a\x00b", "a character that cannot be stored"),
        ("essay", "\ud800", "a character that cannot be stored"),
    ],
)
def test_what_does_not_fit_is_refused(kind: str, sent: Any, message: str) -> None:
    with pytest.raises(AnswerInvalid, match=message):
        normal_answer(item(kind), sent)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, False), ("", False), (" \n", False), ([], False), ({}, False),
        ("0", True), ("A", True), (["A"], True), ({"A": False}, True),
    ],
)  # fmt: skip
def test_when_an_answer_counts_as_answered(answer: Any, expected: bool) -> None:
    assert is_answered(answer) is expected


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
) | st.recursive(st.sampled_from("ABCpqst"), lambda inner: st.lists(inner, max_size=4))
ITEMS = [item(kind) for kind in EXTRA]


@given(st.sampled_from(ITEMS), ANY_JSON)
def test_any_json_is_normal_or_refused(item: Item, sent: Any) -> None:
    """And the normal form is its own normal form, so a replay stores the same."""
    try:
        stored = normal_answer(item, sent)
    except AnswerInvalid:
        return
    assert normal_answer(item, stored) == stored
