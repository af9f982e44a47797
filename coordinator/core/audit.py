"""The audit chain: each entry's hash covers the one before it, so an edit shows at its place."""

from collections.abc import Iterable
from dataclasses import dataclass

from exam_contract.canonical import canonical_bytes, digest


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of ``audit_log``; ``detail`` is canonical JSON text, never an answer or a name."""

    id: int
    at: str
    actor: str
    action: str
    target: str
    detail: str
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """``broken_at``: the first entry that does not follow from the one before; None when sound."""

    entries: int
    head: str
    broken_at: int | None = None
    reason: str | None = None


def next_entry(
    last: tuple[int, str], at: str, actor: str, action: str, target: str, detail: dict[str, object]
) -> Entry:
    """The entry that follows ``last`` (its id and hash; ``(0, "")`` before the first)."""
    number, prev = last
    text = canonical_bytes(detail).decode()
    return Entry(
        id=number + 1,
        at=at,
        actor=actor,
        action=action,
        target=target,
        detail=text,
        prev=prev,
        hash=entry_hash(prev, at, actor, action, target, text),
    )


def entry_hash(prev: str, at: str, actor: str, action: str, target: str, detail: str) -> str:
    """Digest of the canonical JSON of the six members."""
    return digest(
        {
            "prev": prev,
            "at": at,
            "actor": actor,
            "action": action,
            "target": target,
            "detail": detail,
        }
    )


def verify(entries: Iterable[Entry], after: tuple[int, str] = (0, "")) -> Verdict:
    """Walk the chain in the order of ids; stops at the first entry that does not hold."""
    number, head = after
    for entry in entries:
        if entry.id != number + 1:
            return Verdict(number, head, number + 1, f"entry {number + 1} is missing")
        if entry.prev != head:
            return Verdict(number, head, entry.id, "it does not follow from the entry before")
        if entry.hash != entry_hash(
            entry.prev, entry.at, entry.actor, entry.action, entry.target, entry.detail
        ):
            return Verdict(number, head, entry.id, "its content was changed")
        number, head = entry.id, entry.hash
    return Verdict(number, head)
