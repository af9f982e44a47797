"""The audit chain: each entry's hash covers the one before, so that no edit goes unseen."""

from typing import Any

import msgspec

from exam_client.core import instants
from exam_contract.canonical import canonical_bytes
from exam_contract.results import audit_hash


class Entry(msgspec.Struct, frozen=True):
    """One row of ``audit``, as it is exported."""

    id: int
    at: str
    actor: str
    action: str
    detail: str
    prev: str
    hash: str


def entry(
    number: int, prev: str, now: int, actor: str, action: str, detail: dict[str, Any]
) -> Entry:
    """The next entry of the chain. ``detail`` becomes canonical JSON."""
    at = instants.text(now)
    text = canonical_bytes(detail).decode()
    return Entry(
        id=number,
        at=at,
        actor=actor,
        action=action,
        detail=text,
        prev=prev,
        hash=audit_hash(prev, at, actor, action, text),
    )


def first_break(entries: list[Entry]) -> int | None:
    """The id of the first entry that does not follow from the one before, or None."""
    prev = ""
    for number, row in enumerate(entries, start=1):
        expected = audit_hash(prev, row.at, row.actor, row.action, row.detail)
        if row.id != number or row.prev != prev or row.hash != expected:
            return row.id
        prev = row.hash
    return None
