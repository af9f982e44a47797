"""What a plan may ask of an edge. Each is idempotent: plans repeat until the world agrees."""

from dataclasses import dataclass

from exam_contract.control import Desired
from exam_contract.delivery import ExamDeliveryStatus
from exam_contract.registration import DeliveryRegistration
from exam_contract.trust import TrustRoot


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Store the status before anything else happens, so that no epoch is ever given twice."""

    status: ExamDeliveryStatus


@dataclass(frozen=True, slots=True)
class RegisterDelivery:
    """Tell the coordinator; nobody waits for the answer."""

    body: DeliveryRegistration


@dataclass(frozen=True, slots=True)
class EnsureSecret:
    """Make the delivery's keys, once. ``key_secret`` names the Secret to copy storage.key from."""

    trust: TrustRoot
    key_secret: str | None


@dataclass(frozen=True, slots=True)
class EnsureVolume:
    size: str


@dataclass(frozen=True, slots=True)
class Protect:
    """Hold object, volume and keys against deletion, before there is any data."""


@dataclass(frozen=True, slots=True)
class LiftProtection:
    """The data is transferred or given up: from now on the object's deletion may take all along."""


@dataclass(frozen=True, slots=True)
class EnsureAccess:
    """Make or mend the way to the exam-client, as ``spec.access`` asks."""


@dataclass(frozen=True, slots=True)
class StartClient:
    """Start the one exam-client. The edge refuses while another may be alive.

    ``expects_data``: answers may lie on the volume, so a blank file must not take their place.
    """

    epoch: int
    delivery_id: int
    expects_data: bool = False


@dataclass(frozen=True, slots=True)
class PutDesired:
    desired: Desired


@dataclass(frozen=True, slots=True)
class StopClient:
    """Ask it to end: it refuses new work, flushes and goes. ``hung``: it will hardly do so, and
    people wait, so its grace is short; the file holds what was acknowledged in any case."""

    reason: str
    hung: bool = False


@dataclass(frozen=True, slots=True)
class KillClient:
    """End one that is proven hung, on a person's request only."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeleteVolume:
    reason: str


@dataclass(frozen=True, slots=True)
class DeleteSecret:
    reason: str


@dataclass(frozen=True, slots=True)
class ReleaseObject:
    """Everything below it is gone: let the object go."""


Command = (
    WriteStatus
    | RegisterDelivery
    | Protect
    | LiftProtection
    | EnsureAccess
    | EnsureSecret
    | EnsureVolume
    | StartClient
    | PutDesired
    | StopClient
    | KillClient
    | DeleteVolume
    | DeleteSecret
    | ReleaseObject
)
