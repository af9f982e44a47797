"""Final results: exactly once, all or nothing, receipt before erase.

The exam-client exports every table as rows of canonical JSON, cut into content-addressed chunks,
and signs a manifest of them. The coordinator recomputes every count and Merkle root from the rows
that PostgreSQL holds, in the transaction that stores them, and signs a receipt over the manifest's
digest. Rows hold only null, bool, int and str, so that they survive the round trip byte for byte;
times are ``base.rfc3339`` text with microseconds.
"""

from typing import Any, Literal

from pydantic import Field

from exam_contract.base import Contract, Sha256, UtcTime
from exam_contract.canonical import digest
from exam_contract.trust import PublicKey, Signed

CHUNK_BYTES = 1024 * 1024
"""Aim for chunks of this size; at most four times as much is accepted."""

TABLES = ("participants", "attempts", "answers", "progress", "answer_revisions", "client_audit")
"""Exported tables, in the order of the manifest. Rows are ordered by their primary key."""

Table = Literal[
    "participants", "attempts", "answers", "progress", "answer_revisions", "client_audit"
]


class ParticipantRow(Contract):
    """Key: id (the coordinator's participant id). ``status``: an AttemptState."""

    id: int
    identifier: str
    name: str
    email: str
    status: str


class AttemptRow(Contract):
    """Key: id. Points are rationals as text; ``final_score`` is an integer percent or null."""

    id: int
    participant_id: int
    started_at: str
    ended_at: str | None
    current_question: int
    status: str
    deadline: str
    deadline_version: int
    granted_seconds: int
    paused_seconds: int
    item_order: str
    """Canonical JSON list of item ids in the order shown."""
    final_score: int | None
    score_numerator: str
    score_denominator: str
    manual_pending: int


class AnswerRow(Contract):
    """Key: id. The current answer to one question; ``answer`` is canonical JSON text.

    ``score``: integer percent of the item's points; exact points beside it. ``scoring``: auto,
    manual (a scorer decides), or none (not scored).
    """

    id: int
    attempt_id: int
    question_id: int
    answer: str
    submitted_at: str
    score: int
    points: str
    max_points: str
    scoring: Literal["auto", "manual", "none"]
    revision: int


class ProgressRow(Contract):
    """Key: participant_id."""

    participant_id: int
    questions_answered: int
    total_questions: int
    current_score: int
    time_remaining: int | None
    last_activity: str | None


class RevisionRow(Contract):
    """Key: id. Every acknowledged answer command, in the order it was committed; append-only.

    ``counted`` is false for edits that arrived after the deadline and are held for the committee.
    """

    id: int
    attempt_id: int
    question_id: int
    revision: int
    command_id: str
    answer: str
    submitted_at: str
    seq: int
    counted: bool


class ClientAuditRow(Contract):
    """Key: id, from 1. ``hash`` = SHA-256 over the previous hash and the canonical entry.

    ``hash = digest({"prev": prev, "at": at, "actor": actor, "action": action, "detail": detail})``;
    the first ``prev`` is the empty string. ``detail`` is canonical JSON text.
    """

    id: int
    at: str
    actor: str
    action: str
    detail: str
    prev: str
    hash: str


ROW_MODELS: dict[str, type[Contract]] = {
    "participants": ParticipantRow,
    "attempts": AttemptRow,
    "answers": AnswerRow,
    "progress": ProgressRow,
    "answer_revisions": RevisionRow,
    "client_audit": ClientAuditRow,
}


class TableSummary(Contract):
    """``merkle_root`` over the table's rows in key order (``merkle.merkle_root``)."""

    count: int = Field(ge=0)
    merkle_root: Sha256


class ChunkRef(Contract):
    """A chunk is the canonical JSON of ``{"table": name, "rows": [...]}``, found by its digest."""

    digest: Sha256
    table: Table
    rows: int = Field(ge=0)
    size_bytes: int = Field(ge=0)


class ParticipantCount(Contract):
    """What one participant left: current answers, acknowledged revisions and the final score."""

    answers: int
    revisions: int
    final_score: int | None


class Manifest(Contract):
    """What the exam-client says it hands over. Signed with its own key (``MANIFEST_CONTEXT``)."""

    schema_version: Literal[1] = 1
    delivery_id: int
    delivery_uid: str
    epoch: int
    incarnation: int
    exam_id: str
    exam_version: str
    content_digest: Sha256
    aborted: bool = False
    frozen_at: UtcTime
    last_seq: int = Field(ge=0)
    audit_head: str
    """Hash of the last client_audit row; the empty string when there is none."""
    tables: dict[Table, TableSummary]
    participants: dict[str, ParticipantCount]
    """Participant id (as text) to counts."""
    chunks: list[ChunkRef]


def manifest_digest(manifest: Manifest) -> str:
    """Digest of the manifest's canonical JSON: what the receipt names."""
    return digest(manifest.model_dump(mode="json"))


class FinalResults(Contract):
    """Body of ``POST /api/internal/exam-clients/{id}/final-results``."""

    manifest: Signed


class MissingChunks(Contract):
    """Reply (202) while chunks are wanting: send these, then post the manifest again."""

    missing: list[Sha256]


class Receipt(Contract):
    """Signed by the coordinator (``RECEIPT_CONTEXT``): the rows are stored for ever.

    ``tables`` are recomputed from what PostgreSQL returned after COMMIT, not copied.
    """

    schema_version: Literal[1] = 1
    receipt_id: str
    delivery_id: int
    delivery_uid: str
    manifest_digest: Sha256
    tables: dict[Table, TableSummary]
    last_seq: int
    stored_at: UtcTime


class SignedReceipt(Contract):
    """Reply (200) to a transfer that is stored."""

    receipt: Signed


class ReceiptConfirmation(Contract):
    """The exam-client compared the receipt; ``erased`` once its file and key half are gone."""

    manifest_digest: Sha256
    erased: bool = False


class IncarnationRegistration(Contract):
    """``PUT /api/internal/exam-clients/{id}/incarnation``: raised at every open of the file."""

    epoch: int = Field(ge=1)
    incarnation: int = Field(ge=1)
    public_key: PublicKey
    last_seq: int = Field(ge=0)
    """The highest seq in the outbox; the reply says where the coordinator stands."""


class IncarnationReply(Contract):
    accepted_through: int = Field(ge=0)


Row = dict[str, Any]
"""A row as JSON: only null, bool, int and str values."""


def audit_hash(prev: str, at: str, actor: str, action: str, detail: str) -> str:
    """The chain hash of one client_audit row."""
    return digest({"prev": prev, "at": at, "actor": actor, "action": action, "detail": detail})
