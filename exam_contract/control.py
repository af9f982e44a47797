"""What the operator and an exam-client say to each other on the control port (9235).

``PUT /desired`` carries the whole desired document with its generation; an older generation is
refused. ``GET /status`` is the only thing the operator reads of an exam-client. Both are authorised
by the delivery's control key (bearer).
"""

from enum import StrEnum

from pydantic import Field

from exam_contract.base import Contract, UtcTime
from exam_contract.bundle import Window
from exam_contract.trust import Signed


class Mode(StrEnum):
    """What the exam-client is to do. Forward, but for run after finalise or transfer (rollback)."""

    PREPARE = "prepare"
    """Open or recover the file, fetch the bundle; check people in, start nobody."""
    RUN = "run"
    """Attempts may start inside the window."""
    FINALISE = "finalise"
    """Close what is open (force_submitted), freeze; nothing is written by participants any more."""
    TRANSFER = "transfer"
    """Seal, upload, compare the receipt. Implies finalise."""
    ERASE = "erase"
    """Only with a receipt that was compared: destroy the file, the key half and the content."""


class Desired(Contract):
    generation: int = Field(ge=1)
    mode: Mode
    window: Window
    time_limit_seconds: int = Field(ge=1)
    aborted: bool = False
    """With finalise and later: the manifest says that the delivery was aborted."""
    fenced: bool = False
    """Break-glass: stay up, acknowledge nothing."""


class ContentStatus(Contract):
    ready: bool
    exam_id: str | None = None
    exam_version: str | None = None
    content_digest: str | None = None
    reason: str | None = None


class StorageStatus(Contract):
    """``state``: ok, full (507, reads go on) or lost (503, nothing is acknowledged)."""

    state: str = Field(pattern=r"^(opening|ok|full|lost|erased)$")
    reason: str | None = None
    free_bytes: int | None = None


class Counts(Contract):
    enrolled: int = 0
    checked_in: int = 0
    started: int = 0
    open: int = 0
    closed: int = 0
    answers: int = 0
    revisions: int = 0
    last_seq: int = 0
    delivered_seq: int = 0


class TransferStatus(Contract):
    """``receipt`` is the signed receipt itself, so that the operator can check it on its own."""

    state: str = Field(pattern=r"^(none|frozen|sealed|uploading|committed|receipted|erased)$")
    manifest_digest: str | None = None
    receipt: Signed | None = None
    error: str | None = None
    attempts: int = 0


class ClientStatus(Contract):
    delivery_id: int
    delivery_uid: str
    epoch: int
    incarnation: int
    generation: int
    """Generation of the desired document in force; 0 before the first."""
    mode: Mode
    ready: bool
    fenced: bool = False
    content: ContentStatus
    storage: StorageStatus
    counts: Counts
    transfer: TransferStatus
    all_sat: bool = False
    """Every enrolled participant has a closed attempt."""
    latest_deadline: UtcTime | None = None
    """The last deadline of an open attempt (without grace)."""
    coordinator_reachable: bool | None = None
    tls_expires_at: UtcTime | None = None
    """When the first of the certificates in force ends; null for plain http."""
    tls_reason: str | None = None
    """Why the certificates that were put there are not the ones in force; null when they are."""
    reported_at: UtcTime
