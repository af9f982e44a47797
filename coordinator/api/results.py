"""Stored results: pages, exports, figures, the manual queue, receipts and the audit chain."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from coordinator.api.deps import AfterId, Limit, TheEdge, TheRuntime
from coordinator.services import audit, figures, scoring, steering
from coordinator.store import audit as audit_store
from coordinator.store import results
from exam_contract.rationals import Rational

router = APIRouter(tags=["results"])


class Decision(BaseModel):
    """``points``: a rational such as 3/4, from 0 to the answer's maximum."""

    model_config = ConfigDict(extra="forbid")

    answer_id: int = Field(ge=1, le=2**63 - 1)
    points: Rational
    comment: str = Field(default="", max_length=2000)


@router.get("/api/deliveries/{delivery_id}/results", response_model=None)
async def stored_results(
    delivery_id: int,
    runtime: TheRuntime,
    limit: Limit = 100,
    after: AfterId = 0,
    format: Annotated[Literal["csv", "json"] | None, Query()] = None,
    bom: Annotated[bool, Query()] = False,
) -> dict[str, Any] | Response:
    """One row per participant; with `format`, an export of one row per participant and item."""
    if format is not None:
        return _export(runtime, delivery_id, format, bom)
    async with runtime.database.read() as db:
        found = await results.page(db, delivery_id, after, limit)
    following = found[-1]["participant_id"] if len(found) == limit else None
    return {"items": found, "next": following}


@router.get("/api/deliveries/{delivery_id}/results/histogram")
async def results_histogram(delivery_id: int, runtime: TheRuntime) -> dict[str, Any]:
    """Distribution of the final scores in force."""
    delivery = await steering.existing(runtime.database, delivery_id)
    return await figures.scores(runtime.database, runtime.vault, delivery)


@router.get("/api/deliveries/{delivery_id}/results/items")
async def results_items(delivery_id: int, runtime: TheRuntime) -> dict[str, Any]:
    """Presented, answered, difficulty, discrimination and choices of every item."""
    delivery = await steering.existing(runtime.database, delivery_id)
    found = await figures.items(runtime.database, runtime.vault, delivery)
    return {"items": found, "next": None}


@router.get("/api/deliveries/{delivery_id}/manual-queue")
async def manual_queue(
    delivery_id: int,
    runtime: TheRuntime,
    limit: Limit = 100,
    after: AfterId = 0,
    decided: Annotated[bool, Query()] = False,
) -> dict[str, Any]:
    """Answers that wait for a scorer, without the name of who gave them."""
    delivery = await steering.existing(runtime.database, delivery_id)
    return await scoring.manual_queue(
        runtime.database, runtime.vault, delivery, after, limit, decided
    )


@router.post("/api/deliveries/{delivery_id}/manual-scores")
async def manual_score(delivery_id: int, body: Decision, edge: TheEdge) -> dict[str, Any]:
    """A scorer's decision; the final score is computed again. Earlier decisions stay."""
    delivery = await steering.existing(edge.runtime.database, delivery_id)
    async with edge.working() as work:
        return await scoring.decide(
            work,
            delivery,
            edge.principal.staff_id,
            body.answer_id,
            body.points,
            body.comment,
        )


@router.get("/api/deliveries/{delivery_id}/receipt")
async def receipt(delivery_id: int, runtime: TheRuntime) -> dict[str, Any]:
    """The signed manifest and the signed receipt."""
    return await scoring.receipt(runtime.database, runtime.keyring, delivery_id)


@router.get("/api/audit")
async def audit_entries(
    runtime: TheRuntime,
    limit: Limit = 100,
    after: AfterId = 0,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> dict[str, Any]:
    """Oldest first after an id; newest first before one."""
    async with runtime.database.read() as db:
        if before is None:
            found = await audit_store.page(db, after, limit)
        else:
            found = await audit_store.newest(db, before, limit)
    items = [{name: getattr(entry, name) for name in entry.__slots__} for entry in found]
    return {"items": items, "next": found[-1].id if len(found) == limit else None}


@router.get("/api/audit/verify")
async def verify_audit(runtime: TheRuntime) -> dict[str, Any]:
    """Walks the whole chain: `verified`, and the first entry that breaks it if one does."""
    async with runtime.database.read() as db:
        verdict = await audit.check(db)
    return {
        "verified": verdict.broken_at is None,
        "entries": verdict.entries,
        "head": verdict.head,
        "first_bad": verdict.broken_at,
        "reason": verdict.reason,
    }


def _export(
    runtime: TheRuntime, delivery_id: int, kind: Literal["csv", "json"], bom: bool
) -> StreamingResponse:
    if kind == "csv":
        body = scoring.export_csv(runtime.database, delivery_id, bom)
        media = "text/csv; charset=utf-8"
    else:
        body = scoring.export_json(runtime.database, delivery_id)
        media = "application/json"
    name = f'attachment; filename="delivery-{delivery_id}.{kind}"'
    return StreamingResponse(body, media_type=media, headers={"Content-Disposition": name})
