"""The final transfer: exactly once, all or nothing, and a receipt only for what was read back.

First transaction: insert every row, read all of them back from PostgreSQL in key order, recompute
counts and Merkle roots, compare with the signed manifest, keep the manifest; any disagreement rolls
all of it back. Second transaction: read again what COMMIT made durable, and sign that.
"""

import asyncio
import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.metrics import Metrics
from coordinator.core import results as rules
from coordinator.core.ingest import Fence
from coordinator.core.signing import verifies
from coordinator.core.vault import Vault
from coordinator.errors import (
    BodyTooLarge,
    ChunkMismatch,
    Fenced,
    ManifestConflict,
    ManifestMismatch,
    NotFound,
)
from coordinator.services import exams as exam_service
from coordinator.services.ingest import Caller, check_caller
from coordinator.services.keyring import Keyring
from coordinator.services.work import Work, working
from coordinator.store import deliveries, events, transfers
from coordinator.store.database import Database
from coordinator.store.events import Sender
from coordinator.store.transfers import Transfer
from exam_contract.canonical import digest_bytes
from exam_contract.results import (
    CHUNK_BYTES,
    ROW_MODELS,
    TABLES,
    Manifest,
    Receipt,
    Row,
)
from exam_contract.trust import MANIFEST_CONTEXT, RECEIPT_CONTEXT, Signed

