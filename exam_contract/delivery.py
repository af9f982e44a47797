"""The ExamDelivery object: what ``kubectl apply`` and ``examctl apply`` accept, and its status.

One model is the source of the CRD and of every check. Rules that compare fields or an old object
with a new one live in ``delivery_rules``, each with one sentence that both doors speak.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from exam_contract.base import Sha256, Slug, UtcTime

GROUP, VERSION, KIND, PLURAL = "exams.medxamion.io", "v1", "ExamDelivery", "examdeliveries"
API_VERSION = f"{GROUP}/{VERSION}"
DISCARD_ANNOTATION = f"{GROUP}/discard-untransferred-data"
"""Set to the delivery's uid by a person who accepts that its data is lost."""
RESTART_ANNOTATION = f"{GROUP}/restart-requested-at"
FENCE_ANNOTATION = f"{GROUP}/fenced"
FINALIZER = f"{GROUP}/untransferred-data"
"""Holds object, volume claim and keys in a cluster until the data is transferred or given up."""
NAMESPACE_LABEL = f"{GROUP}/untransferred"
"""On a namespace that holds untransferred deliveries; its deletion is refused meanwhile."""


class _Object(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True
    )

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """What is frozen may be shared; pydantic would copy each default for each object read."""
        return self


class Phase(StrEnum):
    ASSIGNED = "Assigned"
    PREPARING = "Preparing"
    PREPARED = "Prepared"
    RUNNING = "Running"
    FINALISING = "Finalising"
    TRANSFERRING = "Transferring"
    VALIDATED = "Validated"
    CLEANED_UP = "CleanedUp"
    RECOVERING = "Recovering"
    ABORTED = "Aborted"
    FAILED = "Failed"


class DesiredState(StrEnum):
    """An upper bound on how far the delivery goes; forward-only but for the rollback."""

    ASSIGNED = "Assigned"
    PREPARED = "Prepared"
    RUNNING = "Running"
    FINALISED = "Finalised"
    ABORTED = "Aborted"


END_PHASES = frozenset({Phase.CLEANED_UP, Phase.ABORTED, Phase.FAILED})

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]
Duration = Annotated[str, StringConstraints(pattern=r"^([0-9]{1,6}(h|m|s)){1,3}$", max_length=24)]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]*$", max_length=253)]
"""A name or an address: it becomes part of URLs and of a certificate."""
Text = Annotated[str, StringConstraints(max_length=256)]


class ExamRef(_Object):
    """Which exam version; ``contentDigest`` refuses silently changed content."""

    id: Slug
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
    content_digest: Sha256


class WindowSpec(_Object):
    opens_at: UtcTime
    closes_at: UtcTime
    grace_seconds: int = Field(default=60, ge=0, le=3600, strict=True)


class ParticipantsSpec(_Object):
    max_count: int = Field(default=1000, ge=1, le=20_000, strict=True)
    roster_ref: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,63}$")]


class ResourcesSpec(_Object):
    """Requests and limits of the exam-client's container, as Kubernetes quantities."""

    cpu: Quantity = "500m"
    memory: Quantity = "512Mi"


class ClientSpec(_Object):
    image: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    resources: ResourcesSpec = ResourcesSpec()


class StorageSpec(_Object):
    """``retention``: how long the volume is held after Validated."""

    size: Quantity = "1Gi"
    class_name: Name | None = None
    access_mode: Literal["ReadWriteOncePod", "ReadWriteOnce"] = "ReadWriteOncePod"
    retention: Duration = "0s"


class SecretRef(_Object):
    name: Name


class EncryptionSpec(_Object):
    key_secret_ref: SecretRef | None = None


class RecoverySpec(_Object):
    """``maxRestarts`` raises Degraded when passed; recovery itself never stops."""

    max_restarts: int = Field(default=5, ge=0, le=1000, strict=True)
    node_loss_policy: Literal["Wait", "Replace"] = "Wait"


class TransferSpec(_Object):
    deadline: Duration = "1h"


class TlsSpec(_Object):
    secret_ref: SecretRef


class AccessSpec(_Object):
    type: Literal["ClusterIP", "NodePort", "Ingress", "HTTPRoute"] = "ClusterIP"
    host: Host | None = None
    port: int | None = Field(default=None, ge=1, le=65535, strict=True)
    tls: TlsSpec | None = None


