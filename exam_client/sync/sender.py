"""Pushes the outbox to the coordinator, in order, one batch in flight, for as long as it takes.

The decisions are ``core.uplink``'s; here are the waiting and the sending. Reading never deletes.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import structlog

from exam_client.core import uplink
from exam_client.core.uplink import Uplink
from exam_client.errors import CoordinatorAway, CoordinatorRefused
from exam_client.sync.coordinator import Coordinator
from exam_contract.events import MAX_BATCH_BYTES, MAX_BATCH_EVENTS
from exam_contract.trust import PublicKey

IDLE_SECONDS = 3.0
"""With nothing to send, the coordinator's health is asked for this often."""
HEALTH_SECONDS = 2.0
FRESH_SECONDS = 1.0
STEP_SECONDS = 5.0
"""While the process is to end, the coordinator has this long for one reply."""
PACE_SECONDS = 0.02
"""Pushes begin at least this far apart, unless a full batch waits: a request costs much more than
an event, and the same loop serves participants."""

log = structlog.get_logger("exam_client.sender")
Outbox = Callable[[int, int], Awaitable[list[tuple[int, bytes]]]]


class Sender:
    """``wake`` after each commit. ``reachable`` is None until the first contact."""

    def __init__(
        self,
        coordinator: Coordinator,
        public_key: PublicKey,
        outbox: Outbox,
        last_seq: Callable[[], int],
        delivered: int,
    ) -> None:
        self.uplink = Uplink(accepted=min(delivered, last_seq()))
        self.reachable: bool | None = None
        self._coordinator = coordinator
        self._public_key = public_key
        self._outbox = outbox
        self._last_seq = last_seq
        self._woken = asyncio.Event()
        self._asked_at = 0.0
        self._asking = asyncio.Lock()
        self._introducing = asyncio.Lock()
        self._finished = False
        self._pushed_at = 0.0
        self._stepped = asyncio.Event()

    def finish(self) -> None:
        """The outbox is gone: ``run`` returns."""
        self._finished = True
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()

    @property
    def delivered_seq(self) -> int:
        return self.uplink.accepted

    async def run(self) -> None:
        """Send until finished; after an alarm only look whether the coordinator is there."""
        while not self._finished:
            before = self.uplink
            await self._step()
            self._stepped.set()
            if self.uplink.alarm is not None and before.alarm is None:
                log.error("sending_stopped", alarm=str(self.uplink.alarm))
            await self._pause()

    async def flush(self, seconds: float) -> None:
        """Let everything be sent for as long as that gets on: nobody waits for a coordinator."""
        try:
            async with asyncio.timeout(seconds):
                while not self._finished and self._has_work() and not self.uplink.failures:
                    self._stepped.clear()
                    async with asyncio.timeout(STEP_SECONDS):
                        await self._stepped.wait()
        except TimeoutError:
            return

    async def confirm_reachable(self) -> bool:
        """Whether the coordinator answers now; at most one question a second."""
        async with self._asking:
            if time.monotonic() - self._asked_at >= FRESH_SECONDS:
                self._heard(await self._coordinator.is_well(HEALTH_SECONDS))
        return bool(self.reachable)

    async def introduce(self) -> None:
        """Register this incarnation, once; raises what the coordinator does."""
        async with self._introducing:
            if self.uplink.registered:
                return
            told = await self._coordinator.register(self._public_key, self._last_seq())
            self.uplink = uplink.told(self.uplink, told, self._last_seq())

    async def _step(self) -> None:
        try:
            if self.uplink.alarm is not None:
                self._heard(await self._coordinator.is_well(HEALTH_SECONDS))
            elif not self.uplink.registered:
                await self.introduce()
                self._heard(well=True)
            elif self._last_seq() > self.uplink.accepted:
                await self._push()
            else:
                self._heard(await self._coordinator.is_well(HEALTH_SECONDS))
        except CoordinatorAway as away:
            self._heard(well=False)
            self._failed(str(away))
        except CoordinatorRefused as refused:
            self._heard(well=refused.status < 500)
            self._refused(refused)

    async def _push(self) -> None:
        after, self._pushed_at = self.uplink.accepted, time.monotonic()
        events = await self._outbox(after, MAX_BATCH_EVENTS)
        batch = uplink.cut_batch(events, after, MAX_BATCH_EVENTS, MAX_BATCH_BYTES)
        if self._finished or not batch:
            return
        told = await self._coordinator.push([payload for _, payload in batch])
        self.uplink = uplink.told(self.uplink, told, self._last_seq())
        self._heard(well=True)

    async def _pause(self) -> None:
        """Wait for work, or for the back-off; new commits do not shorten a back-off."""
        if self.uplink.failures:
            await asyncio.sleep(
                uplink.delay_seconds(self.uplink.failures, random.random())  # noqa: S311  jitter
            )
            return
        if self._has_work():
            await self._keep_pace()
            return
        self._woken.clear()
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return
        await self._keep_pace()

    def _has_work(self) -> bool:
        uplink_open = self.uplink.alarm is None
        return uplink_open and (not self.uplink.registered or self._waiting() > 0)

    def _waiting(self) -> int:
        return self._last_seq() - self.uplink.accepted

    async def _keep_pace(self) -> None:
        rest = self._pushed_at + PACE_SECONDS - time.monotonic()
        await asyncio.sleep(rest if rest > 0 and self._waiting() < MAX_BATCH_EVENTS else 0)

    def _refused(self, refused: CoordinatorRefused) -> None:
        expected = refused.members.get("expected_seq")
        before = self.uplink
        self.uplink = uplink.refused(
            before, refused.code, expected if isinstance(expected, int) else None, self._last_seq()
        )
        if self.uplink.failures > before.failures:
            log.warning("push_refused", code=refused.code, failures=self.uplink.failures)

    def _failed(self, reason: str) -> None:
        self.uplink = uplink.failed(self.uplink)
        if self.uplink.failures == 1:
            log.warning("coordinator_away", reason=reason)

    def _heard(self, well: bool) -> None:
        self.reachable = well
        self._asked_at = time.monotonic()
