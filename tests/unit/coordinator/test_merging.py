"""JSON merge patches: an edit changes what it touched, and nothing that our model does not know."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.core.merging import changes, merged

Json = dict[str, Any]
_values = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(st.text(max_size=3), _values, max_size=5)


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {"a": None}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_a_patch_holds_what_changed(before: Json, after: Json, patch: Json) -> None:
    assert changes(before, after) == patch


def test_what_the_patch_does_not_name_stays() -> None:
    document = {"metadata": {"finalizers": ["f"], "annotations": {"theirs": "x", "old": "1"}}}
    patch = {"metadata": {"annotations": {"ours": "y", "old": None}}}
    assert merged(document, patch) == {
        "metadata": {"finalizers": ["f"], "annotations": {"theirs": "x", "ours": "y"}}
    }
    assert document["metadata"]["annotations"] == {"theirs": "x", "old": "1"}


@given(before=documents, after=documents)
def test_a_patch_leads_from_one_document_to_the_other(before: Json, after: Json) -> None:
    assert merged(before, changes(before, after)) == after


@given(document=documents)
def test_no_change_is_an_empty_patch(document: Json) -> None:
    assert changes(document, document) == {}
