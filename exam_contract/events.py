"""Events of a delivery: at least once, in order, effect once.

The exam-client numbers them gap-free (``seq`` from 1) in the transaction that caused them; the
coordinator skips a known seq whose digest matches, answers a gap with the seq it expects and
quarantines a known seq with another digest. No event carries an answer or a name.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from exam_contract.base import Contract, Sha256, UtcTime
from exam_contract.canonical import digest
from exam_contract.progress import AttemptState, Progress

MAX_BATCH_EVENTS = 500
MAX_BATCH_BYTES = 256 * 1024


class _Event(Contract):
    event_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    delivery_id: int = Field(ge=1)
    epoch: int = Field(ge=1)
    incarnation: int = Field(ge=1)
    seq: int = Field(ge=1)
    timestamp: UtcTime
    digest: Sha256


class _ParticipantEvent(_Event):
    participant_id: int = Field(ge=1)


class ParticipantCheckedIn(_ParticipantEvent):
    """Signed in at the exam-client. ``offline``: against the bundle, the coordinator being away."""

    event_type: Literal["participant_checked_in"]
    offline: bool = False


class ParticipantStarted(_ParticipantEvent):
    event_type: Literal["participant_started"]
    attempt_id: int
    deadline: UtcTime
    deadline_version: int
    total_questions: int


class AnswerSubmitted(_ParticipantEvent):
    event_type: Literal["answer_submitted"]
    attempt_id: int
    question_id: int
    revision: int = Field(ge=1)
    progress: Progress


class ParticipantCompleted(_ParticipantEvent):
    """``final_score``: integer percent of the whole exam; manual items count 0 until decided."""

    event_type: Literal["participant_completed"]
    attempt_id: int
    state: AttemptState
    final_score: int
    score_numerator: str
    score_denominator: str
    manual_pending: int = 0
    progress: Progress


class AttemptChanged(_ParticipantEvent):
    """Paused, resumed, reopened, or given another deadline. ``reason`` is a code, never prose."""

    event_type: Literal["attempt_changed"]
    attempt_id: int | None = None
    state: AttemptState
    deadline: UtcTime | None = None
    deadline_version: int
    reason: Literal[
        "time_granted", "paused", "resumed", "reopened", "outage_credit", "window_moved", "takeover"
    ]
    action_id: str | None = None


class DeliveryChanged(_Event):
    """The delivery as a whole: recovered, opened, frozen, rolled back, storage alarm."""

    event_type: Literal["delivery_changed"]
    change: Literal[
        "assigned",
        "recovered",
        "opened",
        "frozen",
        "rolled_back",
        "storage_full",
        "storage_ok",
        "action_applied",
        "outage_proposed",
    ]
    seconds: int | None = None
    action_id: str | None = None


Event = Annotated[
    ParticipantCheckedIn
    | ParticipantStarted
    | AnswerSubmitted
    | ParticipantCompleted
    | AttemptChanged
    | DeliveryChanged,
    Field(discriminator="event_type"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class EventBatch(Contract):
    """Body of ``POST /api/internal/exam-clients/event`` when more than one event is sent."""

    events: list[Event] = Field(min_length=1, max_length=MAX_BATCH_EVENTS)


class IngestReply(Contract):
    """``accepted_through``: the highest committed seq; the outbox may mark rows up to it."""

    accepted_through: int = Field(ge=0)


def event_digest(body: dict[str, Any]) -> str:
    """Digest over the event's JSON without its ``digest`` member, as it stands on the wire."""
    return digest({name: value for name, value in body.items() if name != "digest"})
