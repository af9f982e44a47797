"""Exam files: everything an author wrote arrives byte for byte, every mistake is told its place."""

import contextlib
import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examctl.errors import UnreadableInputError
from examctl.formats.exam import Naming, read_exam

TRICKY = 'β-blocker "first" → 5\u00a0mg, naïve\nnext line — αβγ'
TEXT = st.text(
    st.one_of(
        st.characters(blacklist_categories=("Cs", "Cc")),
        st.sampled_from("\n\t\"',;\u00a0→βé"),
    ),
    min_size=1,
    max_size=60,
).filter(lambda text: bool(text.strip()))


def as_csv(rows: list[list[str]]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def native(**changes: Any) -> dict[str, Any]:
    options = [{"id": "A", "text": "one"}, {"id": "B", "text": "two"}]
    item = {"id": 7, "type": "single_best", "stem": "Which?", "options": options, **changes}
    exam = {
        "id": "small",
        "version": "1",
        "title": "Small",
        "sections": [{"id": "s", "title": "S", "items": [7]}],
        "items": [item],
    }
    return {"exam": exam, "key": [{"item_id": 7, "type": "single_best", "correct": "B"}]}


def as_json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def told(data: bytes, name: str) -> str:
    """Everything the error says."""
    with pytest.raises(UnreadableInputError) as caught:
        read_exam(data, name)
    error = caught.value
    places = [f"{field.path}: {field.message}" for field in error.errors]
    return "\n".join([error.message, *places, error.hint or ""])


@given(st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT, TEXT, st.sampled_from("ABCD")), min_size=1))
def test_bare_csv_keeps_every_character(rows: list[tuple[str, ...]]) -> None:
    if "stem" in [cell.strip().lower() for cell in rows[0]]:
        return
    if rows[0][0].lstrip()[:1] in ("{", "["):
        return
    document = read_exam(as_csv([list(row) for row in rows]), "bank.csv")
    read = [
        (item.stem, *(option.text for option in item.options), entry.correct)  # type: ignore[union-attr]
        for item, entry in zip(document.exam.items, document.key, strict=True)
    ]
    assert read == rows


def test_bare_csv_keeps_quotes_greek_arrows_and_no_break_spaces() -> None:
    data = as_csv([[TRICKY, "a\u00a0b", "Ω", "→", "“x”", "C"]])
    item = read_exam(data, "x.csv").exam.items[0]
    assert item.stem == TRICKY
    assert item.type == "single_best"
    assert [option.text for option in item.options] == ["a\u00a0b", "Ω", "→", "“x”"]


def test_csv_takes_id_and_title_from_the_file_name() -> None:
    exam = read_exam(as_csv([["s", "a", "b", "c", "d", "A"]]), "Professional_Medicine.csv").exam
    assert (exam.id, exam.version) == ("professional-medicine", "1")
    assert exam.title == "Professional medicine"


def test_given_names_replace_those_of_the_file() -> None:
    naming = Naming("other", "2.0", "Other", "de")
    exam = read_exam(as_json(native()), "x.json", naming).exam
    assert (exam.id, exam.version, exam.title, exam.language) == ("other", "2.0", "Other", "de")


def test_header_csv_reads_every_delivered_type() -> None:
    rows = [
        ["type", "stem", "A", "B", "C", "key", "tolerance", "unit", "section"],
        ["", "Which?", "x", "y", "", "b".upper(), "", "", "One"],
        ["multiple_true_false", "Judge", "x", "y", "z", "A;C", "", "", "One"],
        ["multiple_true_false", "None", "x", "y", "z", "none", "", "", "One"],
        ["pick_n", "Pick", "x", "y", "z", "A C", "", "", "Two"],
        ["numeric", "pH", "", "", "", "7,35", "0.05", "mmol/l", "Two"],
        ["short_text", "Name", "", "", "", "scurvy|scorbut", "", "", "Two"],
        ["essay", "Explain", "", "", "", "", "", "", "Two"],
    ]
    document = read_exam(as_csv(rows), "x.csv")
    key = [entry.model_dump() for entry in document.key]
    assert [len(section.items) for section in document.exam.sections] == [3, 4]
    assert key[1]["truths"] == {"A": True, "B": False, "C": True}
    assert key[2]["truths"] == {"A": False, "B": False, "C": False}
    assert key[3]["correct"] == ["A", "C"]
    assert (key[4]["value"], key[4]["tolerance"]) == ("7.35", "0.05")
    assert key[5]["accepted"] == ["scurvy", "scorbut"]
    assert document.exam.items[3].pick == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("header", [["stem", "A", "B", "letter"], ["Question", "A", "B", "Answer"]])
