"""The next status: what the object tells people, changed only where something changed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from exam_contract.delivery import (
    RESTART_ANNOTATION,
    CountsStatus,
    EndpointStatus,
    ExamDeliveryStatus,
    Phase,
    PodStatus,
    RestartsStatus,
    TransferStatus,
)
from exam_operator.core import commands as c
from exam_operator.core.conditions import conditions
from exam_operator.core.phases import Closing, Step
from exam_operator.core.receipts import verified_receipt
from exam_operator.core.world import Observed


def next_status(
    observed: Observed,
    step: Step,
    acts: Sequence[c.Command],
    template: str,
    counts_every: timedelta,
    now: datetime,
) -> ExamDeliveryStatus:
    """The status that goes with this step and these actions."""
    before, start = observed.object.status, _start_among(acts)
    status = before.model_copy(
        update={
            "observed_generation": observed.object.metadata.generation,
            "phase": Phase.RECOVERING if step.recovering else step.phase,
            "resume_phase": step.phase if step.recovering else None,
            "epoch": start.epoch if start else _epoch(observed),
            "delivery_id": delivery_id(observed),
            "replicas": int(observed.child is not None and observed.child.alive),
            "selector": f"medxamion.io/delivery={observed.object.metadata.uid}",
            "pod": observed.child.pod if observed.child else PodStatus(),
            "pvc_name": observed.volume.name,
            "endpoint": observed.child.endpoint if observed.child else before.endpoint,
            "restarts": _restarts(observed, step, start, now),
            "counts": _counts(observed, step, counts_every, now),
            "transfer": _transfer(observed, step, now),
        }
    )
    if step.phase in (Phase.CLEANED_UP, Phase.ABORTED, Phase.FAILED):
        status = status.model_copy(update={"endpoint": EndpointStatus()})
    found = conditions(observed, step, status, template, now)
    return status.model_copy(update={"conditions": found})


def delivery_id(observed: Observed) -> int | None:
    """The coordinator's number for the delivery; once known it never changes."""
    known = observed.object.status.delivery_id
    if known is not None:
        return known
    reply = observed.registered.reply
    return reply.delivery_id if reply is not None else None


def _start_among(acts: Sequence[c.Command]) -> c.StartClient | None:
    return next((act for act in acts if isinstance(act, c.StartClient)), None)


def _epoch(observed: Observed) -> int:
    running = observed.child.epoch if observed.child is not None else 0
    return max(observed.object.status.epoch, running)


def _restarts(
    observed: Observed, step: Step, start: c.StartClient | None, now: datetime
) -> RestartsStatus:
    before = observed.object.status.restarts
    update = _restarts_in_place(observed, now)
    if start is not None and 0 < observed.object.status.epoch < start.epoch:
        asked = observed.object.metadata.annotations.get(RESTART_ANNOTATION)
        requested = bool(asked) and asked != before.last_requested_at
        last = observed.exits[-1].reason if observed.exits else "ClientLost"
        update = {
            "count": before.count + 1,
            "last_at": now,
            "last_reason": "RestartRequested" if requested else last,
            "last_requested_at": asked if requested else before.last_requested_at,
        }
    return before.model_copy(update={**update, **_recovery_times(observed, step, now)})


def _restarts_in_place(observed: Observed, now: datetime) -> dict[str, object]:
    """The same pod, its container started again: counted with the rest."""
    before, child = observed.object.status, observed.child
    if child is None or child.pod.uid != before.pod.uid:
        return {}
    again = (child.pod.restarts or 0) - (before.pod.restarts or 0)
    if again <= 0:
        return {}
    reason = observed.exits[-1].reason if observed.exits else "ClientLost"
    return {"count": before.restarts.count + again, "last_at": now, "last_reason": reason}


def _recovery_times(observed: Observed, step: Step, now: datetime) -> dict[str, object]:
    started = observed.object.status.restarts.recovery_started_at
    if step.recovering and started is None:
        return {"recovery_started_at": observed.exits[-1].at if observed.exits else now}
    if not step.recovering and started is not None:
        seconds = max(0.0, (now - started).total_seconds())
        return {"recovery_started_at": None, "last_recovery_seconds": f"{seconds:.3f}"}
    return {}


def _counts(observed: Observed, step: Step, every: timedelta, now: datetime) -> CountsStatus:
    """Coarse; at once only where a decision reads it: the first start, and a change of phase."""
    before, client = observed.object.status.counts, observed.client
    if client is None:
        return before
    first_start = before.started == 0 and client.counts.started > 0
    moved = observed.object.status.phase is not step.phase
    stale = before.as_of is None or now - before.as_of >= every
    return newest_counts(observed, now) if first_start or moved or stale else before


def newest_counts(observed: Observed, now: datetime) -> CountsStatus:
    """What the exam-client counts now; what is written, where it is silent or counts the same."""
    before, client = observed.object.status.counts, observed.client
    # Another file, or none any more: that attempts were begun must not be forgotten for it.
    if client is None or client.counts.started < before.started:
        return before
    fresh = {
        "enrolled": client.counts.enrolled,
        "started": client.counts.started,
        "open": client.counts.open,
        "closed": client.counts.closed,
        "acked": client.counts.revisions,
    }
    if all(getattr(before, name) == count for name, count in fresh.items()):
        return before
    return CountsStatus.model_validate({**fresh, "as_of": now})


def _transfer(observed: Observed, step: Step, now: datetime) -> TransferStatus:
    before, client = observed.object.status.transfer, observed.client
    if step.closing in (Closing.NOT_CLOSED, Closing.ROLLED_BACK):
        return TransferStatus()
    if step.closing is Closing.DATA_DISCARDED:
        return before
    update: dict[str, object] = {}
    if before.started_at is None:
        update["started_at"] = now
    if client is not None:
        update["state"] = client.transfer.state
        update["manifest_digest"] = client.transfer.manifest_digest or before.manifest_digest
    receipt = verified_receipt(observed)
    if receipt is not None and before.validated_at is None and step.phase is Phase.VALIDATED:
        update["receipt_id"], update["validated_at"] = receipt.receipt_id, now
    return before.model_copy(update=update)
