"""An exam-client's final results, built from nothing: rows, chunks and a signed manifest.

Tests change one thing and see that the transfer refuses it, with nothing stored.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from coordinator.core.results import participant_counts
from coordinator.core.signing import SigningKey, sign, signing_key
from exam_contract.canonical import canonical_bytes, digest_bytes
from exam_contract.merkle import merkle_root
from exam_contract.results import TABLES, audit_hash
from exam_contract.trust import MANIFEST_CONTEXT, Signed
from tests.support.coordinator_rig import Delivery, Rig

AT = "2026-01-15T10:30:00.000000Z"
Row = dict[str, Any]


@dataclass
class Results:
    """``tables`` may be changed before ``manifest``; ``overrides`` change what it says."""

    delivery: Delivery
    tables: dict[str, list[Row]]
    key: SigningKey = field(default_factory=lambda: signing_key(b"\x07" * 32))
    rows_per_chunk: int = 2000
    overrides: dict[str, Any] = field(default_factory=dict)

    def chunks(self) -> list[tuple[dict[str, Any], bytes]]:
        """Reference and bytes of every chunk."""
        made = []
        for table in TABLES:
            rows = self.tables[table]
            for start in range(0, len(rows), self.rows_per_chunk):
                part = rows[start : start + self.rows_per_chunk]
                data = canonical_bytes({"table": table, "rows": part})
                reference = {
                    "digest": digest_bytes(data),
                    "table": table,
                    "rows": len(part),
                    "size_bytes": len(data),
                }
                made.append((reference, data))
        return made

    def manifest(self) -> Signed:
        audit = self.tables["client_audit"]
        delivery = self.delivery
        return sign(
            self.key,
            MANIFEST_CONTEXT,
            {
                "schema_version": 1,
                "delivery_id": delivery.id,
                "delivery_uid": delivery.uid,
                "epoch": delivery.epoch,
                "incarnation": delivery.incarnation,
                "exam_id": delivery.exam["exam_id"],
                "exam_version": delivery.exam["version"],
                "content_digest": delivery.exam["content_digest"],
                "aborted": False,
                "frozen_at": AT,
                "last_seq": delivery.seq,
                "audit_head": audit[-1]["hash"] if audit else "",
                "tables": {
                    table: {
                        "count": len(self.tables[table]),
                        "merkle_root": merkle_root(self.tables[table]),
                    }
                    for table in TABLES
                },
                "participants": {
                    person: count.model_dump()
                    for person, count in participant_counts(self.tables).items()
                },
                "chunks": [reference for reference, _ in self.chunks()],
                **self.overrides,
            },
        )

    async def upload(self) -> None:
        for reference, data in self.chunks():
            reply = await self.put(reference["digest"], data)
            assert reply.status_code == 204, reply.text

    async def put(self, digest: str, data: bytes) -> Any:
        return await self._http.put(
            f"{self.path}/chunks/{digest}", content=data, headers=self.delivery.headers()
        )

    async def post(self, manifest: Signed | None = None) -> Any:
        body = {"manifest": (manifest or self.manifest()).model_dump()}
        return await self._http.post(self.path, json=body, headers=self.delivery.headers())

    @property
    def path(self) -> str:
        return f"/api/internal/exam-clients/{self.delivery.id}/final-results"

    @property
    def _http(self) -> Any:
        return self.delivery.rig.internal


async def sat_delivery(
    rig: Rig, participants: int = 3, items: int = 4, exam_id: str = "sample"
) -> Results:
    """A delivery whose incarnation is registered, with everybody's results; answers are right in
    turn (participant n answers the first n items right)."""
    delivery = await rig.delivery(exam_id, participants, items)
    results = Results(delivery, make_tables(delivery, items))
    reply = await delivery.incarnate(x=results.key.x, kid=results.key.kid)
    assert reply.status_code == 200, reply.text
    return results


def make_tables(delivery: Delivery, items: int) -> dict[str, list[Row]]:
    tables: dict[str, list[Row]] = {table: [] for table in TABLES}
    for place, participant in enumerate(delivery.participants, start=1):
        _sit(tables, place, participant, items)
    prev = ""
    for number in range(1, 4):
        hashed = audit_hash(prev, AT, "operator", "opened", "{}")
        row = {"id": number, "at": AT, "actor": "operator", "action": "opened", "detail": "{}"}
        tables["client_audit"].append({**row, "prev": prev, "hash": hashed})
        prev = hashed
    return tables


def _sit(tables: dict[str, list[Row]], place: int, participant: int, items: int) -> None:
    right = min(place, items)
    percent = round(100 * right / items)
    tables["participants"].append(
        {
            "id": participant,
            "identifier": f"p{place}",
            "name": '=Zoë\u00a0O\'Neill →\n"x"',
            "email": f"p{place}@example.org",
            "status": "submitted",
        }
    )
    tables["attempts"].append(
        {
            "id": participant,
            "participant_id": participant,
            "started_at": AT,
            "ended_at": AT,
            "current_question": items,
            "status": "submitted",
            "deadline": AT,
            "deadline_version": 1,
            "granted_seconds": 0,
            "paused_seconds": 0,
            "item_order": json.dumps(list(range(1, items + 1))),
            "final_score": percent,
            "score_numerator": str(right),
            "score_denominator": str(items),
            "manual_pending": 0,
        }
    )
    for item in range(1, items + 1):
        _answer(tables, participant, item, item <= right)
    tables["progress"].append(
        {
            "participant_id": participant,
            "questions_answered": items,
            "total_questions": items,
            "current_score": percent,
            "time_remaining": None,
            "last_activity": AT,
        }
    )


def _answer(tables: dict[str, list[Row]], attempt: int, item: int, right: bool) -> None:
    answers, revisions = tables["answers"], tables["answer_revisions"]
    answer = '"A"' if right else '"B"'
    common = {"attempt_id": attempt, "question_id": item, "answer": answer, "submitted_at": AT}
    answers.append(
        {
            "id": len(answers) + 1,
            **common,
            "score": 100 if right else 0,
            "points": "1" if right else "0",
            "max_points": "1",
            "scoring": "auto",
            "revision": 1,
        }
    )
    revisions.append(
        {
            "id": len(revisions) + 1,
            **common,
            "revision": 1,
            "command_id": f"{attempt:08x}{item:08x}",
            "seq": len(revisions) + 1,
            "counted": True,
        }
    )
