"""The erase: only with a receipt. File, log, the volume's key half, ballast and memory go.

A small marker with the receipt (nothing of the exam) is written first, so that a process that dies
half-way goes on erasing instead of making a new file.
"""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import structlog

from exam_client.core import records
from exam_client.core.state import State
from exam_client.errors import CoordinatorAway, CoordinatorRefused, EraseFailed
from exam_client.services.delivery import Delivery, Open
from exam_client.store import volume
from exam_contract.control import Counts, Mode
from exam_contract.trust import Signed

CONFIRM_SECONDS = 5.0

log = structlog.get_logger("exam_client.erasing")


async def erase(delivery: Delivery, parts: Open) -> None:
    """Destroy what the receipt covers; ``confirm_erased`` tells the coordinator afterwards."""
    transfer = delivery.state.whole.transfer
    if transfer.receipt is None:
        return
    folder = parts.writer.journal.place.folder
    volume.write_durably(folder / volume.ERASED_MARKER, _marker(delivery.state, transfer.receipt))
    delivery.erased_receipt = Signed.model_validate_json(transfer.receipt)
    delivery.parts = None
    parts.sender.finish()
    await asyncio.get_running_loop().run_in_executor(None, parts.reader.close)
    await parts.writer.call(lambda: _forget(parts, delivery.state))
    delivery.looked_at, delivery.last_seen = {}, {}


async def finish(delivery: Delivery) -> bool:
    """Leave nothing on the volume, then tell the coordinator. True when there was work to do.

    It is told before ``/status`` says erased, since the operator ends the process then; a
    coordinator that is away does not hold the end up.
    """
    if not delivery.erased:
        await asyncio.get_running_loop().run_in_executor(None, _shred, delivery)
        with contextlib.suppress(CoordinatorAway, CoordinatorRefused, TimeoutError):
            async with asyncio.timeout(CONFIRM_SECONDS):
                await _confirm(delivery)
        delivery.erased = True
        log.info("erased")
        return True
    return await _confirm(delivery)


async def _confirm(delivery: Delivery) -> bool:
    transfer = delivery.state.whole.transfer
    if transfer.state == "erased" or transfer.manifest_digest is None:
        return False
    await delivery.coordinator.confirm(transfer.manifest_digest, erased=True)
    delivery.state.whole = records.Whole(
        generation=delivery.state.whole.generation,
        mode=Mode.ERASE,
        delivered_seq=delivery.state.whole.delivered_seq,
        transfer=records.Transfer(state="erased", manifest_digest=transfer.manifest_digest),
    )
    return True


def resume(folder: Path, identity: records.Identity) -> tuple[State, Signed] | None:
    """A volume that was erased, or half so; ``finish`` does the rest. None: the delivery lives."""
    path = folder / volume.ERASED_MARKER
    if not path.exists():
        return None
    marker: dict[str, Any] = json.loads(path.read_text())
    state = State(
        records.Identity(
            delivery_id=identity.delivery_id,
            delivery_uid=identity.delivery_uid,
            epoch=identity.epoch,
            incarnation=int(marker["incarnation"]),
            event_prefix=identity.event_prefix,
        )
    )
    state.drop_content()
    state.whole = records.Whole(
        generation=int(marker["generation"]),
        mode=Mode.ERASE,
        delivered_seq=int(marker["delivered_seq"]),
        transfer=records.Transfer(state="receipted", manifest_digest=marker["manifest_digest"]),
    )
    counts = Counts.model_validate(marker["counts"])
    state.last_seq, state.answer_count = counts.last_seq, counts.answers
    state.revision_count = counts.revisions
    return state, Signed.model_validate(marker["receipt"])


def _marker(state: State, receipt: str) -> bytes:
    counts = Counts(
        answers=state.answer_count, revisions=state.revision_count, last_seq=state.last_seq
    )
    marker = {
        "generation": state.whole.generation,
        "incarnation": state.identity.incarnation,
        "delivered_seq": state.whole.delivered_seq,
        "manifest_digest": state.whole.transfer.manifest_digest,
        "counts": counts.model_dump(),
        "receipt": json.loads(receipt),
    }
    return json.dumps(marker).encode()


def _forget(parts: Open, state: State) -> None:
    """On the writer's thread, between batches: nothing is written after this."""
    parts.writer.journal.connection.close()
    state.drop_content()


def _shred(delivery: Delivery) -> None:
    folder = delivery.settings.volume_dir.resolve()
    try:
        volume.shred(folder, volume.all_files(folder))
    except OSError as error:
        raise EraseFailed(f"{folder}: {error.strerror}; free it, it is tried again") from None
