"""Canonical JSON is the RFC 8785 form, and what has none is refused at its place."""

import hashlib
import string

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from exam_contract import canonical

SAFE = 2**53 - 1
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=25,
)


@given(JSON)
def test_the_bytes_are_those_of_an_independent_library(value: object) -> None:
    assert canonical.canonical_bytes(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(st.dictionaries(TEXT, st.integers(0, 9), max_size=8))
def test_the_order_of_members_never_matters(value: dict[str, int]) -> None:
    assert canonical.digest(value) == canonical.digest(dict(reversed(value.items())))


def test_members_are_ordered_by_utf16_code_units() -> None:
    """RFC 8785 section 3.2.3: a surrogate pair sorts before U+FB33, a lower code point."""
    value = {"\ufb33": 1, "\U0001f600": 2, "\r": 3, "1": 4, "ö": 5, "\u20ac": 6, "\u0080": 7}

    assert list(canonical.canonical_bytes(value).decode()[1:-1].split(",")) == [
        '"\\r":3', '"1":4', '"\u0080":7', '"ö":5', '"€":6', '"😀":2', '"\ufb33":1',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": [True, None], "a": "x"}, b'{"a":"x","b":[true,null]}'),
        ('\x00\x1f\b\t\n\f\r"\\/', rb'"\u0000\u001f\b\t\n\f\r\"\\/"'),
        ((1, -0, SAFE), b"[1,0,9007199254740991]"),
        ({}, b"{}"),
    ],
)
def test_known_forms(value: object, expected: bytes) -> None:
    assert canonical.canonical_bytes(value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, 1.0]}, r"^\$\.a\[1\]: float has no canonical form here$"),
        ([float("nan")], r"^\$\[0\]: float has no canonical form"),
        ({"a": SAFE + 1}, r"^\$\.a: integers beyond 2\^53-1 lose digits"),
        ({"a": -SAFE - 1}, r"^\$\.a: integers beyond"),
        ({"a": {1: 2}}, r"^\$\.a: object keys must be strings$"),
        ({"a": b"bytes"}, r"^\$\.a: bytes has no canonical form"),
        ({"a": "\ud800"}, "a string holds a lone surrogate"),
        ({"\ud800": 1}, "a string holds a lone surrogate"),
        ([set(string.digits)], r"^\$\[0\]: set has no canonical form"),
    ],
)
def test_what_has_no_canonical_form_is_refused_at_its_place(value: object, message: str) -> None:
    with pytest.raises(canonical.NotCanonical, match=message):
        canonical.canonical_bytes(value)


def test_a_digest_names_its_algorithm() -> None:
    expected = "sha256:" + hashlib.sha256(b'{"a":1}').hexdigest()

    assert canonical.digest({"a": 1}) == expected
    assert canonical.digest_bytes(b'{"a":1}') == expected
