"""The table of accepted and rejected objects, at the door of a real API server.

``test_operator_object_door.py`` holds the other door to the same table: same verdict, same field
path, and for rules the same sentence.
"""

import json
import re
from collections.abc import Iterator

import pytest

from tests.support.cluster import kubectl
from tests.support.cluster.api import Api, Json
from tests.support.cluster.objects import PLURAL
from tests.support.examdelivery_table import CHANGES, NEW_OBJECTS, Change, NewObject

NAMESPACE = "object-table"
NOT_CHECKED = "<nil>"
"""Beside a structural fault the API server says, without a path, that rules were not looked at."""
KIND_UNKNOWN = "no matches for kind"
"""How kubectl says that nobody serves a kind or a version; it names no path."""


@pytest.fixture(scope="module")
def room(api: Api, crd: None) -> Iterator[str]:
    """A namespace that no operator looks after."""
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    yield NAMESPACE
    kubectl.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(autouse=True)
def empty_room(api: Api, room: str) -> None:
    for left in api.all(PLURAL, room):
        api.delete(PLURAL, left["metadata"]["name"], room)


def by_name(case: Change | NewObject) -> str:
    return case.name


@pytest.mark.parametrize("case", NEW_OBJECTS, ids=by_name)
def test_a_new_object(case: NewObject, room: str) -> None:
    if case.accepted:
        write("create", case.document(), room)
        return
    with pytest.raises(kubectl.Refused) as refused:
        write("create", case.document(), room)
    assert_told(str(refused.value), case.path, case.says)


@pytest.mark.parametrize("case", CHANGES, ids=by_name)
def test_a_change(case: Change, api: Api, room: str) -> None:
    standing, wanted = case.documents()
    write("create", standing, room)
    status = case.status().model_dump(mode="json", by_alias=True, exclude_none=True)
    api.merge(PLURAL, standing["metadata"]["name"], {"status": status}, room, part="status")
    if case.accepted:
        write("replace", wanted, room)
        return
    with pytest.raises(kubectl.Refused) as refused:
        write("replace", wanted, room)
    assert_told(str(refused.value), case.path, case.says)


def write(verb: str, document: Json, namespace: str) -> None:
    words = (verb, "--validate=strict", "-n", namespace, "-f", "-")
    kubectl.kubectl(*words, stdin=json.dumps(document))


def assert_told(said: str, path: str, sentence: str) -> None:
    if path in ("kind", "apiVersion"):
        assert KIND_UNKNOWN in said
        return
    assert told_paths(said) - {NOT_CHECKED} == {path}, said
    assert sentence in said


def told_paths(said: str) -> set[str]:
    """The field paths in what kubectl printed about a refusal."""
    unknown = re.findall(r'unknown field "([^"]+)"', said)
    one = re.findall(r"is invalid: ([^\s:]+): ", said)
    many = re.findall(r"^\* ([^\s:]+): ", said, flags=re.MULTILINE)
    return {*unknown, *one, *many}
