"""What an edge sees of one delivery: facts only, gathered anew for every plan.

An edge fills these in from pods and claims or from processes and folders; nothing here says which.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from exam_contract.control import ClientStatus
from exam_contract.delivery import EndpointStatus, ExamDelivery, PodStatus
from exam_contract.registration import DeliveryRegistration, RegistrationReply
from exam_contract.results import Receipt


@dataclass(frozen=True, slots=True)
class Key:
    """Which object."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Child:
    """The exam-client that exists: a pod, or a process.

    ``alive``: it was not seen to end. ``stopping_since``: it was asked to end gracefully.
    ``unanswered_since``: since when ``/status`` has not answered; ``live_probe_failed``: the second
    signal, taken from its liveness probe. ``template``: what it was started with.
    """

    epoch: int
    pod: PodStatus
    endpoint: EndpointStatus
    alive: bool
    template: str
    stopping_since: datetime | None = None
    unanswered_since: datetime | None = None
    live_probe_failed: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """One end of an exam-client. ``was_ready``: it had served; ``asked``: gracefully stopped."""

    at: datetime
    was_ready: bool
    asked: bool = False
    reason: str = "Exited"


class SecretState(StrEnum):
    ABSENT = "absent"
    PRESENT = "present"
    DAMAGED = "damaged"
    """It exists and its storage key or another part is gone or altered."""


@dataclass(frozen=True, slots=True)
class Secret:
    state: SecretState = SecretState.ABSENT
    service_key_sha256: str | None = None
    problem: str | None = None


class VolumeState(StrEnum):
    ABSENT = "absent"
    PRESENT = "present"
    FOREIGN = "foreign"
    """It carries another object's uid and is never adopted."""
    PENDING_DELETION = "pending_deletion"


@dataclass(frozen=True, slots=True)
class Volume:
    """``holds_data``: whether a delivery's database lies on it, where the edge can tell."""

    state: VolumeState = VolumeState.ABSENT
    name: str | None = None
    holds_data: bool | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """The last words with the coordinator. ``reply`` is the newest that ever came.

    ``sent``, ``sent_at``: what was last handed over; ``answers``: it answered last time;
    ``refusal``: it answered and said no.
    """

    sent: DeliveryRegistration | None = None
    sent_at: datetime | None = None
    reply: RegistrationReply | None = None
    answers: bool = False
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class ReceiptCheck:
    """What the operator's own check of the signature gave: a receipt, or why it is not believed."""

    receipt: Receipt | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at the world around one object. ``client`` is absent where ``/status`` is silent."""

    object: ExamDelivery
    child: Child | None = None
    client: ClientStatus | None = None
    secret: Secret = field(default_factory=Secret)
    volume: Volume = field(default_factory=Volume)
    registered: Registered = field(default_factory=Registered)
    receipt: ReceiptCheck | None = None
    exits: tuple[Exit, ...] = ()
    """The last ends of exam-clients, oldest first."""
