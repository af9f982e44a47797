"""Before a pod ends: take nothing new, finish what was accepted, send what can be sent, checkpoint.

The process stays up and answers 503 in words until its SIGTERM. No tick runs meanwhile: should the
end not come, the live probe asks for a restart, and the successor credits the whole outage.
"""

import asyncio
from typing import Any

import structlog

from exam_client.errors import StorageFailed, StorageFull
from exam_client.services.delivery import Delivery, Open

FINISH_SECONDS = 10.0
FLUSH_SECONDS = 20.0

log = structlog.get_logger("exam_client.quiescing")


async def quiesce(delivery: Delivery, in_flight: "set[asyncio.Task[Any]]") -> None:
    """``in_flight``: requests that were let in before this. Well under a minute, whatever hangs."""
    delivery.stop_serving()
    log.info("quiescing")
    if in_flight:
        await asyncio.wait(in_flight, timeout=FINISH_SECONDS)
    parts = delivery.parts
    if parts is not None:
        await _settle(delivery, parts)
    delivery.quiesced = True
    log.info("quiesced", last_seq=delivery.state.last_seq, delivered_seq=delivery.delivered_seq)


async def _settle(delivery: Delivery, parts: Open) -> None:
    await parts.writer.call(lambda: None)
    await parts.sender.flush(FLUSH_SECONDS)
    try:
        await parts.writer.checkpoint()
    except (StorageFailed, StorageFull) as error:
        # The log holds what the file does not: a successor reads both.
        log.warning("checkpoint_failed", reason=str(error))
