"""Merkle tree of RFC 6962 section 2.1 over canonical rows: one hash that stands for a whole table.

Leaves and nodes are hashed with different prefixes, so a node can never be passed off as a row.
"""

import hashlib
from collections.abc import Iterable, Sequence

from exam_contract.canonical import canonical_bytes


def leaf_hash(row: object) -> bytes:
    """SHA-256 over 0x00 and the row's canonical bytes."""
    return hashlib.sha256(b"\x00" + canonical_bytes(row)).digest()


def merkle_root(rows: Iterable[object]) -> str:
    """``sha256:...`` over the rows in their given order; the empty tree is SHA-256("")."""
    return root_of_leaves([leaf_hash(row) for row in rows])


def root_of_leaves(leaves: Sequence[bytes]) -> str:
    """The root over leaf hashes, folded level by level (an odd last node moves up unchanged)."""
    if not leaves:
        return "sha256:" + hashlib.sha256(b"").hexdigest()
    level = list(leaves)
    while len(level) > 1:
        level = _next_level(level)
    return "sha256:" + level[0].hex()


def _next_level(level: list[bytes]) -> list[bytes]:
    pairs = [
        hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest()
        for i in range(0, len(level) - 1, 2)
    ]
    return pairs + level[-1:] if len(level) % 2 else pairs