class ExamDeliverySpec(_Object):
    """What one delivery is; numbers and booleans are written without quotes."""

    exam: ExamRef
    window: WindowSpec
    time_limit_seconds: int = Field(ge=1, le=7 * 86_400, strict=True)
    participants: ParticipantsSpec
    client: ClientSpec = ClientSpec()
    storage: StorageSpec = StorageSpec()
    encryption: EncryptionSpec = EncryptionSpec()
    recovery: RecoverySpec = RecoverySpec()
    transfer: TransferSpec = TransferSpec()
    access: AccessSpec = AccessSpec()
    desired_state: DesiredState = DesiredState.RUNNING
    paused: bool = Field(default=False, strict=True)
    replicas: int = Field(default=1, ge=0, le=100, strict=True)


class PodStatus(_Object):
    """The exam-client: a pod's name and uid, or a process's pid and start time.

    ``restarts``: how often its container was started again in its place; absent for a process.
    """

    name: Text | None = None
    uid: Text | None = None
    node: Text | None = None
    image: Annotated[str, StringConstraints(max_length=512)] | None = None
    started_at: UtcTime | None = None
    restarts: int | None = Field(default=None, ge=0)


class EndpointStatus(_Object):
    """``internal``: the coordinator's; ``public``: participants'; ``control``: the operator's."""

    internal: Text | None = None
    public: Text | None = None
    control: Text | None = None


class RestartsStatus(_Object):
    count: int = Field(default=0, ge=0)
    last_at: UtcTime | None = None
    last_reason: Text | None = None
    last_requested_at: Text | None = None
    """The restart annotation's value that was last carried out."""
    recovery_started_at: UtcTime | None = None
    last_recovery_seconds: Annotated[str, StringConstraints(max_length=32)] | None = None


class CountsStatus(_Object):
    """Coarse, at most every 30 s: live progress belongs to the coordinator."""

    enrolled: int = Field(default=0, ge=0)
    started: int = Field(default=0, ge=0)
    open: int = Field(default=0, ge=0)
    closed: int = Field(default=0, ge=0)
    acked: int = Field(default=0, ge=0)
    as_of: UtcTime | None = None


class TransferStatus(_Object):
    state: Text = "none"
    manifest_digest: Sha256 | None = None
    receipt_id: Text | None = None
    started_at: UtcTime | None = None
    validated_at: UtcTime | None = None


ConditionType = Literal[
    "Ready",
    "ContentReady",
    "StorageReady",
    "ClientHealthy",
    "Recovering",
    "WriterFenced",
    "PendingTemplate",
    "TransferComplete",
    "DataValidated",
    "CleanupComplete",
    "Degraded",
]


class Condition(_Object):
    """KEP-1623 fields."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    message: Annotated[str, StringConstraints(max_length=1024)] = ""
    last_transition_time: UtcTime
    observed_generation: int = Field(default=0, ge=0)


class ExamDeliveryStatus(_Object):
    observed_generation: int = Field(default=0, ge=0)
    phase: Phase = Phase.ASSIGNED
    resume_phase: Phase | None = None
    epoch: int = Field(default=0, ge=0)
    delivery_id: int | None = Field(default=None, ge=1)
    replicas: int = Field(default=0, ge=0)
    selector: Text = ""
    pod: PodStatus = PodStatus()
    pvc_name: Text | None = None
    endpoint: EndpointStatus = EndpointStatus()
    restarts: RestartsStatus = RestartsStatus()
    counts: CountsStatus = CountsStatus()
    transfer: TransferStatus = TransferStatus()
    conditions: list[Condition] = Field(default=[], max_length=20)


class ObjectMeta(BaseModel):
    """The part of metadata that we read; Kubernetes adds more, which is kept out of our way."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True
    )

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    namespace: Annotated[str, StringConstraints(max_length=63)] = "default"
    uid: str | None = None
    generation: int = Field(default=0, ge=0)
    creation_timestamp: UtcTime | None = None
    deletion_timestamp: UtcTime | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    resource_version: str | None = None


class ExamDelivery(_Object):
    """The whole object, as it stands in YAML."""

    api_version: Literal["exams.medxamion.io/v1"]
    kind: Literal["ExamDelivery"]
    metadata: ObjectMeta
    spec: ExamDeliverySpec
    status: ExamDeliveryStatus = ExamDeliveryStatus()

    def to_dict(self) -> dict[str, Any]:
        """JSON data with the wire's camelCase names; absent optional fields stay absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def duration_seconds(text: str) -> int:
    """Seconds of a duration such as ``90s``, ``1h`` or ``1h30m``."""
    unit_seconds = {"h": 3600, "m": 60, "s": 1}
    total, digits = 0, ""
    for char in text:
        if char.isdigit():
            digits += char
        else:
            total, digits = total + int(digits) * unit_seconds[char], ""
    return total
