"""Deliveries: list, create, steer, watch; and the health of their exam-clients."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from coordinator.api.deps import AfterId, Edge, Limit, TheEdge, ThePrincipal, TheRuntime
from coordinator.core.deliveries import Edit
from coordinator.core.permissions import Permission
from coordinator.errors import DatabaseUnavailable
from coordinator.services import steering
from coordinator.services.health import Watched
from coordinator.services.runtime import Runtime
from coordinator.store import deliveries
from coordinator.store.deliveries import Delivery
from exam_contract.base import UtcTime, rfc3339
from exam_contract.delivery import ExamDelivery

router = APIRouter(tags=["deliveries"])
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Namespace = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
DeliveryId = int
_ADJUDICATED = frozenset({"force_submit", "reopen"})


class NewDelivery(BaseModel):
    """``spec``: optional parts of the object's spec (client, storage, access, ...), as in YAML.

    Without ``namespace`` the setting DEFAULT_NAMESPACE says where.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    namespace: Namespace | None = None
    exam_id: str = Field(max_length=63)
    exam_version: str = Field(max_length=32)
    roster_id: str = Field(max_length=63)
    opens_at: UtcTime
    closes_at: UtcTime
    grace_seconds: int = Field(default=60, ge=0, le=3600)
    time_limit_seconds: int = Field(ge=1, le=7 * 86_400)
    spec: dict[str, Any] = {}


class Extend(BaseModel):
    model_config = ConfigDict(extra="forbid")

    closes_at: UtcTime
    reason: Reason