MOST_CHUNK_BYTES = 4 * CHUNK_BYTES
_log = structlog.get_logger(__name__)
_Tables = dict[str, list[Row]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Either chunks that are wanting, or the receipt."""

    missing: list[str]
    receipt: Signed | None


@dataclass(frozen=True, slots=True)
class Transfers:
    """The use case with everything it touches."""

    database: Database
    keyring: Keyring
    vault: Vault
    metrics: Metrics
    timeout_seconds: float

    async def stage(self, caller: Caller, digest: str, data: bytes) -> None:
        """Keep a chunk under its digest. Raises ChunkMismatch."""
        if len(data) > MOST_CHUNK_BYTES:
            raise BodyTooLarge(f"a chunk has at most {MOST_CHUNK_BYTES} bytes")
        found = "sha256:" + await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        if found != digest:
            raise ChunkMismatch("the bytes do not have that digest; send this chunk again")
        async with self.database.begin() as db:
            sender = check_caller(caller, await events.sender(db, caller.uid))
            await transfers.stage(db, sender.delivery_id, digest, data)

    async def finish(self, caller: Caller, sent: Signed) -> Outcome:
        """Idempotent: the same manifest gets the same receipt, another one is refused."""
        manifest = _manifest(sent)
        async with self.database.read() as db:
            sender = check_caller(caller, await events.sender(db, caller.uid))
            await _check_manifest(db, sender, caller, sent, manifest)
            stored = await transfers.get(db, sender.delivery_id)
            staged = set() if stored else await transfers.staged(db, sender.delivery_id)
        if stored is None:
            missing = sorted({chunk.digest for chunk in manifest.chunks} - staged)
            if missing:
                return Outcome(missing, None)
            await self._store(caller, sent, manifest)
        elif stored.manifest_digest != digest_bytes(sent.payload.encode()):
            self.metrics.transfers.labels("conflict").inc()
            raise ManifestConflict("another manifest was received for this delivery already")
        return Outcome([], await self._receipt(sender.delivery_id, caller))

    async def receipt(self, caller: Caller) -> Signed:
        """The receipt of a stored transfer. Raises NotFound."""
        async with self.database.read() as db:
            sender = check_caller(caller, await events.sender(db, caller.uid))
            stored = await transfers.get(db, sender.delivery_id)
        if stored is None:
            raise NotFound("nothing was transferred yet")
        return stored.receipt or await self._receipt(sender.delivery_id, caller)

    async def confirm(self, caller: Caller, manifest_digest: str, erased: bool) -> None:
        """The exam-client compared the receipt, or has erased its data."""
        async with working(self.database, f"exam-client:{caller.uid}") as work:
            sender = check_caller(caller, await events.sender(work.db, caller.uid))
            stored = await transfers.get(work.db, sender.delivery_id)
            if stored is None or stored.receipt is None:
                raise NotFound("there is no receipt to confirm")
            if stored.manifest_digest != manifest_digest:
                raise ManifestConflict("the receipt is for another manifest")
            await transfers.confirm(work.db, sender.delivery_id, erased)
            action = "erasure_confirmed" if erased else "receipt_confirmed"
            work.record(action, f"delivery:{sender.delivery_id}", manifest_digest=manifest_digest)

    async def _store(self, caller: Caller, sent: Signed, manifest: Manifest) -> None:
        try:
            async with working(self.database, f"exam-client:{caller.uid}") as work:
                sender = check_caller(caller, await events.sender(work.db, caller.uid))
                await transfers.lock(work.db, sender.delivery_id, self.timeout_seconds)
                if await transfers.get(work.db, sender.delivery_id) is not None:
                    work.unchanged()  # a twin of this request was quicker
                    return
                await self._insert(work, sender.delivery_id, manifest)
                await self._recheck(work, sender.delivery_id, manifest)
                digest = digest_bytes(sent.payload.encode())
                await transfers.commit_manifest(work.db, sender.delivery_id, sent, digest)
                work.record(
                    "results_stored",
                    f"delivery:{sender.delivery_id}",
                    manifest_digest=digest,
                    rows={table: manifest.tables[table].count for table in manifest.tables},
                    aborted=manifest.aborted,
                )
        except ManifestMismatch as error:
            self.metrics.transfers.labels("mismatch").inc()
            _log.error("manifest_mismatch", delivery_id=manifest.delivery_id, why=error.detail)
            raise

    async def _insert(self, work: Work, delivery_id: int, manifest: Manifest) -> None:
        for ref in manifest.chunks:
            data = await transfers.chunk(work.db, delivery_id, ref.digest)
            rows = await asyncio.to_thread(_rows, data, ref.table)
            if len(rows) != ref.rows:
                raise ManifestMismatch(
                    f"{ref.table}: a chunk holds {len(rows)} rows, the manifest says {ref.rows}",
                    table=ref.table,
                )
            await transfers.copy_rows(work.db, delivery_id, ref.table, rows)

    async def _recheck(self, work: Work, delivery_id: int, manifest: Manifest) -> None:
        tables = await _read_back(work.db, delivery_id)
        mismatch = await asyncio.to_thread(rules.compare, manifest, tables)
        if mismatch is not None:
            raise ManifestMismatch(mismatch.message, table=mismatch.table)
        delivery = await deliveries.get(work.db, delivery_id)
        if delivery is None:
            raise NotFound("the delivery is gone")
        opened = await exam_service.open_version(
            work.db, self.vault, delivery.exam_id, delivery.exam_version
        )
        checks = await asyncio.to_thread(
            rules.check_scores, opened.exam, opened.key, tables["answers"]
        )
        wrong = sum(verdict == "mismatch" for verdict in checks.values())
        if wrong:
            _log.error("score_mismatch", delivery_id=delivery_id, answers=wrong)
        await transfers.mark_scores(work.db, delivery_id, checks)
        await transfers.begin_final_scores(work.db, delivery_id)

    async def _receipt(self, delivery_id: int, caller: Caller) -> Signed:
        async with working(self.database, f"exam-client:{caller.uid}") as work:
            await transfers.lock(work.db, delivery_id, self.timeout_seconds)
            stored = await transfers.get(work.db, delivery_id)
            delivery = await deliveries.get(work.db, delivery_id)
            if stored is None or delivery is None:
                raise NotFound("nothing was transferred yet")
            if stored.receipt is not None:
                work.unchanged()
                return stored.receipt
            made = await self._reread(work, delivery_id, delivery.uid, stored)
            receipt = self.keyring.sign(
                delivery.signing_kid, RECEIPT_CONTEXT, made.model_dump(mode="json")
            )
            await transfers.commit_receipt(work.db, delivery_id, receipt)
            work.unchanged()  # the rows were stored before, and left their entry then
        self.metrics.transfers.labels("receipted").inc()
        return receipt

    async def _reread(self, work: Work, delivery_id: int, uid: str, stored: Transfer) -> Receipt:
        manifest = _manifest(stored.manifest)
        tables = await _read_back(work.db, delivery_id)
        mismatch = await asyncio.to_thread(rules.compare, manifest, tables)
        if mismatch is not None:
            raise ManifestMismatch(
                f"what PostgreSQL holds differs from the manifest: {mismatch.message}",
                table=mismatch.table,
            )
        summary = await asyncio.to_thread(rules.summarise, tables)
        return Receipt.model_validate(
            {
                "receipt_id": uuid.uuid4().hex,
                "delivery_id": delivery_id,
                "delivery_uid": uid,
                "manifest_digest": stored.manifest_digest,
                "tables": summary,
                "last_seq": manifest.last_seq,
                "stored_at": datetime.now(UTC),
            }
        )


def _manifest(sent: Signed) -> Manifest:
    try:
        return Manifest.model_validate_json(sent.payload)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ManifestMismatch(f"the manifest can't be read: {where}: {first['msg']}") from error


async def _check_manifest(
    db: AsyncConnection, sender: Sender, caller: Caller, sent: Signed, manifest: Manifest
) -> None:
    if (manifest.delivery_id, manifest.delivery_uid) != (sender.delivery_id, caller.uid):
        raise ManifestMismatch("the manifest is another delivery's", table="manifest")
    if Fence(manifest.epoch, manifest.incarnation) > sender.cursor.fence:
        raise Fenced("the manifest comes from an incarnation that is not registered")
    key = await events.client_key(db, sender.delivery_id, sent.kid)
    if key is None or not verifies(key[0], MANIFEST_CONTEXT, sent):
        raise ManifestMismatch(
            "the manifest's signature is not that of a registered incarnation", table="manifest"
        )
    delivery = await deliveries.get(db, sender.delivery_id)
    if delivery is None or manifest.content_digest != delivery.content_digest:
        raise ManifestMismatch("the manifest is about other exam content", table="manifest")


async def _read_back(db: AsyncConnection, delivery_id: int) -> _Tables:
    return {table: await transfers.read_rows(db, delivery_id, table) for table in TABLES}


def _rows(data: bytes, table: str) -> list[Row]:
    """The rows of a chunk, each of the table's exact shape. Raises ManifestMismatch."""
    try:
        body: Any = msgspec.json.decode(data)
        if body["table"] != table:
            raise ManifestMismatch(f"a chunk of {table} holds rows of another table", table=table)
        model = ROW_MODELS[table]
        for row in body["rows"]:
            model.model_validate(row, strict=True)
            if any(isinstance(value, str) and "\x00" in value for value in row.values()):
                raise ManifestMismatch(f"{table}: a row holds a NUL character", table=table)
        if any(row.keys() != model.model_fields.keys() for row in body["rows"]):
            raise ManifestMismatch(f"{table}: a row lacks a member", table=table)
        rows: list[Row] = body["rows"]
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise ManifestMismatch(f"a chunk of {table} can't be read", table=table) from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ManifestMismatch(f"{table}: {where}: {first['msg']}", table=table) from error
    return rows
