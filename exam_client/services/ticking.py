"""The delivery's second: sweep, marks and presence go to the writer, browsers or not."""

import asyncio

import structlog

from exam_client.core import commands
from exam_client.errors import Refusal
from exam_client.services.delivery import Delivery

TICK_SECONDS = 1.0
_STEP_SECONDS = 5
"""A wall clock moved by more than this is written down; no deadline moves with it."""

log = structlog.get_logger("exam_client.ticking")


async def tick_for_ever(delivery: Delivery) -> None:
    """Until cancelled, until the delivery is erased, or until nobody is served any more: the last
    tick is what a successor credits the outage from."""
    told_step = 0
    while delivery.parts is not None and not (delivery.state.closed or delivery.stopping):
        presence, delivery.looked_at = delivery.looked_at, {}
        try:
            await delivery.submit(
                commands.Tick(presence=presence, delivered_seq=delivery.delivered_seq)
            )
            told_step = await _note_clock_step(delivery, told_step)
        except Refusal as refusal:
            log.warning("tick_refused", code=str(refusal.code))
        await asyncio.sleep(TICK_SECONDS)


async def _note_clock_step(delivery: Delivery, told: int) -> int:
    step = delivery.clock.step_seconds()
    if abs(step - told) <= _STEP_SECONDS:
        return told
    await delivery.submit(commands.NoteAudit("client", "clock_stepped", {"seconds": step}))
    return step
