"""Finalise, transfer, erase: whatever the desired mode asks for, one durable step after the other.

Each step can be cut off anywhere and is then done again. Nothing is erased before a receipt that
was verified and compared; a reply that was lost is asked for, never assumed.
"""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import structlog

from exam_client.core import commands, handover, trust, uplink
from exam_client.core.handover import Chunk
from exam_client.errors import CoordinatorAway, CoordinatorRefused, ExamClientError, Refusal
from exam_client.services import erasing
from exam_client.services.delivery import Delivery, Open, already_erased
from exam_contract.control import Desired, Mode
from exam_contract.problems import ProblemCode
from exam_contract.results import Manifest, MissingChunks, Table, manifest_digest
from exam_contract.trust import MANIFEST_CONTEXT, Signed

log = structlog.get_logger("exam_client.handing_over")


class HandingOver:
    """``wake`` when the desired mode changed; ``roll_back`` is the only way back."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._woken = asyncio.Event()
        self._step_lock = asyncio.Lock()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled; troubles are told by ``/status`` and tried again."""
        tries = 0
        while True:
            self._woken.clear()
            try:
                async with self._step_lock:
                    while await self._step():
                        tries = 0
                self._delivery.transfer_trouble = None
                await self._woken.wait()
            except (ExamClientError, trust.ReceiptRefused) as error:
                tries += 1
                self._delivery.transfer_tries += 1
                self._delivery.transfer_trouble = str(error)
                log.warning("transfer_wanting", reason=str(error), tries=tries)
                await self._wait(uplink.delay_seconds(tries, random.random()))  # noqa: S311  jitter

    async def roll_back(self, desired: Desired) -> None:
        """Let a frozen delivery run again, unless the coordinator holds it. Raises Refusal."""
        async with self._step_lock:
            if self._delivery.state.whole.transfer.state in ("uploading", "committed"):
                await self._refuse_when_received()
            await self._delivery.submit(commands.RollBack(desired))
        self._delivery.transfer_trouble = None

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _step(self) -> bool:
        """Do the next thing that the mode asks for; False when there is nothing to do."""
        delivery = self._delivery
        parts, whole = delivery.parts, delivery.state.whole
        if parts is None:
            return await erasing.finish(delivery)
        if whole.mode in (Mode.PREPARE, Mode.RUN):
            return False
        if whole.frozen_at is None:
            await delivery.submit(commands.Freeze())
            return True
        if whole.mode is Mode.FINALISE or delivery.state.paper is None:
            return False
        return await self._hand_over(parts)

    async def _hand_over(self, parts: Open) -> bool:
        delivery, transfer = self._delivery, self._delivery.state.whole.transfer
        if transfer.manifest is None:
            await self._seal(parts)
        elif transfer.receipt is None:
            await self._upload(parts, Signed.model_validate_json(transfer.manifest))
        elif not transfer.confirmed:
            await delivery.coordinator.confirm(transfer.manifest_digest or "", erased=False)
            await self._mark("receipted", confirmed=True)
        elif delivery.state.whole.mode is Mode.ERASE:
            await erasing.erase(delivery, parts)
        else:
            return False
        return True

    async def _seal(self, parts: Open) -> None:
        """Sign the manifest over the frozen rows; kept, so that a successor hands over the same."""
        state = self._delivery.state
        through, head, last_seq = state.audit_id, state.audit_head, state.last_seq

        def build() -> Manifest:
            return handover.manifest(state, self._chunks(parts, through), head, last_seq)

        made = await self._in_reader(parts, build)
        payload = handover.canonical_text(made)
        signed = parts.writer.journal.signing_key.sign(MANIFEST_CONTEXT, payload)
        await self._mark(
            "sealed",
            manifest=signed.model_dump_json(),
            manifest_digest=manifest_digest(made),
            audit_through=through,
        )

    async def _upload(self, parts: Open, signed: Signed) -> None:
        """Post the manifest, send what is missing, post again; then check the receipt."""
        delivery = self._delivery
        if delivery.state.whole.transfer.state == "sealed":
            await self._mark("uploading")
        held = await delivery.coordinator.receipt()
        receipt = None if held is None else held.receipt
        while receipt is None:
            reply = await delivery.coordinator.commit(signed)
            if not isinstance(reply, MissingChunks):
                receipt = reply.receipt
            elif not reply.missing:
                raise CoordinatorAway("the coordinator misses nothing and gives no receipt")
            else:
                await self._send_chunks(parts, set(reply.missing))
        manifest = Manifest.model_validate_json(signed.payload)
        trust.check_receipt(delivery.secrets.trust, manifest, receipt)
        await self._mark("receipted", receipt=receipt.model_dump_json())
        log.info("receipt_held", manifest=manifest_digest(manifest))

    async def _send_chunks(self, parts: Open, missing: set[str]) -> None:
        chunks = self._chunks(parts, self._delivery.state.whole.transfer.audit_through)
        while missing:
            chunk = await self._in_reader(parts, lambda: next(chunks, None))
            if chunk is None:
                raise CoordinatorAway("the coordinator asks for chunks that this manifest lacks")
            digest = chunk.ref.digest
            if digest in missing:
                await self._delivery.coordinator.put_chunk(digest, chunk.data)
                missing.discard(digest)

    def _chunks(self, parts: Open, audit_through: int) -> Iterator[Chunk]:
        state = self._delivery.state

        def rows_of(table: Table) -> Iterator[dict[str, Any]]:
            rows = parts.reader.rows(table, audit_through if table == "client_audit" else None)
            if table == "attempts":
                return (handover.with_scores(state, row) for row in rows)
            return rows

        return handover.chunks(rows_of)

    async def _refuse_when_received(self) -> None:
        """The upload's outcome may be unknown: ask, and keep a receipt that exists."""
        delivery = self._delivery
        try:
            held = await delivery.coordinator.receipt()
        except (CoordinatorAway, CoordinatorRefused):
            raise Refusal(
                ProblemCode.CONFLICT,
                "whether the results arrived is unknown while the coordinator is away; try again",
            ) from None
        if held is None:
            return
        manifest_text = delivery.state.whole.transfer.manifest
        if manifest_text is not None:
            signed = Signed.model_validate_json(manifest_text)
            manifest = Manifest.model_validate_json(signed.payload)
            trust.check_receipt(delivery.secrets.trust, manifest, held.receipt)
            await self._mark("receipted", receipt=held.receipt.model_dump_json())
        raise Refusal(ProblemCode.RECEIPT_HELD, "the coordinator holds the results")

    async def _mark(self, state: Any, **members: Any) -> None:
        if self._delivery.parts is None:
            raise already_erased()
        await self._delivery.submit(commands.SetTransfer(state=state, members=members))

    @staticmethod
    async def _in_reader(parts: Open, function: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(parts.reader.pool, function)
