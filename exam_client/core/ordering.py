"""The order in which a participant sees items and options: reproducible from the delivery secret.

Specified in docs/ordering.md with test vectors, so that anybody can recompute an order years later.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from typing import TypeVar

from exam_contract.content import Section

T = TypeVar("T")
_WORD = 2**32


def items_of(secret: bytes, participant_id: int, section: Section) -> list[int]:
    """The items of a section in this participant's order: drawn, then shuffled where asked for."""
    chosen = _selected(secret, participant_id, section)
    if not section.shuffle_items:
        return chosen
    words = _words(_key(secret, participant_id, f"items:{section.id}"))
    return _shuffle_around(chosen, frozenset(section.pinned_items), words)


def options_of(
    secret: bytes, participant_id: int, item_id: int, options: Sequence[str], pinned: Sequence[str]
) -> list[str]:
    """Option ids in this participant's order; pinned options keep their places."""
    words = _words(_key(secret, participant_id, f"options:{item_id}"))
    return _shuffle_around(options, frozenset(pinned), words)


def _selected(secret: bytes, participant_id: int, section: Section) -> list[int]:
    count = section.selection.count
    if count is None or count == len(section.items):
        return list(section.items)
    free = [item for item in section.items if item not in section.pinned_items]
    words = _words(_key(secret, participant_id, f"draw:{section.id}"))
    drawn = _shuffle(free, words)[: max(0, count - len(section.pinned_items))]
    kept = {*drawn, *section.pinned_items}
    return [item for item in section.items if item in kept]


def _shuffle_around(values: Sequence[T], pinned: frozenset[T], words: Iterator[int]) -> list[T]:
    loose = iter(_shuffle([value for value in values if value not in pinned], words))
    return [value if value in pinned else next(loose) for value in values]


def _shuffle(values: Sequence[T], words: Iterator[int]) -> list[T]:
    """Fisher-Yates from the last place down."""
    shuffled = list(values)
    for last in range(len(shuffled) - 1, 0, -1):
        chosen = _below(last + 1, words)
        shuffled[last], shuffled[chosen] = shuffled[chosen], shuffled[last]
    return shuffled


def _below(bound: int, words: Iterator[int]) -> int:
    """A uniform integer in [0, bound): words of the last, incomplete round are thrown away."""
    limit = _WORD - _WORD % bound
    return next(word for word in words if word < limit) % bound


def _key(secret: bytes, participant_id: int, purpose: str) -> bytes:
    message = f"medxamion-order-v1\0{participant_id}\0{purpose}".encode()
    return hmac.new(secret, message, hashlib.sha256).digest()


def _words(key: bytes) -> Iterator[int]:
    """Big-endian 32-bit words of HMAC-SHA256(key, counter), counter as 8 bytes from 0."""
    counter = 0
    while True:
        block = hmac.new(key, counter.to_bytes(8, "big"), hashlib.sha256).digest()
        for start in range(0, len(block), 4):
            yield int.from_bytes(block[start : start + 4], "big")
        counter += 1
