"""A delivery that was sat, transferred and signed, made from nothing: ledger lines and stored rows.

Built with the contract's own models and hashing, so that comparing it with the checker compares two
implementations. Tests change one thing and see which check notices.
"""

import base64
import json
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exam_contract import results, trust
from exam_contract.canonical import canonical_bytes, digest, digest_bytes
from exam_contract.merkle import merkle_root
from examctl.verification.database import COLUMNS, Row, Stored, Transfer
from examctl.verification.history import History, read_history

AT = "2026-01-15T10:30:00.000000Z"
UID = "0b9f6a3e-6f0e-4a51-9c39-2f7d3f0f5a11"
DELIVERY = 7
CLIENT_KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
COORDINATOR_KEY = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
Lines = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Transferred:
    """``lines``: the ledger's entries. ``stored``: what PostgreSQL holds."""

    lines: Lines
    stored: Stored

    @property
    def history(self) -> History:
        return read_history(ledger_bytes(self.lines))


def make_transferred(participants: int = 3, questions: int = 4) -> Transferred:
    """Everybody answers every question and changes the first one; all is stored and signed."""
    lines: Lines = [
        {"kind": "begin", "at": AT, "delivery_id": DELIVERY, "seed": 1,
         "participants": participants, "format": 1}
    ]  # fmt: skip
    tables: dict[str, list[Row]] = {table: [] for table in COLUMNS}
    for participant in range(1, participants + 1):
        _sit(participant, questions, lines, tables)
    tables["client_audit"] = client_audit(3)
    lines.append({"kind": "end", "at": AT, "outcome": "complete"})
    bare = Stored(DELIVERY, UID, tables, 0, None, {}, {}, coordinator_audit(4))
    return Transferred(lines, sign(bare))


def sign(stored: Stored) -> Stored:
    """Manifest and receipt over the rows as they are, validly signed."""
    manifest = _manifest(stored)
    payload = canonical_bytes(manifest).decode()
    receipt = canonical_bytes(_receipt(stored, payload, manifest)).decode()
    transfer = Transfer(
        payload,
        _signature(CLIENT_KEY, trust.MANIFEST_CONTEXT, payload),
        "client-1",
        digest_bytes(payload.encode()),
        receipt,
        _signature(COORDINATOR_KEY, trust.RECEIPT_CONTEXT, receipt),
        "coordinator-1",
    )
    return replace(
        stored,
        transfer=transfer,
        client_keys={(2, 3): ("client-1", public(CLIENT_KEY))},
        signing_keys={"coordinator-1": public(COORDINATOR_KEY)},
    )


def ledger_bytes(lines: Lines) -> list[bytes]:
    return [json.dumps(line).encode() + b"\n" for line in lines]


def command_id(participant: int, question: int, revision: int) -> str:
    return f"{participant:08x}{question:012x}{revision:012x}"


def client_audit(entries: int) -> list[Row]:
    rows: list[Row] = []
    prev = ""
    for number in range(1, entries + 1):
        body = {"prev": prev, "at": AT, "actor": "operator", "action": "opened", "detail": "{}"}
        prev = digest(body)
        rows.append({"id": number, **body, "hash": prev})
    return rows


def coordinator_audit(entries: int) -> list[Row]:
    rows: list[Row] = []
    prev = ""
    for number in range(1, entries + 1):
        body = {
            "prev": prev, "at": AT, "actor": "staff:1", "action": "exam.import",
            "target": f"exam:{number}", "detail": "{}",
        }  # fmt: skip
        prev = digest(body)
        rows.append({"id": number, **body, "hash": prev})
    return rows


def public(key: Ed25519PrivateKey) -> str:
    return _base64url(key.public_key().public_bytes_raw())


