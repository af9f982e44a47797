"""Exams and keys with a flaw are refused, and the message names the place and the mend."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from exam_contract.canonical import digest_bytes
from exam_contract.content import Exam, undelivered_types
from exam_contract.keys import ExamDocument, KeyMismatch, bind_key, check_key, content_digest
from tests.support import exams, golden

Json = dict[str, Any]
EXAMPLES = Path(__file__).parents[3] / "examples"
PNG = b"\x89PNG not really"
MEDIA = {
    "digest": digest_bytes(PNG),
    "media_type": "image/png",
    "data": base64.b64encode(PNG).decode(),
}


ONE_ITEM = {"id": "main", "title": "Main", "items": [1]}


def two_items(**members: Any) -> Json:
    return exams.document(exams.single_best(1), exams.single_best(2), **members)


def bind(document: Json) -> None:
    bind_key(ExamDocument.model_validate(document))


def edited(change: Callable[[Json], object]) -> Json:
    document = two_items()
    change(document)
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            exams.document(exams.single_best(1), exams.single_best(1), sections=[ONE_ITEM]),
            "item id 1 stands more than once; ids must be unique",
        ),
        (two_items(surprise=1), "surprise\n  Extra inputs are not permitted"),
        (two_items(sections=[]), "exam.sections\n  List should have at least 1 item"),
        (two_items(id="Not a slug"), "exam.id\n  String should match pattern"),
        (two_items(title="  "), "exam.title\n  String should match pattern"),
        (two_items(title="a\x00b"), r"this holds the control character U\+0000; take it out"),
        (two_items(title="a\x9bb"), r"this holds the control character U\+009B"),
        (exams.document(exams.single_best(1, stem="")), "items.0.single_best.stem"),
        (exams.document(exams.single_best(0)), "items.0.single_best.id\n  .*greater than or equal"),
        (exams.document(exams.single_best(1, type="riddle")), "items.0\n  Input tag 'riddle'"),
        (exams.document(exams.single_best(7, max_points="0")), "item 7: max_points must be greate"),
        (exams.document(exams.single_best(7, max_points="-1")), "item 7: max_points must be great"),
        (
            exams.document(exams.single_best(7, options=exams.options("ABA"))),
            "item 7: option 'A' stands more than once; ids must be unique",
        ),
        (
            exams.document(exams.single_best(7, options=exams.options("A"))),
            "items.0.single_best.options\n  List should have at least 2 items",
        ),
        (
            exams.document(exams.single_best(7, pinned_options=["D"])),
            "item 7: pinned option 'D' does not exist here",
        ),
        (
            exams.document(exams.single_best(7, stimuli=["nowhere"])),
            "item 7: stimulus 'nowhere' does not exist here",
        ),
        (
            exams.document(
                ({"id": 7, "type": "pick_n", "stem": "?", "options": exams.options("AB"),
                  "pick": 2}, {"item_id": 7, "type": "pick_n", "correct": ["A", "B"]})
            ),
            "item 7: pick must be less than the number of options",
        ),
    ],
)  # fmt: skip
def test_a_flawed_item_is_refused(document: Json, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ExamDocument.model_validate(document)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ([{"items": [1, 2, 2]}], "section s0: item 2 stands more than once"),
        ([{"items": [1, 2, 3]}], "section item 3 does not exist here"),
        ([{"items": [1]}], "item in no section 2 does not exist here"),
        ([{"items": [1, 2]}, {"items": [2]}], "item placed in two sections 2 stands more"),
        ([{"items": [1, 2], "pinned_items": [3]}], "section s0: pinned item 3 does not exist"),
        ([{"items": [1, 2], "selection": {"count": 3}}], "selection.count exceeds the pool"),
        (
            [{"items": [1, 2], "selection": {"count": 1}, "pinned_items": [1, 2]}],
            "section s0: selection.count is less than its pinned items",
        ),
        ([{"items": [1]}, {"items": [2], "id": "s0"}], "section id 's0' stands more than once"),
    ],
)
def test_a_flawed_section_is_refused(sections: list[Json], message: str) -> None:
    named = [{"id": f"s{index}", "title": "S"} | part for index, part in enumerate(sections)]

    with pytest.raises(ValidationError, match=message):
        ExamDocument.model_validate(two_items(sections=named))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"stimuli": [{"id": "s"}]}, "stimulus s: give text, media or both"),
        (
            {"stimuli": [{"id": "s", "media": MEDIA["digest"]}], "media": [MEDIA]},
            "stimulus s: media needs alt text for those who can't see it",
        ),
        (
            {"stimuli": [{"id": "s", "media": MEDIA["digest"], "alt": "a"}]},
            "stimulus media 'sha256:.*' does not exist here",
        ),
        ({"stimuli": [{"id": "s", "text": "t"}] * 2}, "stimulus id 's' stands more than once"),
        ({"media": [MEDIA, MEDIA]}, "media digest 'sha256:.*' stands more than once"),
        ({"media": [MEDIA | {"data": "###"}]}, "data is not standard base64"),
        ({"media": [MEDIA | {"data": "QUJD"}]}, "the bytes in data have the digest sha256:b5d4"),
        ({"media": [MEDIA | {"media_type": "text/html"}]}, "media.0.media_type"),
        ({"scoring": {"section_minimums": {"main": 101}}}, "less than or equal to 100"),
        ({"scoring": {"section_minimums": {"lost": 50}}}, "section of a minimum 'lost' does not"),
        ({"version": "a b"}, "exam.version"),
        ({"language": "english!"}, "exam.language"),
    ],
)
def test_flawed_parts_of_an_exam_are_refused(members: Json, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ExamDocument.model_validate(two_items(**members))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({"type": "single_best", "correct": "A", "penalty": "-1"}, "item 9: write the penalty as"),
        ({"type": "numeric", "value": "1", "tolerance": "-0.1"}, "item 9: tolerance must not be"),
        ({"type": "numeric", "value": ""}, "key.0.numeric.value\n  String should match"),
        ({"type": "short_text", "otherwise": "wrong"}, "item 9: no text is accepted and nobody"),
        ({"type": "short_text", "accepted": ["?!"]}, "item 9: an accepted text needs more than"),
        (
            {"type": "script_concordance", "weights": {"A": "2", "B": "0"}},
            "item 9: weights must be",
        ),
        ({"type": "single_best"}, "key.0.single_best.correct\n  Field required"),
        ({"type": "single_best", "correct": "A", "rule": "ps50"}, "key.0.single_best.rule"),
        ({"type": "riddle"}, "key.0\n  Input tag 'riddle'"),
    ],
)
def test_a_flawed_key_entry_is_refused(key: Json, message: str) -> None:
    document = two_items() | {"key": [{"item_id": 9} | key]}

    with pytest.raises(ValidationError, match=message):
        ExamDocument.model_validate(document)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (edited(lambda d: d["key"].pop()), "item 2: no key; every item needs one"),
        (edited(lambda d: d["key"].append(d["key"][0])), "item 1: two keys; keep one"),
        (
            edited(lambda d: d["key"].append(d["key"][0] | {"item_id": 3})),
            "item 3: a key for an item that does not exist",
        ),
        (
            edited(lambda d: d["key"][1].update(correct="Z")),
            "item 2: the key names option 'Z', which is missing",
        ),
        (
            edited(lambda d: d["key"][1].update(item_version=2)),
            "item 2: its version is 1, the key's is another",
        ),
    ],
)
def test_a_key_that_does_not_fit_is_refused(document: Json, message: str) -> None:
    with pytest.raises(KeyMismatch, match=message):
        bind(document)


ABC = exams.options("ABC")
PROMPTS = [{"id": "p", "text": "P"}, {"id": "q", "text": "Q"}]


@pytest.mark.parametrize(
    ("item", "key", "message"),
    [
        ({"type": "essay"}, {"type": "short_text"}, "item 1: it is essay, its key is short_text"),
        (
            {"type": "multiple_true_false", "options": ABC},
            {"type": "multiple_true_false", "truths": {"A": True, "B": True}},
            "item 1: the key must judge every option or statement",
        ),
        (
            {"type": "pick_n", "options": ABC, "pick": 2},
            {"type": "pick_n", "correct": ["A"]},
            "item 1: the key must name exactly 2 distinct options",
        ),
        (
            {"type": "pick_n", "options": ABC, "pick": 2},
            {"type": "pick_n", "correct": ["A", "A"]},
            "item 1: the key names an option twice; name it once",
        ),
        (
            {"type": "ordering", "options": ABC},
            {"type": "ordering", "order": ["A", "B"]},
            "item 1: the key must put every option in order",
        ),
        (
            {"type": "extended_matching", "options": ABC, "prompts": PROMPTS},
            {"type": "extended_matching", "matches": {"p": "A"}},
            "item 1: the key must match every prompt, and nothing else",
        ),
        (
            {"type": "extended_matching", "options": ABC, "prompts": PROMPTS},
            {"type": "extended_matching", "matches": {"p": "A", "q": "p"}},
            "item 1: the key must match prompts to options",
        ),
        (
            {"type": "script_concordance", "options": ABC, "hypothesis": "h",
             "new_information": "n"},
            {"type": "script_concordance", "weights": {"A": "1", "B": "0"}},
            "item 1: the key must judge every option or statement",
        ),
    ],
)  # fmt: skip
def test_a_key_must_cover_its_item(item: Json, key: Json, message: str) -> None:
    document = exams.document(({"id": 1, "stem": "?"} | item, {"item_id": 1} | key))

    with pytest.raises(KeyMismatch, match=message):
        bind(document)


def test_a_key_for_other_content_is_refused() -> None:
    document = ExamDocument.model_validate(two_items())
    key = bind_key(document)
    other = Exam.model_validate(two_items(title="Changed")["exam"])

    with pytest.raises(KeyMismatch, match="the key belongs to other content"):
        check_key(other, key)


def test_the_digest_sees_defaults_as_if_they_were_written() -> None:
    plain = Exam.model_validate(two_items()["exam"])
    written = Exam.model_validate(two_items(language="en", navigation="free")["exam"])

    assert content_digest(plain) == content_digest(written)


def test_an_item_is_found_by_its_id() -> None:
    exam = Exam.model_validate(two_items()["exam"])
    found = exam.item(2)

    assert found is not None
    assert found.id == 2
    assert exam.item(3) is None


def test_types_that_cannot_be_sat_yet_are_listed() -> None:
    document = ExamDocument.model_validate_json(golden.text("exam-document"))

    assert undelivered_types(document.exam) == [
        (4, "extended_matching"), (8, "ordering"), (9, "hotspot"), (10, "key_feature"),
        (11, "script_concordance"),
    ]  # fmt: skip


def test_the_example_exam_fits_its_key_and_can_be_sat() -> None:
    document = ExamDocument.model_validate_json((EXAMPLES / "exam.json").read_text("utf-8"))
    exam = document.exam
    bind_key(document)

    assert undelivered_types(exam) == []
    assert len({item.type for item in exam.items}) == 6
    assert any(item.tags.pilot for item in exam.items)


def test_the_example_exam_holds_the_figures_that_stand_beside_it() -> None:
    document = ExamDocument.model_validate_json((EXAMPLES / "exam.json").read_text("utf-8"))
    figures = {digest_bytes(path.read_bytes()) for path in (EXAMPLES / "media").iterdir()}

    assert {media.digest for media in document.exam.media} == figures