def test_other_names_for_stem_and_key_are_understood(header: list[str]) -> None:
    document = read_exam(as_csv([header, ["Which?", "x", "y", "B"]]), "x.csv")
    assert document.exam.items[0].stem == "Which?"
    assert document.key[0].correct == "B"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["s", "a", "b", "c", "d"]], "line 1: it has 5 cells"),
        ([["s", "a", "b", "c", "d", "E"]], "line 1, letter: the key names option 'E'"),
        ([["s", "a", "b", "c", "d", ""]], "line 1, letter: no key"),
        ([["s", "a", "", "c", "d", "A"]], "line 1, B: this is empty"),
        ([["s\nt", "a", "b", "c", "d", "A"], ["u", "a"]], "line 3: it has 2 cells"),
        ([["stem", "A", "B"], ["s", "a", "b"]], "no key: the column 'key' is missing"),
        ([["stem", "key", "colour"], ["s", "A", "red"]], "unknown column 'colour'"),
        ([["stem", "key", "key"], ["s", "A", "A"]], "column 'key' stands twice"),
        ([["stem", "A", "B", "key"]], "a header and no items"),
        (
            [["stem", "A", "B", "key"], ["s", "a", "b", "C"]],
            "line 2, key: the key names option 'C'",
        ),
        ([["stem", "A", "B", "key"], ["s", "a", "b", ""]], "line 2, key: no key"),
        ([["stem", "A", "B", "key"], ["s", "a", "b", "A B"]], "one best option"),
        ([["id", "stem", "A", "B", "key"], *[["3", "s", "a", "b", "A"]] * 2], "ids must be unique"),
        ([["type", "stem", "key"], ["hotspot", "s", "A"]], "line 2, type: unknown or undelivered"),
        ([["type", "stem", "key"], ["riddle", "s", "A"]], "unknown or undelivered type 'riddle'"),
        ([["type", "stem", "key"], ["numeric", "s", "many"]], "line 2, key: no key"),
        ([["type", "stem", "A", "key"], ["numeric", "s", "x", "1"]], "line 2, A: numeric has no"),
        ([["stem", "A", "B", "key", "pilot"], ["s", "a", "b", "A", "perhaps"]], "pilot: write yes"),
        ([["stem", "A", "B", "key", "rule"], ["s", "a", "b", "A", "magic"]], "line 2, rule: "),
        ([["stem", "A", "B", "key", "id"], ["s", "a", "b", "A", "-1"]], "line 2, id: '-1' is no"),
    ],
)
def test_csv_mistakes_name_line_and_mend(rows: list[list[str]], expected: str) -> None:
    assert expected in told(as_csv(rows), "x.csv")


def test_every_flaw_is_told_at_once() -> None:
    rows = [["s", "a", "b", "c", "d", "Q"], ["", "a", "b", "c", "d", "A"]]
    said = told(as_csv(rows), "x.csv")
    assert "line 1, letter" in said
    assert "line 2, stem" in said


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'"cut off, no end', "opens a quote and never closes it"),
        (b'"a"b,c', "is quoted wrongly"),
        ("naïve,a,b,c,d,A".encode("latin-1"), "byte 0xEF in line 1 is not UTF-8"),
        ("s,a,b,c,d,A".encode("utf-16"), "is UTF-16, not UTF-8"),
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (b"s,a\x00,b,c,d,A", "NUL"),
    ],
)
def test_unreadable_files_say_why(data: bytes, expected: str) -> None:
    assert expected in told(data, "x.csv")


def test_byte_order_mark_is_no_part_of_the_first_stem() -> None:
    data = b"\xef\xbb\xbf" + as_csv([["s", "a", "b", "c", "d", "A"]])
    assert read_exam(data, "x.csv").exam.items[0].stem == "s"


def test_more_items_than_an_exam_holds_are_refused() -> None:
    rows = [["s", "a", "b", "c", "d", "A"]] * 2001
    assert "line 2001: an exam holds at most 2000 items" in told(as_csv(rows), "x.csv")


@given(TEXT)
def test_native_json_keeps_every_character(stem: str) -> None:
    assert read_exam(as_json(native(stem=stem)), "x.json").exam.items[0].stem == stem


def broken_key(**entry: Any) -> dict[str, Any]:
    document = native()
    document["key"][0].update(entry)
    return document


def with_twins() -> dict[str, Any]:
    document = native()
    document["exam"]["items"] *= 2
    return document


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (native(colour="red"), "exam.items[0].colour (item 7): there is no such field"),
        (native(type="riddle"), "exam.items[0] (item 7): unknown type 'riddle'"),
        (native(stem=""), "exam.items[0].stem (item 7)"),
        (broken_key(correct="Z"), "item 7: the key names option 'Z', which is missing"),
        (broken_key(item_id=8), "item 7: no key"),
        (with_twins(), "item id 7 stands more than once"),
        ({"exam": native()["exam"]}, "key: this is missing"),
        ([], "is not an exam"),
        ({}, "exam: this is missing"),
    ],
)
def test_json_mistakes_name_the_item(document: object, expected: str) -> None:
    assert expected in told(as_json(document), "x.json")


def test_types_that_cannot_be_sat_are_refused_by_name() -> None:
    document = native(type="ordering")
    document["key"] = [{"item_id": 7, "type": "ordering", "order": ["A", "B"]}]
    assert "item 7: ordering can be described but not sat yet" in told(as_json(document), "x.json")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"exam": {"id": "a"', "the JSON ends early, in line 1"),
        ('{"exam": "a', "the JSON ends early"),
        ('{"exam": 1,\n "exam": 2}', "an object holds 'exam' twice"),
        ('{"exam":\n oops}', "line 2, column 2"),
        ('{"exam": NaN}', "NaN is not JSON"),
        ("[" * 100_000, "nested"),
        ('{"exam": ' + "[" * 100 + "]" * 100 + "}", "nested more than 64 levels"),
    ],
)
def test_malformed_json_names_the_place(text: str, expected: str) -> None:
    assert expected in told(text.encode(), "x.json")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_in_words(data: bytes) -> None:
    with contextlib.suppress(UnreadableInputError):
        read_exam(data, "x.csv")
