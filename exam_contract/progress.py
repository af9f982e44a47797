"""Live progress: newest wins, loss is allowed, a resync is always possible.

States of an attempt and of a connection are separate things: a participant can be disconnected
while the attempt runs on.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from exam_contract.base import Contract, UtcTime


class AttemptState(StrEnum):
    """Where a participant stands. docs/protocol.md maps these to the original status words."""

    REGISTERED = "registered"
    CHECKED_IN = "checked_in"
    IN_PROGRESS = "in_progress"
    PAUSED = "paused"
    SUBMITTED = "submitted"
    AUTO_SUBMITTED = "auto_submitted"
    FORCE_SUBMITTED = "force_submitted"
    ABSENT = "absent"
    VOIDED = "voided"


OPEN_STATES = frozenset({AttemptState.IN_PROGRESS, AttemptState.PAUSED})
CLOSED_STATES = frozenset(
    {AttemptState.SUBMITTED, AttemptState.AUTO_SUBMITTED, AttemptState.FORCE_SUBMITTED}
)


class Connection(StrEnum):
    NEVER_SEEN = "never_seen"
    ONLINE = "online"
    IDLE = "idle"
    DISCONNECTED = "disconnected"


class Progress(Contract):
    """The ``progress`` member of an answer event, with the original's field names.

    ``current_score``: integer percent (half-even) of the maximum of the items answered so far, with
    the exact numerator and denominator (points, rationals) beside it. ``time_remaining``: seconds.
    """

    questions_answered: int = Field(ge=0)
    total_questions: int = Field(ge=0)
    current_score: int
    score_numerator: str
    score_denominator: str
    time_remaining: int | None = None


class ParticipantProgress(Contract):
    """One row of the live grid. ``name`` and ``identifier`` are shown to staff only."""

    participant_id: int
    identifier: str | None = None
    name: str | None = None
    state: AttemptState
    status: Literal["not_started", "in_progress", "paused", "completed", "absent", "voided"]
    connection: Connection
    progress: Progress
    started_at: UtcTime | None = None
    ended_at: UtcTime | None = None
    deadline: UtcTime | None = None
    deadline_version: int = 0
    last_save: UtcTime | None = None
    last_activity: UtcTime | None = None
    unsynced: int = 0
    manual_pending: int = 0
    final_score: int | None = None


class DeliveryStats(Contract):
    """Aggregates over a delivery. Scores are integer percents; None until someone answered."""

    enrolled: int
    checked_in: int
    in_progress: int
    paused: int
    completed: int
    answers: int
    revisions: int
    average_score: int | None
    average_answered: int | None
    online: int
    disconnected: int
    events_pending: int
    """Outbox rows the coordinator has not acknowledged."""


class ClientView(Contract):
    """The exam-client's ``GET /api/progress``."""

    delivery_id: int
    delivery_uid: str
    epoch: int
    incarnation: int
    as_of: UtcTime
    last_seq: int
    stats: DeliveryStats
    participants: list[ParticipantProgress]


Source = Literal["live", "cached", "last_known", "historical"]


class LiveProgress(Contract):
    """The coordinator's ``live-progress``: it always says where its figures come from."""

    delivery_id: int
    source: Source
    as_of: UtcTime | None
    stats: DeliveryStats
    participants: list[ParticipantProgress]
    reason: str | None = None
    """Why the figures are not live, in words, when they are not."""


STATUS_WORDS: dict[AttemptState, str] = {
    AttemptState.REGISTERED: "not_started",
    AttemptState.CHECKED_IN: "not_started",
    AttemptState.IN_PROGRESS: "in_progress",
    AttemptState.PAUSED: "paused",
    AttemptState.SUBMITTED: "completed",
    AttemptState.AUTO_SUBMITTED: "completed",
    AttemptState.FORCE_SUBMITTED: "completed",
    AttemptState.ABSENT: "absent",
    AttemptState.VOIDED: "voided",
}
"""Attempt state to the original design's status word."""
