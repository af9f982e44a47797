"""The one time the coordinator is needed: fetching the bundle into the encrypted file."""

import asyncio
import random

import structlog

from exam_client.core import commands, trust, uplink
from exam_client.errors import BundleRefused, CoordinatorAway, CoordinatorRefused, Refusal
from exam_client.services.delivery import Delivery

log = structlog.get_logger("exam_client.assigning")


async def fetch_bundle(delivery: Delivery) -> None:
    """Try until the bundle is stored; what stands in the way is told by ``/status``."""
    tries = 0
    while delivery.state.paper is None and delivery.parts is not None:
        try:
            await _fetch_once(delivery)
        except (CoordinatorAway, CoordinatorRefused, BundleRefused, Refusal) as error:
            delivery.bundle_trouble = str(error)
            tries += 1
            log.warning("bundle_wanting", reason=str(error), tries=tries)
            chance = random.random()  # noqa: S311  jitter
            await asyncio.sleep(uplink.delay_seconds(tries, chance))
    delivery.bundle_trouble = None


async def _fetch_once(delivery: Delivery) -> None:
    """Registered first: a file made anew on an emptied volume is refused before it serves."""
    if delivery.parts is not None:
        await delivery.parts.sender.introduce()
        if delivery.parts.sender.uplink.alarm is not None:
            raise BundleRefused(
                "the coordinator holds events of this delivery that the volume lacks: it was"
                " emptied or swapped; put the right one back"
            )
    signed = await delivery.coordinator.bundle()
    loop = asyncio.get_running_loop()
    paper = await loop.run_in_executor(
        None,
        trust.open_bundle,
        delivery.secrets.trust,
        signed,
        delivery.settings.delivery_id,
        delivery.settings.delivery_uid,
    )
    await delivery.submit(commands.StoreBundle(text=signed.model_dump_json(), paper=paper))
    log.info("assigned", participants=len(paper.people), items=len(paper.items))
