"""The final hand-over: rows cut into content-addressed chunks, and the manifest over all of them.

Deterministic: the same frozen rows give the same chunks and the same manifest, so a hand-over that
was cut off anywhere goes on where it was.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any, get_args

import msgspec

from exam_client.core import attempts, instants
from exam_client.core.state import Draft, State
from exam_contract.canonical import canonical_bytes, digest_bytes
from exam_contract.merkle import root_of_leaves
from exam_contract.results import (
    CHUNK_BYTES,
    TABLES,
    ChunkRef,
    Manifest,
    ParticipantCount,
    Table,
    TableSummary,
)

Row = dict[str, Any]
RowsOf = Callable[[Table], Iterable[Row]]
_TABLES: tuple[Table, ...] = get_args(Table)


class Chunk(msgspec.Struct, frozen=True):
    """Canonical JSON of ``{"rows": [...], "table": name}``, with its rows' leaf hashes."""

    table: Table
    data: bytes
    leaves: list[bytes]

    @property
    def ref(self) -> ChunkRef:
        return ChunkRef(
            digest=digest_bytes(self.data),
            table=self.table,
            rows=len(self.leaves),
            size_bytes=len(self.data),
        )


def chunks(rows_of: RowsOf, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """Every table in the manifest's order, cut at about ``chunk_bytes``."""
    assert _TABLES == TABLES  # noqa: S101  one list of tables, in one order
    for table in _TABLES:
        yield from _chunks_of(table, rows_of(table), chunk_bytes)


def manifest(state: State, parts: Iterable[Chunk], audit_head: str, last_seq: int) -> Manifest:
    """What is handed over, counted and rooted. Only of a frozen delivery."""
    paper, whole = state.paper, state.whole
    assert paper is not None  # noqa: S101  a delivery without its bundle is never sealed
    assert whole.frozen_at is not None  # noqa: S101  sealing follows the freeze
    refs: list[ChunkRef] = []
    leaves: dict[Table, list[bytes]] = {table: [] for table in _TABLES}
    for part in parts:
        refs.append(part.ref)
        leaves[part.table].extend(part.leaves)
    return Manifest(
        delivery_id=state.identity.delivery_id,
        delivery_uid=state.identity.delivery_uid,
        epoch=state.identity.epoch,
        incarnation=state.identity.incarnation,
        exam_id=paper.exam.id,
        exam_version=paper.exam.version,
        content_digest=paper.bundle.content_digest,
        aborted=whole.aborted,
        frozen_at=instants.to_datetime(whole.frozen_at),
        last_seq=last_seq,
        audit_head=audit_head,
        tables={
            table: TableSummary(count=len(found), merkle_root=root_of_leaves(found))
            for table, found in leaves.items()
        },
        participants=_participant_counts(state),
        chunks=refs,
    )


def with_scores(state: State, row: Row) -> Row:
    """An attempt's row with its final score, which follows from its answers."""
    paper = state.paper
    assert paper is not None  # noqa: S101  rows of attempts exist only with a bundle
    sitting = state.sittings[row["participant_id"]]
    score, numerator, denominator = attempts.final_score(Draft(state, 0), paper, sitting)
    return {
        **row,
        "final_score": score,
        "score_numerator": numerator,
        "score_denominator": denominator,
        "manual_pending": state.tallies[sitting.participant_id].manual,
    }


def _chunks_of(table: Table, rows: Iterable[Row], chunk_bytes: int) -> Iterator[Chunk]:
    parts: list[bytes] = []
    size = 0
    for row in rows:
        part = canonical_bytes(row)
        parts.append(part)
        size += len(part) + 1
        if size >= chunk_bytes:
            yield _chunk(table, parts)
            parts, size = [], 0
    if parts:
        yield _chunk(table, parts)


def _chunk(table: Table, parts: list[bytes]) -> Chunk:
    data = b'{"rows":[' + b",".join(parts) + b'],"table":"' + table.encode() + b'"}'
    return Chunk(table, data, [sha256(b"\x00" + part).digest() for part in parts])


def _participant_counts(state: State) -> dict[str, ParticipantCount]:
    paper = state.paper
    assert paper is not None  # noqa: S101  as in ``manifest``
    counts = {}
    for participant_id, sitting in sorted(state.sittings.items()):
        held = state.answers.get(participant_id, {})
        score = None
        if sitting.attempt_id is not None:
            score = attempts.final_score(Draft(state, 0), paper, sitting)[0]
        counts[str(participant_id)] = ParticipantCount(
            answers=sum(1 for current in held.values() if current.revision > 0),
            revisions=state.tallies[participant_id].revisions,
            final_score=score,
        )
    return counts


def canonical_text(made: Manifest) -> str:
    """The manifest as the text that is signed."""
    return canonical_bytes(made.model_dump(mode="json")).decode()
