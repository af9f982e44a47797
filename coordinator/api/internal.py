"""The internal door (port 8081): the operator and exam-clients, each by its own identity."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.requests import HTTPConnection

from coordinator.api.deps import TheRuntime, runtime_of
from coordinator.core.ingest import Fence
from coordinator.errors import NotFound, NotRegistered, Unauthenticated
from coordinator.services import registration
from coordinator.services.ingest import Caller, check_caller
from coordinator.services.work import OPERATOR, working
from coordinator.store import deliveries, events
from exam_contract.events import EventBatch, IngestReply
from exam_contract.registration import DeliveryRegistration, RegistrationReply
from exam_contract.results import (
    FinalResults,
    IncarnationRegistration,
    IncarnationReply,
    MissingChunks,
    ReceiptConfirmation,
    SignedReceipt,
)
from exam_contract.trust import Signed

router = APIRouter(tags=["internal"])
_CLIENT = "/api/internal/exam-clients/{delivery_id}"
# The route reads the body itself, for speed; the document still says what is expected.
_BATCH = {"type": "object", "title": "EventBatch", "description": EventBatch.__doc__}


async def admit(connection: HTTPConnection) -> None:
    """Before a large body is read. Raises Unauthenticated, NotReady."""
    await runtime_of(connection).callers.exam_client(_bearer(connection))


def _bearer(connection: HTTPConnection) -> str:
    header = connection.headers.get("authorization", "")
    if header[:7].lower() != "bearer ":
        raise Unauthenticated("send Authorization: Bearer with your key")
    return header[7:].strip()


async def operator(request: Request) -> None:
    """Raises Unauthenticated."""
    await runtime_of(request).callers.operator(_bearer(request))


async def exam_client(request: Request) -> Caller:
    """What it says and proves; compared with the delivery's row when that is read."""
    bearer = _bearer(request)
    uid, pod_uid = request.headers.get("x-delivery-uid"), request.headers.get("x-pod-uid")
    if uid is None or pod_uid is None:
        raise Unauthenticated("send X-Delivery-Uid and X-Pod-Uid")
    proof = await runtime_of(request).callers.exam_client(bearer)
    return Caller(uid, pod_uid, proof, _fence(request))


TheCaller = Annotated[Caller, Depends(exam_client)]


@router.put("/api/internal/deliveries/{uid}", dependencies=[Depends(operator)])
async def register(uid: str, body: DeliveryRegistration, runtime: TheRuntime) -> RegistrationReply:
    """Idempotent; also the operator's heartbeat."""
    async with working(runtime.database, OPERATOR) as work:
        registered = await registration.register(work, runtime.keyring, runtime.vault, uid, body)
    if registered.changed:
        runtime.learn(registered.delivery)
    return registered.reply


@router.get("/api/internal/deliveries/{uid}/bundle")
async def bundle(uid: str, caller: TheCaller, runtime: TheRuntime) -> Signed:
    """The signed bundle, the same at every call."""
    if uid != caller.uid:
        raise Unauthenticated("the bundle is another delivery's")
    async with working(runtime.database, f"exam-client:{caller.uid}") as work:
        check_caller(caller, await events.sender(work.db, uid), fenced=False)
        delivery = await deliveries.by_uid(work.db, uid)
        if delivery is None:
            raise NotFound("there is no such delivery")
        return await registration.bundle(
            work, runtime.keyring, runtime.vault, delivery, runtime.settings.public_url
        )


@router.put(f"{_CLIENT}/incarnation")
async def incarnation(
    delivery_id: int, body: IncarnationRegistration, caller: TheCaller, runtime: TheRuntime
) -> IncarnationReply:
    """Raised at every open of the file; older ones are fenced from here on."""
    async with working(runtime.database, f"exam-client:{caller.uid}") as work:
        found = await events.sender(work.db, caller.uid, lock=True)
        sender = check_caller(caller, found, fenced=False)
        _check_path(delivery_id, sender.delivery_id)
        reply = await registration.incarnate(work, sender, body)
    runtime.health.heard(sender.delivery_id, body.incarnation)
    return reply


@router.post(
    "/api/internal/exam-clients/event",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _BATCH}},
        }
    },
)
async def event(request: Request, caller: TheCaller, runtime: TheRuntime) -> IngestReply:
    """One event or a batch; the reply comes after COMMIT."""
    return IngestReply(accepted_through=await runtime.ingest.receive(caller, await request.body()))


@router.put(f"{_CLIENT}/final-results/chunks/{{digest}}", status_code=204)
async def chunk(
    delivery_id: int, digest: str, request: Request, caller: TheCaller, runtime: TheRuntime
) -> None:
    """Raw bytes under their own digest; again changes nothing."""
    await runtime.transfers.stage(caller, digest, await request.body())


@router.post(
    f"{_CLIENT}/final-results",
    response_model=None,
    responses={200: {"model": SignedReceipt}, 202: {"model": MissingChunks}},
)
async def final_results(
    delivery_id: int, body: FinalResults, caller: TheCaller, runtime: TheRuntime, reply: Response
) -> SignedReceipt | MissingChunks:
    """202 with the chunks that are wanting, or 200 with the receipt."""
    outcome = await runtime.transfers.finish(caller, body.manifest)
    if outcome.receipt is None:
        reply.status_code = 202
        return MissingChunks(missing=outcome.missing)
    return SignedReceipt(receipt=outcome.receipt)


@router.get(f"{_CLIENT}/final-results")
async def stored_receipt(delivery_id: int, caller: TheCaller, runtime: TheRuntime) -> SignedReceipt:
    """The receipt, after a reply that was lost."""
    return SignedReceipt(receipt=await runtime.transfers.receipt(caller))


@router.post(f"{_CLIENT}/final-results/confirm", status_code=204)
async def confirm(
    delivery_id: int, body: ReceiptConfirmation, caller: TheCaller, runtime: TheRuntime
) -> None:
    await runtime.transfers.confirm(caller, body.manifest_digest, body.erased)


@router.get("/healthz")
async def healthz(request: Request, runtime: TheRuntime) -> dict[str, Any]:
    """200 when PostgreSQL answers. An idle exam-client's way of saying that it is there."""
    uid, pod_uid = request.headers.get("x-delivery-uid"), request.headers.get("x-pod-uid")
    if uid is not None and pod_uid is not None:
        runtime.health.heard_from(uid, pod_uid)
    await runtime.database.ping()
    return {"status": "ok"}


def _fence(request: Request) -> Fence | None:
    epoch, incarnation = request.headers.get("x-epoch"), request.headers.get("x-incarnation")
    if epoch is None or incarnation is None:
        return None
    if not (epoch.isdecimal() and incarnation.isdecimal()):
        raise NotRegistered("X-Epoch and X-Incarnation are numbers")
    return Fence(int(epoch), int(incarnation))


def _check_path(in_path: int, of_caller: int) -> None:
    if in_path != of_caller:
        raise NotFound("this path belongs to another delivery")
