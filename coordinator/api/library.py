"""Exams and rosters: import, lists, content."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from coordinator.api.deps import AfterId, Limit, TheEdge, ThePrincipal, TheRuntime
from coordinator.core.permissions import Permission
from coordinator.errors import NotFound
from coordinator.services import exams, rosters
from coordinator.store import exams as exam_store
from coordinator.store import rosters as roster_store
from exam_contract.keys import ExamDocument

router = APIRouter(tags=["exams and rosters"])


class NewRoster(BaseModel):
    """``entries`` are checked one by one, so that every wrong row is named at once."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    entries: list[Any] = Field(min_length=1, max_length=20_000)


@router.get("/api/exams")
async def list_exams(
    runtime: TheRuntime, principal: ThePrincipal, limit: Limit = 100, after: str = ""
) -> dict[str, Any]:
    only = principal.exams(Permission.EXAM_READ)
    async with runtime.database.read() as db:
        found = await exam_store.page(db, only, after, limit)
    return {"items": found, "next": found[-1]["exam_id"] if len(found) == limit else None}


@router.post("/api/exams", status_code=201, responses={200: {"description": "known already"}})
async def import_exam(body: ExamDocument, edge: TheEdge, response: Response) -> dict[str, Any]:
    """Imports a version with its key: 201 new, 200 the same again, 409 other content."""
    edge.principal.require(Permission.EXAM_IMPORT, body.exam.id)
    async with edge.working() as work:
        imported = await exams.import_version(work, edge.runtime.vault, body)
    if not imported.new:
        response.status_code = 200
    return {
        "exam_id": imported.exam_id,
        "version": imported.version,
        "content_digest": imported.content_digest,
        "items": imported.items,
    }


@router.get("/api/exams/{exam_id}")
async def exam_versions(exam_id: str, runtime: TheRuntime) -> dict[str, Any]:
    async with runtime.database.read() as db:
        found = await exam_store.versions(db, exam_id)
    if not found:
        raise NotFound("there is no such exam")
    return {"exam_id": exam_id, "title": found[-1]["title"], "versions": found}


@router.get("/api/exams/{exam_id}/versions/{version}")
async def exam_content(
    exam_id: str,
    version: str,
    runtime: TheRuntime,
    principal: ThePrincipal,
    key: Annotated[bool, Query()] = False,
) -> Response:
    """The content; with `key=true`, for admins, the answer key beside it."""
    if key:
        principal.require(Permission.KEY_READ, exam_id)
    async with runtime.database.read() as db:
        opened = await exams.open_version(db, runtime.vault, exam_id, version)
    body: dict[str, Any] = {
        "exam": opened.exam.model_dump(mode="json"),
        "content_digest": opened.content_digest,
    }
    if key:
        body["key"] = opened.key.model_dump(mode="json")["entries"]
    return Response(msgspec.json.encode(body), media_type="application/json")


@router.get("/api/rosters")
async def list_rosters(runtime: TheRuntime, limit: Limit = 100, after: str = "") -> dict[str, Any]:
    async with runtime.database.read() as db:
        found = await roster_store.page(db, after, limit)
    return {"items": found, "next": found[-1]["roster_id"] if len(found) == limit else None}


@router.post("/api/rosters", status_code=201)
async def import_roster(
    body: NewRoster,
    edge: TheEdge,
    response: Response,
    dry_run: Annotated[bool, Query()] = False,
) -> dict[str, Any]:
    """All rows or none; the reply shows every code this once. A dry run only checks."""
    entries = rosters.check(body.entries)
    if dry_run:
        response.status_code = 200
        return {"dry_run": True, "name": body.name, "count": len(entries)}
    prepared = await rosters.prepare(edge.runtime.hashing, body.name, entries)
    async with edge.working() as work:
        roster_id = await rosters.store(work, prepared)
    return {
        "roster_id": roster_id,
        "count": len(entries),
        "participants": [
            {
                "identifier": codes.identifier,
                "access_code": codes.access_code,
                "takeover_codes": codes.takeover_codes,
            }
            for codes in prepared.codes
        ],
    }


@router.get("/api/rosters/{roster_id}")
async def roster(
    roster_id: str, runtime: TheRuntime, limit: Limit = 100, after: AfterId = 0
) -> dict[str, Any]:
    async with runtime.database.read() as db:
        found = await roster_store.get(db, roster_id)
        if found is None:
            raise NotFound("there is no such roster")
        entries = await roster_store.entries(db, roster_id, min(after, 2**31 - 1), limit)
    following = entries[-1]["position"] if len(entries) == limit else None
    return {**found, "items": entries, "next": following}
