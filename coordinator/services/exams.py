"""Exam versions: imported once, immutable, the answer key apart and sealed."""

import secrets
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.core.vault import NONCE_BYTES, Vault
from coordinator.errors import InvalidField, NotFound, VersionInUse
from coordinator.services.work import Work
from coordinator.store import exams
from coordinator.store.exams import StoredVersion
from exam_contract.canonical import canonical_bytes, digest_bytes
from exam_contract.content import Exam, undelivered_types
from exam_contract.keys import AnswerKey, ExamDocument, KeyMismatch, bind_key


@dataclass(frozen=True, slots=True)
class Imported:
    """``new`` is false when the same content and key were there already."""

    exam_id: str
    version: str
    content_digest: str
    items: int
    new: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A version with its key."""

    exam: Exam
    content_digest: str
    key: AnswerKey = field(repr=False)


async def import_version(work: Work, vault: Vault, document: ExamDocument) -> Imported:
    """Raises InvalidField, VersionInUse."""
    version = _sealed(vault, document)
    known = await exams.get(work.db, version.exam_id, version.version)
    if known is None and await exams.add(work.db, version):
        work.record(
            "exam_imported",
            f"exam:{version.exam_id}",
            version=version.version,
            content_digest=version.content_digest,
            items=version.item_count,
        )
        return _imported(version, new=True)
    stored = known or await exams.get(work.db, version.exam_id, version.version)
    same = stored is not None and (stored.content_digest, stored.key_digest) == (
        version.content_digest,
        version.key_digest,
    )
    if not same:
        raise VersionInUse(
            f"{version.exam_id} {version.version} exists with other content or another key;"
            " give the changed exam a new version"
        )
    work.unchanged()
    return _imported(version, new=False)


async def open_version(db: AsyncConnection, vault: Vault, exam_id: str, version: str) -> Opened:
    """Content and key of a version. Raises NotFound."""
    stored = await exams.get(db, exam_id, version)
    if stored is None:
        raise NotFound(f"there is no version {version} of {exam_id}")
    key = vault.open("answer-key", _row(exam_id, version), stored.sealed_key)
    return Opened(
        exam=Exam.model_validate_json(stored.content),
        content_digest=stored.content_digest,
        key=AnswerKey.model_validate_json(key),
    )


def _sealed(vault: Vault, document: ExamDocument) -> StoredVersion:
    exam = document.exam
    undelivered = undelivered_types(exam)
    if undelivered:
        errors = [
            {"item": item, "message": f"items of type {kind} can't be sat yet; leave them out"}
            for item, kind in undelivered
        ]
        raise InvalidField("the exam holds items of types that can't be sat yet", errors=errors)
    try:
        key = bind_key(document)
    except KeyMismatch as error:
        raise InvalidField(str(error)) from error
    key_bytes = canonical_bytes(key.model_dump(mode="json"))
    nonce = secrets.token_bytes(NONCE_BYTES)
    return StoredVersion(
        exam_id=exam.id,
        version=exam.version,
        content_digest=key.content_digest,
        title=exam.title,
        language=exam.language,
        item_count=len(exam.items),
        content=canonical_bytes(exam.model_dump(mode="json")).decode(),
        sealed_key=vault.seal("answer-key", _row(exam.id, exam.version), key_bytes, nonce),
        key_digest=digest_bytes(key_bytes),
    )


def _row(exam_id: str, version: str) -> str:
    return f"{exam_id}/{version}"


def _imported(version: StoredVersion, new: bool) -> Imported:
    return Imported(
        version.exam_id, version.version, version.content_digest, version.item_count, new
    )
