"""What the coordinator is told of a delivery: on every change, and as a heartbeat."""

from datetime import datetime, timedelta

from exam_contract.bundle import Window
from exam_contract.delivery import END_PHASES, ExamDeliveryStatus, Phase
from exam_contract.registration import ClientHealth, DeliveryRegistration, DiscardedData
from exam_operator.core.phases import discarded
from exam_operator.core.world import Observed, Registered

RETRY = timedelta(seconds=1)
_REFUSED = timedelta(seconds=10)
"""What was refused heals at the coordinator, by an import, say; nobody tells of it."""


def registration(observed: Observed, status: ExamDeliveryStatus) -> DeliveryRegistration:
    """The whole registration that goes with a status."""
    stored, spec = observed.object, observed.object.spec
    child = observed.child
    return DeliveryRegistration(
        name=stored.metadata.name,
        namespace=stored.metadata.namespace,
        generation=stored.metadata.generation,
        exam_id=spec.exam.id,
        exam_version=spec.exam.version,
        content_digest=spec.exam.content_digest,
        roster_ref=spec.participants.roster_ref,
        max_participants=spec.participants.max_count,
        window=Window(**spec.window.model_dump()),
        time_limit_seconds=spec.time_limit_seconds,
        phase=status.phase,
        resume_phase=status.resume_phase,
        desired_state=spec.desired_state,
        conditions=status.conditions,
        epoch=status.epoch,
        pod_uid=child.pod.uid if child and child.alive else None,
        service_key_sha256=observed.secret.service_key_sha256,
        endpoint_internal=status.endpoint.internal,
        endpoint_public=status.endpoint.public,
        health=_health(observed, status),
        discarded=_discarded(status),
    )


def due(
    registered: Registered,
    body: DeliveryRegistration,
    phase: Phase,
    heartbeat: timedelta,
    now: datetime,
) -> bool:
    """At once when something changed; else as a heartbeat, and at the end only until heard."""
    if registered.sent is None or registered.sent_at is None:
        return True
    waited = now - registered.sent_at
    if registered.sent != body:
        return registered.answers or waited >= RETRY
    if phase in END_PHASES and registered.answers:
        return False
    return waited >= (min(heartbeat, _REFUSED) if registered.refusal else heartbeat)


def _discarded(status: ExamDeliveryStatus) -> DiscardedData | None:
    if not discarded(status):
        return None
    counts = status.counts
    return DiscardedData(
        started=counts.started, closed=counts.closed, acked=counts.acked, as_of=counts.as_of
    )


def _health(observed: Observed, status: ExamDeliveryStatus) -> ClientHealth:
    healthy = next((c for c in status.conditions if c.type == "ClientHealthy"), None)
    return ClientHealth(
        healthy=healthy is not None and healthy.status == "True",
        since=healthy.last_transition_time if healthy else None,
        restarts=status.restarts.count,
        reason=healthy.message or healthy.reason if healthy else None,
    )
