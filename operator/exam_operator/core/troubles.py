"""What is wrong with a delivery and what a person can do about it, the gravest first."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from exam_contract.delivery import END_PHASES, ExamDeliveryStatus, Phase, duration_seconds
from exam_operator.core.phases import Step, data_lost, started_anew
from exam_operator.core.receipts import receipt_rejection
from exam_operator.core.world import Observed, SecretState, VolumeState

_PATIENCE = timedelta(seconds=8)
"""With a coordinator that was never heard; the next look comes when it ends."""
_ENDS_SOON = timedelta(days=7)
"""Every issuer should have renewed it long before."""
LOST = (
    "the delivery's database or key is gone. Put the volume or the Secret back; to give the data"
    " up, set the annotation exams.medxamion.io/discard-untransferred-data to the object's uid"
)
_KEYLESS = (
    "the delivery's keys are gone and its volume is there: put the Secret back. A running"
    " exam-client goes on, a new one could not read its data"
)
_ANEW = (
    "the exam-client came back with fewer attempts than were begun: its volume was emptied or"
    " swapped. It is fenced off; put the volume back and ask for a restart, or give the data up"
    " with the annotation exams.medxamion.io/discard-untransferred-data set to the object's uid"
)
_CLAIM_GOING = (
    "somebody deleted its volume claim. The exam goes on and ends as it should; only, a new pod"
    " could not use the volume, so no restart is carried out: don't delete the pod"
)
_CLAIM_LOST = (
    "somebody deleted its volume claim, so that no pod can use the volume. The data is there still:"
    " make the claim anew over the same PersistentVolume, as docs/kubernetes.md says"
)


def troubles(
    observed: Observed, step: Step, status: ExamDeliveryStatus, now: datetime
) -> Iterable[tuple[str, str]]:
    """Every trouble, the gravest first: what threatens data, then what stands in the way."""
    yield from _data_troubles(observed, step, now)
    rejection = receipt_rejection(observed)
    if rejection is not None and step.phase is not Phase.VALIDATED:
        yield "ReceiptRejected", rejection
    if _transfer_late(observed, step, status, now):
        yield "TransferLate", "the transfer deadline has passed; nothing is given up, trying on"
    yield from _platform_troubles(observed, step)
    if step.phase not in END_PHASES:
        yield from _certificate_troubles(observed, now)
    if status.delivery_id is None and step.phase is Phase.ASSIGNED:
        yield from _registration_troubles(observed, now)
    most = observed.object.spec.recovery.max_restarts
    if status.restarts.count > most and step.phase not in (Phase.CLEANED_UP, Phase.ABORTED):
        yield "TooManyRestarts", f"{status.restarts.count} restarts, more than {most}; trying on"


def _data_troubles(observed: Observed, step: Step, now: datetime) -> Iterable[tuple[str, str]]:
    if started_anew(observed):
        yield "StartedAnew", _ANEW
    elif data_lost(observed, step.phase, now):
        yield "StorageLost", LOST
    if observed.secret.state is SecretState.DAMAGED:
        yield "SecretDamaged", observed.secret.problem or "a key file is missing or altered"
    elif observed.secret.problem:
        yield "SecretNotReady", observed.secret.problem
    elif _keys_are_missing(observed, step):
        yield "SecretMissing", _KEYLESS
    if observed.volume.state is VolumeState.PENDING_DELETION:
        gone = observed.child is None or observed.child.gone
        yield "VolumeDeletionPending", _CLAIM_LOST if gone else _CLAIM_GOING


def _keys_are_missing(observed: Observed, step: Step) -> bool:
    """They are made before the volume, and only the end of the data may take them."""
    missing = observed.secret.state is SecretState.ABSENT
    wanted = step.phase is not Phase.VALIDATED and step.phase not in END_PHASES
    return missing and wanted and observed.volume.state is VolumeState.PRESENT


def _platform_troubles(observed: Observed, step: Step) -> Iterable[tuple[str, str]]:
    """What the platform refuses or can't do; it heals by itself once the cause is gone.

    A volume that can't be had comes before the pod that can't be scheduled for want of it.
    """
    child, ended = observed.child, step.phase in END_PHASES
    if observed.refused is not None and not ended:
        yield observed.refused.reason, observed.refused.message
    if observed.volume.state is VolumeState.FOREIGN or observed.volume.problem:
        yield "StorageNotReady", observed.volume.problem or "the volume belongs to another object"
    if child is not None and child.trouble is not None and not ended:
        yield child.trouble.reason, child.trouble.message
    if child is not None and child.node_trouble is not None:
        yield "NodeNotReady", child.node_trouble
    if observed.access.trouble is not None and not ended:
        yield observed.access.trouble.reason, observed.access.trouble.message


def _certificate_troubles(observed: Observed, now: datetime) -> Iterable[tuple[str, str]]:
    """What the exam-client shows counts; where it does not say, what was made for it."""
    client, ends = observed.client, observed.access.certificate_ends
    if client is not None:
        ends = client.tls_expires_at or ends
        if client.tls_reason is not None:
            yield (
                "CertificateBroken",
                f"{client.tls_reason}. The one before is shown still; mend it",
            )
    if ends is None or ends - now > _ENDS_SOON:
        return
    own = observed.object.spec.access.tls
    whose = "" if own is None else f"{own.secret_ref.name} of access.tls, or else "
    mend = (
        f"renew Secret {whose}exam-{observed.object.metadata.uid}-tls: the operator's log, or"
        " cert-manager's Certificate, says what is in the way; it is taken without a restart"
    )
    if ends <= now:
        yield "CertificateExpired", f"the certificate ended at {ends:%Y-%m-%d %H:%M} UTC; {mend}"
    else:
        yield "CertificateEndsSoon", f"the certificate ends at {ends:%Y-%m-%d %H:%M} UTC; {mend}"


def _registration_troubles(observed: Observed, now: datetime) -> Iterable[tuple[str, str]]:
    """A delivery that the coordinator does not know yet can't be prepared."""
    silent_at = patience_ends(observed)
    if observed.registered.refusal:
        yield "RegistrationRefused", observed.registered.refusal
    elif silent_at is not None and now >= silent_at:
        message = "the coordinator does not answer; the delivery is prepared once it does"
        yield "CoordinatorSilent", message


def patience_ends(observed: Observed) -> datetime | None:
    """When a coordinator that does not answer is said to be silent; None while it answers."""
    created = observed.object.metadata.creation_timestamp
    return None if observed.registered.answers or created is None else created + _PATIENCE


def _transfer_late(
    observed: Observed, step: Step, status: ExamDeliveryStatus, now: datetime
) -> bool:
    started = status.transfer.started_at
    if started is None or step.phase not in (Phase.FINALISING, Phase.TRANSFERRING):
        return False
    allowed = timedelta(seconds=duration_seconds(observed.object.spec.transfer.deadline))
    return now > started + allowed
