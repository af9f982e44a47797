"""The order of items and options: specified, reproducible, fair."""

from collections import Counter
from typing import Any

from exam_client.core import ordering
from exam_contract.content import Section

SECRET = bytes(range(32))


def _section(**members: Any) -> Section:
    shape = {"id": "main", "title": "Main", "items": list(range(1, 9)), "shuffle_items": True}
    return Section.model_validate(shape | members)


def test_the_vectors_of_the_specification() -> None:
    assert ordering.items_of(SECRET, 7, _section()) == [1, 5, 4, 7, 6, 3, 2, 8]
    assert ordering.options_of(SECRET, 7, 42, ["A", "B", "C", "D", "E"], []) == list("ACDEB")
    assert ordering.items_of(SECRET, 7, _section(selection={"count": 3})) == [7, 3, 1]


def test_the_same_participant_always_sees_the_same_order() -> None:
    orders = {tuple(ordering.items_of(SECRET, 7, _section())) for _ in range(3)}
    assert len(orders) == 1
    assert ordering.items_of(SECRET, 8, _section()) != ordering.items_of(SECRET, 7, _section())


def test_without_the_flag_the_authored_order_stays() -> None:
    assert ordering.items_of(SECRET, 7, _section(shuffle_items=False)) == list(range(1, 9))


def test_pinned_items_keep_their_places_and_are_always_drawn() -> None:
    section = _section(pinned_items=[1, 8], selection={"count": 4})
    for participant in range(50):
        order = ordering.items_of(SECRET, participant, section)
        assert len(order) == 4
        assert order[0] == 1
        assert order[-1] == 8


def test_every_option_comes_first_about_equally_often() -> None:
    firsts = Counter(
        ordering.options_of(SECRET, participant, 1, list("ABC"), [])[0]
        for participant in range(3000)
    )
    assert all(900 < count < 1100 for count in firsts.values())