def _sit(participant: int, questions: int, lines: Lines, tables: dict[str, list[Row]]) -> None:
    attempt = 100 + participant
    for question in range(1, questions + 1):
        for revision in range(1, 3 if question == 1 else 2):
            _answer(participant, question, revision, lines, tables["answer_revisions"])
        last = tables["answer_revisions"][-1]
        tables["answers"].append(
            {
                "id": len(tables["answers"]) + 1, "attempt_id": attempt, "question_id": question,
                "answer": last["answer"], "submitted_at": AT, "score": 100, "points": "1",
                "max_points": "1", "scoring": "auto", "revision": last["revision"],
            }
        )  # fmt: skip
    tables["participants"].append(
        {"id": participant, "identifier": f"MX{participant}", "name": "Zoë",
         "email": "z@example.org", "status": "submitted"}
    )  # fmt: skip
    tables["attempts"].append(
        {
            "id": attempt, "participant_id": participant, "started_at": AT, "ended_at": AT,
            "current_question": questions, "status": "submitted", "deadline": AT,
            "deadline_version": 1, "granted_seconds": 0, "paused_seconds": 0,
            "item_order": json.dumps(list(range(1, questions + 1)), separators=(",", ":")),
            "final_score": 100, "score_numerator": str(questions),
            "score_denominator": str(questions), "manual_pending": 0,
        }
    )  # fmt: skip
    tables["progress"].append(
        {"participant_id": participant, "questions_answered": questions,
         "total_questions": questions, "current_score": 100, "time_remaining": None,
         "last_activity": AT}
    )  # fmt: skip


def _answer(participant: int, question: int, revision: int, lines: Lines, rows: list[Row]) -> None:
    answer: Any = {"B": True, "A": revision == 1}
    text = canonical_bytes(answer).decode()
    command = command_id(participant, question, revision)
    names = {"at": AT, "participant": participant, "question": question, "command": command}
    seq = len(rows) + 1
    lines.append(
        {"kind": "invoke", **names, "base": revision - 1, "answer": answer,
         "digest": digest_bytes(text.encode()), "send": 1}
    )  # fmt: skip
    lines.append(
        {"kind": "ok", **names, "revision": revision, "seq": seq, "saved_at": AT, "ms": 1.5}
    )
    rows.append(
        {
            "id": seq, "attempt_id": 100 + participant, "question_id": question,
            "revision": revision, "command_id": command, "answer": text, "submitted_at": AT,
            "seq": seq, "counted": True,
        }
    )  # fmt: skip


def _manifest(stored: Stored) -> dict[str, Any]:
    audit = stored.tables["client_audit"]
    revisions = stored.tables["answer_revisions"]
    manifest = results.Manifest.model_validate(
        {
            "delivery_id": DELIVERY, "delivery_uid": UID, "epoch": 2, "incarnation": 3,
            "exam_id": "small", "exam_version": "1", "content_digest": digest({}),
            "frozen_at": AT, "last_seq": len(revisions),
            "audit_head": audit[-1]["hash"] if audit else "",
            "tables": _summaries(stored), "participants": _counts(stored), "chunks": [],
        }
    )  # fmt: skip
    return manifest.model_dump(mode="json")


def _receipt(stored: Stored, payload: str, manifest: dict[str, Any]) -> dict[str, Any]:
    receipt = results.Receipt.model_validate(
        {
            "receipt_id": "r-1", "delivery_id": DELIVERY, "delivery_uid": UID,
            "manifest_digest": digest_bytes(payload.encode()), "tables": _summaries(stored),
            "last_seq": manifest["last_seq"], "stored_at": AT,
        }
    )  # fmt: skip
    return receipt.model_dump(mode="json")


def _summaries(stored: Stored) -> dict[str, Any]:
    return {
        table: {"count": len(rows), "merkle_root": merkle_root(rows)}
        for table, rows in stored.tables.items()
    }


def _counts(stored: Stored) -> dict[str, Any]:
    counts = {}
    for row in stored.tables["participants"]:
        attempt = 100 + row["id"]
        counts[str(row["id"])] = {
            "answers": sum(one["attempt_id"] == attempt for one in stored.tables["answers"]),
            "revisions": sum(
                one["attempt_id"] == attempt for one in stored.tables["answer_revisions"]
            ),
            "final_score": 100,
        }
    return counts


def _signature(key: Ed25519PrivateKey, context: str, payload: str) -> str:
    return _base64url(key.sign(trust.signing_bytes(context, payload)))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
