"""Final results in PostgreSQL: staged chunks, the result tables, manifests and receipts.

Rows go in by COPY and come back in key order exactly as they were sent; what is receipted is what
was read back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from exam_contract.results import ROW_MODELS, Row
from exam_contract.trust import Signed

_KEYS = {table: "participant_id" if table == "progress" else "id" for table in ROW_MODELS}


@dataclass(frozen=True, slots=True)
class Transfer:
    """A committed transfer; ``receipt`` is None until the second transaction signed it."""

    manifest: Signed
    manifest_digest: str
    receipt: Signed | None
    committed_at: datetime
    erased_at: datetime | None


def columns(table: str) -> list[str]:
    """The row's columns, in the order of the contract."""
    return list(ROW_MODELS[table].model_fields)


async def lock(db: AsyncConnection, delivery_id: int, timeout_seconds: float) -> None:
    """Serialise transfers of one delivery and allow them their time."""
    await db.execute(
        text("SELECT set_config('statement_timeout', :ms, true)"),
        {"ms": str(int(timeout_seconds * 1000))},
    )
    await db.execute(
        text("SELECT 1 FROM cursors WHERE delivery_id = :id FOR UPDATE"), {"id": delivery_id}
    )


async def stage(db: AsyncConnection, delivery_id: int, digest: str, data: bytes) -> None:
    """Keep a chunk; the same chunk again changes nothing."""
    await db.execute(
        text(
            "INSERT INTO staged_chunks (delivery_id, digest, data) VALUES (:id, :digest, :data)"
            " ON CONFLICT DO NOTHING"
        ),
        {"id": delivery_id, "digest": digest, "data": data},
    )


async def staged(db: AsyncConnection, delivery_id: int) -> set[str]:
    found = await db.execute(
        text("SELECT digest FROM staged_chunks WHERE delivery_id = :id"), {"id": delivery_id}
    )
    return set(found.scalars())


async def chunk(db: AsyncConnection, delivery_id: int, digest: str) -> bytes:
    found = await db.execute(
        text("SELECT data FROM staged_chunks WHERE delivery_id = :id AND digest = :digest"),
        {"id": delivery_id, "digest": digest},
    )
    return bytes(found.scalar_one())


async def drop_staged(db: AsyncConnection, delivery_id: int) -> None:
    await db.execute(text("DELETE FROM staged_chunks WHERE delivery_id = :id"), {"id": delivery_id})


async def copy_rows(db: AsyncConnection, delivery_id: int, table: str, rows: Sequence[Row]) -> None:
    """COPY rows of the contract into their result table."""
    names = columns(table)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(f"result_{table}"),
        sql.SQL(", ").join(map(sql.Identifier, ["delivery_id", *names])),
    )
    raw = await db.get_raw_connection()
    driver = cast("psycopg.AsyncConnection[Any]", raw.driver_connection)
    async with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row([delivery_id, *(row[name] for name in names)])


async def read_rows(db: AsyncConnection, delivery_id: int, table: str) -> list[Row]:
    """Every row of a result table in key order, as the contract's JSON."""
    names = ", ".join(columns(table))
    found = await db.execute(
        text(
            f"SELECT {names} FROM result_{table} WHERE delivery_id = :id"  # noqa: S608 -- constants
            f" ORDER BY {_KEYS[table]}"
        ),
        {"id": delivery_id},
    )
    return [dict(row) for row in found.mappings()]


async def mark_scores(db: AsyncConnection, delivery_id: int, checks: Mapping[int, str]) -> None:
    """Set ``score_check`` of answers by id."""
    await db.execute(
        text(
            "UPDATE result_answers r SET score_check = c.verdict FROM"
            " unnest(CAST(:ids AS bigint[]), CAST(:verdicts AS text[])) AS c (id, verdict)"
            " WHERE r.delivery_id = :delivery_id AND r.id = c.id"
        ),
        {
            "delivery_id": delivery_id,
            "ids": list(checks),
            "verdicts": list(checks.values()),
        },
    )


async def begin_final_scores(db: AsyncConnection, delivery_id: int) -> None:
    """Final scores begin as the attempts' own; scorers' decisions change them, never the rows."""
    await db.execute(
        text(
            "INSERT INTO final_scores SELECT delivery_id, id, participant_id, final_score,"
            " score_numerator, score_denominator, manual_pending FROM result_attempts"
            " WHERE delivery_id = :id"
        ),
        {"id": delivery_id},
    )


async def get(db: AsyncConnection, delivery_id: int) -> Transfer | None:
    found = await db.execute(
        text("SELECT * FROM transfers WHERE delivery_id = :id"), {"id": delivery_id}
    )
    row = found.one_or_none()
    return None if row is None else _transfer(row)


async def commit_manifest(
    db: AsyncConnection, delivery_id: int, manifest: Signed, manifest_digest: str
) -> None:
    await db.execute(
        text(
            "INSERT INTO transfers (delivery_id, manifest_payload, manifest_signature,"
            " manifest_kid, manifest_digest) VALUES (:id, :payload, :signature, :kid, :digest)"
        ),
        {"id": delivery_id, **manifest.model_dump(), "digest": manifest_digest},
    )


async def commit_receipt(db: AsyncConnection, delivery_id: int, receipt: Signed) -> None:
    await db.execute(
        text(
            "UPDATE transfers SET receipt_payload = :payload, receipt_signature = :signature,"
            " receipt_kid = :kid WHERE delivery_id = :id AND receipt_payload IS NULL"
        ),
        {"id": delivery_id, **receipt.model_dump()},
    )


async def confirm(db: AsyncConnection, delivery_id: int, erased: bool) -> None:
    """The exam-client compared the receipt; ``erased`` is never taken back."""
    await drop_staged(db, delivery_id)
    if erased:
        await db.execute(
            text(
                "UPDATE transfers SET erased_at = COALESCE(erased_at, now())"
                " WHERE delivery_id = :id"
            ),
            {"id": delivery_id},
        )
        await db.execute(
            text("UPDATE deliveries SET confirmed_erased = true WHERE id = :id"),
            {"id": delivery_id},
        )


def _transfer(row: Any) -> Transfer:
    receipt = None
    if row.receipt_payload is not None:
        receipt = Signed(
            payload=row.receipt_payload, kid=row.receipt_kid, signature=row.receipt_signature
        )
    return Transfer(
        manifest=Signed(
            payload=row.manifest_payload, kid=row.manifest_kid, signature=row.manifest_signature
        ),
        manifest_digest=row.manifest_digest,
        receipt=receipt,
        committed_at=row.committed_at,
        erased_at=row.erased_at,
    )