class WithReason(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Reason


@router.get("/api/deliveries")
async def list_deliveries(
    runtime: TheRuntime, principal: ThePrincipal, limit: Limit = 100, after: AfterId = 0
) -> dict[str, Any]:
    only = principal.exams(Permission.DELIVERY_READ)
    async with runtime.database.read() as db:
        found = await deliveries.page(db, only, after, limit)
        counts = await deliveries.counts(db, [delivery.id for delivery in found])
    items = [_delivery(runtime, delivery, counts.get(delivery.id)) for delivery in found]
    return {"items": items, "next": found[-1].id if len(found) == limit else None}


@router.post("/api/deliveries", status_code=201)
async def create_delivery(body: NewDelivery, edge: TheEdge) -> dict[str, Any]:
    """Creates the ExamDelivery object; the operator does the rest."""
    edge.principal.require(Permission.DELIVERY_CREATE, body.exam_id)
    namespace = body.namespace or edge.runtime.settings.default_namespace
    wanted = steering.Request(**{**body.model_dump(), "namespace": namespace})
    made, registered = await edge.runtime.steering.create(edge.principal.actor, wanted)
    edge.runtime.learn(registered.delivery)
    shown = await _shown(edge.runtime, registered.delivery)
    return {**shown, "object": made.to_dict()}


@router.get("/api/deliveries/{delivery_id}")
async def delivery(delivery_id: DeliveryId, runtime: TheRuntime) -> dict[str, Any]:
    return await _shown(runtime, await runtime.delivery(delivery_id))


@router.get("/api/deliveries/{delivery_id}/info")
async def delivery_info(delivery_id: DeliveryId, runtime: TheRuntime) -> dict[str, Any]:
    """What the participants' sign-in page says; open to all, without content."""
    found = await steering.existing(runtime.database, delivery_id)
    return {
        "name": found.name,
        "exam_title": found.exam_title,
        "language": found.exam_language,
        "opens_at": rfc3339(found.opens_at),
        "closes_at": rfc3339(found.closes_at),
        "phase": found.phase,
        "server_time": rfc3339(datetime.now(UTC)),
    }


@router.delete("/api/deliveries/{delivery_id}", status_code=204)
async def delete_delivery(delivery_id: DeliveryId, edge: TheEdge) -> None:
    """Deletes the object; refused while it holds data that was not transferred."""
    found = await steering.existing(edge.runtime.database, delivery_id)
    await edge.runtime.steering.delete(edge.principal.actor, found)


@router.get("/api/deliveries/{delivery_id}/live-progress")
async def live_progress(delivery_id: DeliveryId, runtime: TheRuntime) -> Response:
    """Every participant with `source` live, cached, last_known or historical."""
    found = await runtime.delivery(delivery_id)
    live = await runtime.live.read(found)
    return Response(live.model_dump_json(), media_type="application/json")


@router.post("/api/deliveries/{delivery_id}/actions")
async def act(delivery_id: DeliveryId, body: dict[str, Any], edge: TheEdge) -> dict[str, Any]:
    """An exam action, carried to the exam-client; a takeover code is shown this once."""
    found = await steering.existing(edge.runtime.database, delivery_id)
    if body.get("kind") in _ADJUDICATED:
        edge.principal.require(Permission.ADJUDICATE, found.exam_id)
    acted = await edge.runtime.steering.act(
        edge.principal.actor, found, {"action_id": uuid4().hex, **body}, datetime.now(UTC)
    )
    reply = acted.outcome.model_dump(mode="json")
    return reply if acted.code is None else {**reply, "code": acted.code}


@router.post("/api/deliveries/{delivery_id}/extend")
async def extend(delivery_id: DeliveryId, body: Extend, edge: TheEdge) -> dict[str, Any]:
    """Moves the close; the operator hands it to the exam-client."""
    found = await steering.existing(edge.runtime.database, delivery_id)
    changed = await edge.runtime.steering.extend(
        edge.principal.actor, found, body.closes_at, body.reason
    )
    return await _after(edge, found, changed)


@router.post("/api/deliveries/{delivery_id}/finalise")
async def finalise(delivery_id: DeliveryId, body: WithReason, edge: TheEdge) -> dict[str, Any]:
    """Closes early, on purpose."""
    return await _edit(edge, delivery_id, "finalise", body.reason)


@router.post("/api/deliveries/{delivery_id}/rollback")
async def rollback(delivery_id: DeliveryId, body: WithReason, edge: TheEdge) -> dict[str, Any]:
    """Back to running, while nothing is validated."""
    return await _edit(edge, delivery_id, "rollback", body.reason)


@router.post("/api/deliveries/{delivery_id}/abort")
async def abort(delivery_id: DeliveryId, body: WithReason, edge: TheEdge) -> dict[str, Any]:
    """Stops for good; what exists is transferred, marked as aborted."""
    return await _edit(edge, delivery_id, "abort", body.reason)


@router.post("/api/deliveries/{delivery_id}/restart")
async def restart(delivery_id: DeliveryId, body: WithReason, edge: TheEdge) -> dict[str, Any]:
    """Restarts the exam-client; it continues from its file."""
    return await _edit(edge, delivery_id, "restart", body.reason)


@router.get("/api/exam-clients")
async def exam_clients(runtime: TheRuntime, principal: ThePrincipal) -> dict[str, Any]:
    """Health of every exam-client, as events, probes and the operator tell it."""
    found = runtime.health.all(principal.exams(Permission.WATCH))
    return {"items": [_health(watched) for watched in found], "next": None}


async def _edit(edge: Edge, delivery_id: int, kind: Edit, reason: str) -> dict[str, Any]:
    found = await steering.existing(edge.runtime.database, delivery_id)
    changed = await edge.runtime.steering.change(
        edge.principal.actor, found, kind, reason, datetime.now(UTC)
    )
    return await _after(edge, found, changed)


async def _after(edge: Edge, found: Delivery, changed: ExamDelivery) -> dict[str, Any]:
    """The delivery as it stands now; what the object says wins until the operator reports it."""
    shown = await _shown(edge.runtime, found)
    window = changed.spec.window
    return {
        **shown,
        "desired_state": changed.spec.desired_state,
        "phase": changed.status.phase,
        "opens_at": rfc3339(window.opens_at),
        "closes_at": rfc3339(window.closes_at),
    }


async def _shown(runtime: Runtime, found: Delivery) -> dict[str, Any]:
    try:
        async with runtime.database.read() as db:
            counted = await deliveries.counts(db, [found.id])
    except DatabaseUnavailable:
        return {**_delivery(runtime, found, None), "counts": None}
    return _delivery(runtime, found, counted.get(found.id))


def _delivery(
    runtime: Runtime, found: Delivery, counts: deliveries.Counts | None
) -> dict[str, Any]:
    watched = runtime.health.get(found.id)
    same = ("id", "uid", "name", "namespace", "exam_id", "exam_version", "exam_title")
    also = ("roster_id", "grace_seconds", "time_limit_seconds", "max_participants", "phase")
    more = ("content_digest", "resume_phase", "desired_state", "conditions", "epoch")
    return {
        **{name: getattr(found, name) for name in (*same, *also, *more)},
        "opens_at": rfc3339(found.opens_at),
        "closes_at": rfc3339(found.closes_at),
        "counts": asdict(counts or deliveries.Counts()),
        "client": None if watched is None else _health(watched),
        "erased": found.confirmed_erased,
        "created_at": rfc3339(found.created_at),
        "sign_in_url": f"{runtime.settings.public_url.rstrip('/')}/sit/{found.id}",
        "server_time": rfc3339(datetime.now(UTC)),
    }


def _health(watched: Watched) -> dict[str, Any]:
    operator = watched.operator
    return {
        "delivery_id": watched.delivery_id,
        "name": watched.name,
        "phase": watched.phase,
        "reachable": watched.reachable,
        "since": None if watched.since is None else rfc3339(watched.since),
        "reason": watched.reason or (operator.reason if operator else None),
        "restarts": operator.restarts if operator else None,
        "epoch": watched.epoch,
        "incarnation": watched.incarnation,
        "last_heartbeat": None if watched.heard_at is None else rfc3339(watched.heard_at),
        "events_pending": watched.events_pending,
        "endpoint_public": watched.endpoint_public,
    }
