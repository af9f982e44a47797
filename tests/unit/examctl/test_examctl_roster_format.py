"""Roster files: whole or not at all, and every flaw by its line."""

import contextlib
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examctl.errors import UnreadableInputError
from examctl.formats.roster import read_roster

HEADER = ["identifier", "name", "email"]
LONG_HEADER = [*HEADER, "time_multiplier", "extra_seconds"]
NAMES = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=40
).filter(lambda name: name == name.strip())


def as_csv(rows: list[list[str]]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def told(data: bytes) -> str:
    with pytest.raises(UnreadableInputError) as caught:
        read_roster(data, "r.csv")
    error = caught.value
    return "\n".join([error.message, *(f"{one.path}: {one.message}" for one in error.errors)])


@given(st.lists(NAMES, min_size=1, max_size=20))
def test_names_arrive_as_they_were_written(names: list[str]) -> None:
    rows = [[f"id{n}", name, f"p{n}@example.org"] for n, name in enumerate(names)]
    assert [one.name for one in read_roster(as_csv([HEADER, *rows]), "r.csv")] == names


@pytest.mark.parametrize(("written", "stored"), [("1.25", "5/4"), ("5/4", "5/4"), ("", "1")])
def test_accommodations_are_exact(written: str, stored: str) -> None:
    rows = [LONG_HEADER, ["a", "Ann", "a@example.org", written, "300"]]
    accommodation = read_roster(as_csv(rows), "r.csv")[0].accommodation
    assert (accommodation.time_multiplier, accommodation.extra_seconds) == (stored, 300)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([HEADER, ["", "Ann", "a@x.org"]], "line 2, identifier: this is missing"),
        ([HEADER, ["a", "", "a@x.org"]], "line 2, name: this is missing"),
        ([HEADER, ["a", "Ann", "no address"]], "line 2, email: this is no e-mail address"),
        ([HEADER, *[["a", "Ann", "a@x.org"]] * 2], "line 3, identifier: 'a' stands in line 2"),
        ([HEADER, ["a", "A", "a@x.org"], ["A", "B", "b@x.org"]], "'A' stands in line 2 already"),
        ([HEADER, ["a", "Ann"]], "line 2: it has 2 cells and the header 3"),
        ([["identifier", "name"], ["a", "Ann"]], "column 'email' is missing"),
        ([[*HEADER, "age"], ["a", "Ann", "a@x.org", "3"]], "unknown column 'age'"),
        ([[*HEADER, "email"], ["a", "A", "a@x.org", "b"]], "column 'email' stands twice"),
        ([HEADER], "a header and nobody"),
        ([LONG_HEADER, ["a", "A", "a@x.org", "fast", ""]], "time_multiplier: write a factor"),
        ([LONG_HEADER, ["a", "A", "a@x.org", "1/0", ""]], "time_multiplier: write a factor"),
        ([LONG_HEADER, ["a", "A", "a@x.org", "0.5", ""]], "time_multiplier: write a factor"),
        ([LONG_HEADER, ["a", "A", "a@x.org", "", "-1"]], "extra_seconds: write whole seconds"),
    ],
)
def test_mistakes_name_line_and_column(rows: list[list[str]], expected: str) -> None:
    assert expected in told(as_csv(rows))


def test_all_flaws_of_a_file_are_told_at_once() -> None:
    said = told(as_csv([HEADER, ["", "A", "a@x.org"], ["b", "B", "nothing"]]))
    assert "line 2, identifier" in said
    assert "line 3, email" in said


def test_wrong_encoding_names_the_line() -> None:
    data = as_csv([HEADER]) + "a,Zoë,a@x.org\r\n".encode("latin-1")
    assert "byte 0xEB in line 2 is not UTF-8" in told(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(data: bytes) -> None:
    with contextlib.suppress(UnreadableInputError):
        read_roster(data, "r.csv")
