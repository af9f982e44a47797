"""What an exam-client hands over at the end: rows in chunks, and a manifest that it signed."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exam_contract import results, trust
from exam_contract.base import rfc3339
from exam_contract.canonical import canonical_bytes, digest_bytes
from exam_contract.merkle import merkle_root
from exam_contract.rationals import percent, render
from tests.support.coordinator_rig import Delivery

Json = dict[str, Any]
AT = "2026-01-15T10:30:00.000000Z"
KID = "exam-client-1"


async def hand_over(delivery: Delivery, answers: Sequence[Sequence[Json]]) -> None:
    """Transfer ``answers`` (per participant, in the order enrolled) and confirm the erasure.

    An answer is ``{question_id, answer, points, max_points, scoring}``, points as rationals.
    """
    key = Ed25519PrivateKey.generate()
    public = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
    assert (await delivery.incarnate(x=public, kid=KID)).is_success
    tables = _tables(delivery, answers)
    chunks = {name: canonical_bytes({"table": name, "rows": rows}) for name, rows in tables.items()}
    payload = canonical_bytes(_manifest(delivery, tables, chunks)).decode()
    signature = key.sign(trust.signing_bytes(trust.MANIFEST_CONTEXT, payload))
    signed = {
        "payload": payload,
        "kid": KID,
        "signature": base64.urlsafe_b64encode(signature).rstrip(b"=").decode(),
    }
    await _send(delivery, signed, chunks)


async def _send(delivery: Delivery, signed: Json, chunks: dict[str, bytes]) -> None:
    base = f"/api/internal/exam-clients/{delivery.id}/final-results"
    door, headers = delivery.rig.internal, delivery.headers()
    for content in chunks.values():
        path = f"{base}/chunks/{digest_bytes(content)}"
        reply = await door.put(path, content=content, headers=headers)
        assert reply.is_success, reply.text
    reply = await door.post(base, json={"manifest": signed}, headers=headers)
    assert reply.status_code == 200, reply.text
    confirmation = {"manifest_digest": digest_bytes(signed["payload"].encode()), "erased": True}
    reply = await door.post(f"{base}/confirm", json=confirmation, headers=headers)
    assert reply.is_success, reply.text


def _tables(delivery: Delivery, answers: Sequence[Sequence[Json]]) -> dict[str, list[Json]]:
    tables: dict[str, list[Json]] = {name: [] for name in results.TABLES}
    for number, given in zip(delivery.participants, answers, strict=False):
        attempt = _attempt(number, given)
        tables["participants"].append(_participant(number))
        tables["attempts"].append(attempt)
        tables["progress"].append(_progress(attempt, len(given)))
        for answer in given:
            identity = len(tables["answers"]) + 1
            tables["answers"].append(_answer(identity, number, answer))
            tables["answer_revisions"].append(_revision(identity, number, answer))
    return tables


def _participant(number: int) -> Json:
    return {
        "id": number,
        "identifier": f"p{number}",
        "name": f"Person {number}",
        "email": f"p{number}@example.org",
        "status": "submitted",
    }


def _attempt(number: int, given: Sequence[Json]) -> Json:
    earned = sum((Fraction(answer["points"]) for answer in given), Fraction(0))
    most = sum((Fraction(answer["max_points"]) for answer in given), Fraction(0))
    return {
        "id": number,
        "participant_id": number,
        "started_at": AT,
        "ended_at": AT,
        "current_question": 1,
        "status": "submitted",
        "deadline": AT,
        "deadline_version": 1,
        "granted_seconds": 0,
        "paused_seconds": 0,
        "item_order": canonical_bytes([answer["question_id"] for answer in given]).decode(),
        "final_score": percent(earned, most),
        "score_numerator": render(earned),
        "score_denominator": render(most),
        "manual_pending": sum(answer["scoring"] == "manual" for answer in given),
    }


def _progress(attempt: Json, answered: int) -> Json:
    return {
        "participant_id": attempt["participant_id"],
        "questions_answered": answered,
        "total_questions": answered,
        "current_score": attempt["final_score"],
        "time_remaining": 0,
        "last_activity": AT,
    }


def _answer(identity: int, attempt: int, answer: Json) -> Json:
    return {
        "id": identity,
        "attempt_id": attempt,
        "question_id": answer["question_id"],
        "answer": canonical_bytes(answer["answer"]).decode(),
        "submitted_at": AT,
        "score": percent(Fraction(answer["points"]), Fraction(answer["max_points"])),
        "points": answer["points"],
        "max_points": answer["max_points"],
        "scoring": answer["scoring"],
        "revision": 1,
    }


def _revision(identity: int, attempt: int, answer: Json) -> Json:
    return {
        "id": identity,
        "attempt_id": attempt,
        "question_id": answer["question_id"],
        "revision": 1,
        "command_id": f"command-{identity:010}",
        "answer": canonical_bytes(answer["answer"]).decode(),
        "submitted_at": AT,
        "seq": identity,
        "counted": True,
    }


def _manifest(delivery: Delivery, tables: dict[str, list[Json]], chunks: dict[str, bytes]) -> Json:
    counts = {
        str(attempt["participant_id"]): {
            "answers": attempt_answers,
            "revisions": attempt_answers,
            "final_score": attempt["final_score"],
        }
        for attempt in tables["attempts"]
        for attempt_answers in [sum(a["attempt_id"] == attempt["id"] for a in tables["answers"])]
    }
    return {
        "schema_version": 1,
        "delivery_id": delivery.id,
        "delivery_uid": delivery.uid,
        "epoch": delivery.epoch,
        "incarnation": delivery.incarnation,
        "exam_id": delivery.exam["exam_id"],
        "exam_version": delivery.exam["version"],
        "content_digest": delivery.exam["content_digest"],
        "aborted": False,
        "frozen_at": rfc3339(datetime.now(UTC)),
        "last_seq": delivery.seq,
        "audit_head": "",
        "tables": {
            name: {"count": len(rows), "merkle_root": merkle_root(rows)}
            for name, rows in tables.items()
        },
        "participants": counts,
        "chunks": [
            {
                "digest": digest_bytes(content),
                "table": name,
                "rows": len(tables[name]),
                "size_bytes": len(content),
            }
            for name, content in chunks.items()
        ],
    }
