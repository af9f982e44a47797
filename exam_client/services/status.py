"""What the operator and its probes are told: ``/status``, ready, live, and the gauges."""

import time
from collections.abc import Callable

from exam_client.core import instants, views
from exam_client.core.records import Transfer
from exam_client.services.delivery import Delivery
from exam_contract.control import (
    ClientStatus,
    ContentStatus,
    Mode,
    StorageStatus,
    TransferStatus,
)
from exam_contract.trust import Signed

STUCK_SECONDS = 30.0
"""Without a finished round of the writer for this long, the process counts as dead."""
LEFT_SECONDS = 180.0
"""The end follows a quiesce within the pod's grace period, which is shorter than this."""


def status(delivery: Delivery) -> ClientStatus:
    """The whole document."""
    state = delivery.state
    latest = views.latest_deadline(state)
    shown = delivery.certificates
    return ClientStatus(
        delivery_id=state.identity.delivery_id,
        delivery_uid=state.identity.delivery_uid,
        epoch=state.identity.epoch,
        incarnation=state.identity.incarnation,
        generation=state.whole.generation,
        mode=Mode.ERASE if delivery.parts is None else state.whole.mode,
        ready=not_ready(delivery) is None,
        fenced=delivery.fenced,
        content=content(delivery),
        storage=storage(delivery),
        counts=views.counts(state).model_copy(update={"delivered_seq": delivery.delivered_seq}),
        transfer=transfer(delivery),
        all_sat=views.all_sat(state),
        latest_deadline=instants.to_datetime_or_none(latest),
        coordinator_reachable=None if delivery.parts is None else delivery.parts.sender.reachable,
        tls_expires_at=None if shown is None else shown.expires_at,
        tls_reason=None if shown is None else shown.trouble,
        reported_at=instants.to_datetime(delivery.clock()),
    )


def not_ready(delivery: Delivery) -> str | None:
    """Why participants cannot be served, in a word; None when they can."""
    if delivery.parts is None:
        return "erased"
    if delivery.stopping:
        return "stopping"
    if delivery.state.paper is None:
        return "bundle_wanting"
    if delivery.fenced:
        return "fenced"
    if delivery.parts.writer.lost is not None:
        return "storage_lost"
    return None


def not_live(delivery: Delivery) -> str | None:
    """Why only a restart helps, in a word; None when the process is alive."""
    if delivery.parts is None:
        return None
    writer = delivery.parts.writer
    if not writer.is_alive:
        return "writer_dead"
    now = time.monotonic()
    if delivery.stopping_since is not None:
        return "left_stopping" if now - delivery.stopping_since > LEFT_SECONDS else None
    if now - writer.beat > STUCK_SECONDS:
        return "writer_stuck"
    return None


def content(delivery: Delivery) -> ContentStatus:
    paper = delivery.state.paper
    if paper is None:
        reason = "erased" if delivery.parts is None else delivery.bundle_trouble
        return ContentStatus(ready=False, reason=reason)
    return ContentStatus(
        ready=True,
        exam_id=paper.exam.id,
        exam_version=paper.exam.version,
        content_digest=paper.bundle.content_digest,
    )


def storage(delivery: Delivery) -> StorageStatus:
    if delivery.parts is None:
        if delivery.erased:
            return StorageStatus(state="erased")
        return StorageStatus(state="ok", reason="being erased")
    writer = delivery.parts.writer
    if writer.lost is not None:
        return StorageStatus(state="lost", reason=writer.lost)
    free = writer.journal.ballast.free_bytes()
    if writer.full:
        return StorageStatus(
            state="full", reason="answers are refused until there is space", free_bytes=free
        )
    return StorageStatus(state="ok", free_bytes=free)


def transfer(delivery: Delivery) -> TransferStatus:
    if delivery.parts is None:
        whole = delivery.state.whole.transfer
        return TransferStatus(
            state="erased" if delivery.erased else "receipted",
            manifest_digest=whole.manifest_digest,
            receipt=delivery.erased_receipt,
            error=delivery.transfer_trouble,
            attempts=delivery.transfer_tries,
        )
    return _transfer(delivery, delivery.state.whole.transfer)


def watch(delivery: Delivery) -> None:
    """Gauges over the delivery, asked when scraped."""
    metrics, state = delivery.metrics, delivery.state

    def storage_is(word: str) -> Callable[[], float]:
        return lambda: float(storage(delivery).state == word)

    metrics.ask("outbox_last_seq", "Highest event numbered", lambda: state.last_seq)
    metrics.ask(
        "outbox_lag_events",
        "Events the coordinator has not acknowledged",
        lambda: max(0, state.last_seq - delivery.delivered_seq),
    )
    metrics.ask(
        "sessions_open",
        "Sessions that have not ended",
        lambda: sum(len(held) for held in list(state.open_sessions.values())),
    )
    metrics.ask("attempts_open", "Attempts that run", lambda: views.counts(state).open)
    metrics.ask(
        "queue_depth",
        "Commands that wait for the writer",
        lambda: 0 if delivery.parts is None else delivery.parts.writer.waiting,
    )
    for word in ("ok", "full", "lost", "erased"):
        metrics.ask(f"storage_{word}", f"1 when the storage is {word}", storage_is(word))
    metrics.ask(
        "coordinator_reachable",
        "1 when the coordinator answered last",
        lambda: float(delivery.parts is not None and bool(delivery.parts.sender.reachable)),
    )
    metrics.ask(
        "sending_stopped",
        "1 when only people can let events be sent again (conflict, fence, old copy)",
        lambda: float(
            delivery.parts is not None and delivery.parts.sender.uplink.alarm is not None
        ),
    )
    metrics.ask("fenced", "1 when fenced off", lambda: float(delivery.fenced))
    shown = delivery.certificates
    if shown is not None:
        metrics.ask(
            "tls_expiry_timestamp_seconds",
            "When the first of the certificates in force ends (Unix time)",
            lambda: shown.expires_at.timestamp(),
        )


def _transfer(delivery: Delivery, held: Transfer) -> TransferStatus:
    state = held.state
    if state == "none" and delivery.state.whole.frozen_at is not None:
        state = "frozen"
    receipt = None if held.receipt is None else Signed.model_validate_json(held.receipt)
    return TransferStatus(
        state=state,
        manifest_digest=held.manifest_digest,
        receipt=receipt,
        error=delivery.transfer_trouble,
        attempts=delivery.transfer_tries,
    )
