"""Exam versions: content as canonical text, the answer key sealed."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class StoredVersion:
    exam_id: str
    version: str
    content_digest: str
    title: str
    language: str
    item_count: int
    content: str = field(repr=False)
    sealed_key: bytes = field(repr=False)
    key_digest: str = field(repr=False)


async def get(db: AsyncConnection, exam_id: str, version: str) -> StoredVersion | None:
    found = await db.execute(
        text("SELECT * FROM exam_versions WHERE exam_id = :exam_id AND version = :version"),
        {"exam_id": exam_id, "version": version},
    )
    row = found.one_or_none()
    return None if row is None else _version(row)


async def add(db: AsyncConnection, version: StoredVersion) -> bool:
    """False when the version is there already (another request may have been quicker)."""
    await db.execute(
        text(
            "INSERT INTO exams (id, title) VALUES (:exam_id, :title)"
            " ON CONFLICT (id) DO UPDATE SET title = excluded.title"
        ),
        {"exam_id": version.exam_id, "title": version.title},
    )
    found = await db.execute(
        text(
            "INSERT INTO exam_versions (exam_id, version, content_digest, title, language,"
            " item_count, content, key_ciphertext, key_digest) VALUES (:exam_id, :version,"
            " :content_digest, :title, :language, :item_count, :content, :sealed_key, :key_digest)"
            " ON CONFLICT DO NOTHING RETURNING 1"
        ),
        {name: getattr(version, name) for name in StoredVersion.__slots__},
    )
    return found.scalar_one_or_none() is not None


async def page(
    db: AsyncConnection, only: frozenset[str] | None, after: str, limit: int
) -> list[dict[str, Any]]:
    """Exams by id; ``only`` cuts to those a person may see."""
    found = await db.execute(
        text(
            "SELECT e.id AS exam_id, e.title, count(v.version) AS versions,"
            " max(v.created_at) AS last_imported_at"
            " FROM exams e JOIN exam_versions v ON v.exam_id = e.id"
            " WHERE e.id > :after AND (CAST(:only AS text[]) IS NULL OR e.id = ANY(:only))"
            " GROUP BY e.id ORDER BY e.id LIMIT :limit"
        ),
        {"after": after, "only": None if only is None else sorted(only), "limit": limit},
    )
    return [dict(row) for row in found.mappings()]


async def versions(db: AsyncConnection, exam_id: str) -> list[dict[str, Any]]:
    found = await db.execute(
        text(
            "SELECT version, content_digest, title, item_count, created_at FROM exam_versions"
            " WHERE exam_id = :exam_id ORDER BY created_at, version LIMIT 1000"
        ),
        {"exam_id": exam_id},
    )
    return [dict(row) for row in found.mappings()]


def _version(row: Any) -> StoredVersion:
    return StoredVersion(
        exam_id=row.exam_id,
        version=row.version,
        content_digest=row.content_digest,
        title=row.title,
        language=row.language,
        item_count=row.item_count,
        content=row.content,
        sealed_key=bytes(row.key_ciphertext),
        key_digest=row.key_digest,
    )
