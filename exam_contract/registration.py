"""What the operator tells the coordinator of a delivery, and what it learns.

``PUT /api/internal/deliveries/{uid}``: idempotent, sent at creation, at every change of phase, pod
or endpoint, and as a heartbeat. Authorised by the operator's own identity.
"""

from pydantic import Field

from exam_contract.base import Contract, Sha256, UtcTime
from exam_contract.bundle import Window
from exam_contract.delivery import Condition, DesiredState, Phase
from exam_contract.trust import TrustRoot


class ClientHealth(Contract):
    """How the operator sees the exam-client."""

    healthy: bool
    since: UtcTime | None = None
    restarts: int = 0
    reason: str | None = None


class DiscardedData(Contract):
    """Untransferred data that a person gave up by name: what was known of it, in figures only."""

    started: int = Field(default=0, ge=0)
    closed: int = Field(default=0, ge=0)
    acked: int = Field(default=0, ge=0)
    as_of: UtcTime | None = None


class DeliveryRegistration(Contract):
    name: str
    namespace: str = "default"
    generation: int = Field(ge=0)
    exam_id: str
    exam_version: str
    content_digest: Sha256
    roster_ref: str
    max_participants: int = Field(ge=1)
    window: Window
    time_limit_seconds: int = Field(ge=1)
    phase: Phase
    resume_phase: Phase | None = None
    desired_state: DesiredState | None = None
    conditions: list[Condition] = Field(default=[], max_length=20)
    epoch: int = Field(ge=0)
    pod_uid: str | None = None
    """The current pod's uid; on one machine the uid drawn for the process. Absent without one."""
    service_key_sha256: Sha256 | None = None
    """On one machine: digest of the exam-client's ``service.key``."""
    endpoint_internal: str | None = None
    endpoint_public: str | None = None
    health: ClientHealth | None = None
    discarded: DiscardedData | None = Field(default=None, exclude_if=lambda told: told is None)
    """Absent, and not null, where nothing was discarded: older coordinators don't know it."""


class RegistrationReply(Contract):
    """``epoch``: the highest the coordinator has seen; ``trust`` goes into the Secret once."""

    delivery_id: int = Field(ge=1)
    epoch: int = Field(ge=0)
    trust: TrustRoot
    confirmed_erased: bool = False
