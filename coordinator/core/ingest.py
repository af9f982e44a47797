"""Which events of a batch are new: at least once in, effect once.

The sender numbers events gap-free; a known seq is skipped only when its digest is the stored one,
a gap is answered with the seq expected, another digest is quarantined. What stands before a gap or
a conflict in the same batch is kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from exam_contract.events import Event


class Fence(NamedTuple):
    """Who may write: compared as a pair, the greater wins."""

    epoch: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a delivery stands in PostgreSQL."""

    accepted_through: int
    stream: int
    fence: Fence


@dataclass(frozen=True, slots=True)
class Incoming:
    """A valid event and its body as it stood on the wire."""

    event: Event
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A known seq that came with another digest."""

    incoming: Incoming
    stored_digest: str


@dataclass(frozen=True, slots=True)
class Plan:
    """``new``: to be stored, in order. ``gap``: the seq that is missing."""

    new: tuple[Incoming, ...]
    gap: int | None = None
    conflict: Conflict | None = None


def known_seqs(cursor: Cursor, batch: Iterable[Incoming]) -> list[int]:
    """The seqs whose stored digests the plan needs."""
    return [item.event.seq for item in batch if item.event.seq <= cursor.accepted_through]


def plan(cursor: Cursor, batch: Iterable[Incoming], known: Mapping[int, str]) -> Plan:
    """Decide for a batch in any order; ``known`` maps stored seqs of the batch to their digests."""
    digests = dict(known)
    new: list[Incoming] = []
    expected = cursor.accepted_through + 1
    for item in sorted(batch, key=lambda item: item.event.seq):
        seq, digest = item.event.seq, item.event.digest
        if seq > expected:
            return Plan(tuple(new), gap=expected)
        if seq == expected:
            new.append(item)
            digests[seq] = digest
            expected += 1
        elif digests.get(seq) != digest:
            return Plan(tuple(new), conflict=Conflict(item, digests.get(seq, "")))
    return Plan(tuple(new))
