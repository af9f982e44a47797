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
class Trouble:
    """``reason``: a CamelCase word; ``message``: what is wrong and what a person can do."""

    reason: str
    message: str


class Remains(StrEnum):
    """What is left of an exam-client that ended."""

    NONE = "none"
    """Nothing is in a successor's way."""
    RETURNING = "returning"
    """Whoever runs it starts it again in its place."""
    BLOCKING = "blocking"
    """Its object holds the place until it is removed."""


@dataclass(frozen=True, slots=True)
class Child:
    """The exam-client that exists: a pod, or a process.

    ``alive``: it was not seen to end. ``stopping_since``: it was asked to end gracefully (in a
    cluster the end of its grace, which is ahead).
    ``unanswered_since``: since when ``/status`` has not answered; ``live_probe_failed``: the second
    signal, taken from its liveness probe. ``template``: what it was started with. ``never_ran``: it
    is there and has not begun; ``trouble``: why. ``outdated``: the installation gives it
    another image by now, or another way to it. ``node_trouble``: what is wrong with its node;
    ``node_lost``: the node is deleted or declared out of service, so that it can't be alive.
    """

    epoch: int
    pod: PodStatus
    endpoint: EndpointStatus
    alive: bool
    template: str
    stopping_since: datetime | None = None
    unanswered_since: datetime | None = None
    live_probe_failed: bool = False
    remains: Remains = Remains.NONE
    never_ran: bool = False
    trouble: Trouble | None = None
    node_trouble: str | None = None
    node_lost: bool = False
    outdated: bool = False

    @property
    def gone(self) -> bool:
        """Whether nothing of it is left that could write or stand in the way."""
        return not self.alive and self.remains is Remains.NONE


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
    """``problem`` beside PRESENT: it works still, and a person must see to it."""

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
class Access:
    """The way to the exam-client: Service, certificate and what is asked for in ``spec.access``.

    ``ready``: all of it stands as it should. Where an edge needs none of this, it always does.
    ``certificate_ends``: of the one that was made for it, whatever the exam-client shows.
    """

    ready: bool = True
    trouble: Trouble | None = None
    certificate_ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReceiptCheck:
    """What the operator's own check of the signature gave: a receipt, or why it is not believed."""

    receipt: Receipt | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at the world around one object. ``client`` is absent where ``/status`` is silent.

    ``refused``: what the platform said no to when it was asked last. ``unstarted``: an epoch whose
    start it refused, so that nobody has it. ``protected``: whether object, volume and keys are held
    against deletion; None where the edge has no such hold.
    """

    object: ExamDelivery
    child: Child | None = None
    client: ClientStatus | None = None
    secret: Secret = field(default_factory=Secret)
    volume: Volume = field(default_factory=Volume)
    registered: Registered = field(default_factory=Registered)
    receipt: ReceiptCheck | None = None
    exits: tuple[Exit, ...] = ()
    """The last ends of exam-clients, oldest first."""
    access: Access = field(default_factory=Access)
    refused: Trouble | None = None
    unstarted: int | None = None
    protected: bool | None = None
