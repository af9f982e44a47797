"""What a participant may ask: start, question, progress, complete, sign-in, takeover, sign-out."""

import base64
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from exam_client.api import headers
from exam_client.api.headers import Headers
from exam_client.core import commands, instants, records, replies
from exam_client.errors import Refusal
from exam_client.services import receipts
from exam_client.services.delivery import Delivery
from exam_client.services.sign_in import Admission, SignIn
from exam_contract.base import Contract
from exam_contract.problems import ProblemCode
from exam_contract.progress import AttemptState

router = APIRouter()
DeviceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
Code = Annotated[str, Field(min_length=1, max_length=128)]
Identifier = Annotated[str, Field(min_length=1, max_length=64)]


class SignInBody(Contract):
    identifier: Identifier
    access_code: Code
    device_id: DeviceId


class TakeoverBody(Contract):
    """``identifier`` and ``access_code`` stand in for a token while the coordinator is away."""

    code: Code
    device_id: DeviceId
    identifier: Identifier | None = None
    access_code: Code | None = None


class Nothing(Contract):
    """An empty object."""


# Dependencies are coroutines: FastAPI would send each plain function to a thread of a pool.
async def delivery_of(request: Request) -> Delivery:
    delivery: Delivery = request.app.state.delivery
    return delivery


async def sign_in_of(request: Request) -> SignIn:
    sign_in: SignIn = request.app.state.sign_in
    return sign_in


async def headers_of(request: Request) -> Headers:
    return headers.read(dict(request.scope))


TheDelivery = Annotated[Delivery, Depends(delivery_of)]
TheSignIn = Annotated[SignIn, Depends(sign_in_of)]
TheHeaders = Annotated[Headers, Depends(headers_of)]


async def reader(found: TheHeaders, delivery: TheDelivery) -> records.Session:
    """The session of a request that only reads."""
    return delivery.session(headers.caller(found, cookie_name(delivery)).token)


async def writer(request: Request, found: TheHeaders, delivery: TheDelivery) -> records.Session:
    """The session of a request that changes something."""
    caller = headers.caller(found, cookie_name(delivery))
    session = delivery.session(caller.token)
    if caller.by_cookie:
        headers.refuse_foreign_origin(
            found, request.scope["scheme"], delivery.settings.advertised_origin
        )
    delivery.refuse_unless_writable()
    return session


Reading = Annotated[records.Session, Depends(reader)]
Writing = Annotated[records.Session, Depends(writer)]


@router.get("/exam/start")
async def start(
    request: Request,
    found: TheHeaders,
    delivery: TheDelivery,
    sign_in: TheSignIn,
    device_id: Annotated[DeviceId | None, Query()] = None,
) -> Response:
    """Exchange a delivery token for a session, or go on with the one that is there. Idempotent."""
    token = headers.bearer(found)
    if token is None or "." not in token:
        session = await reader(found, delivery)
        return _start_reply(delivery, delivery.sitting(session.participant_id))
    if device_id is None:
        raise Refusal(ProblemCode.INVALID_FIELD, "device_id: draw 16 to 64 random characters")
    present = headers.cookie(found, cookie_name(delivery))
    admission = await sign_in.by_token(token, device_id, present)
    return _admitted(request, found, delivery, admission)


@router.post("/exam/start")
async def begin(session: Writing, delivery: TheDelivery, body: Nothing) -> Response:
    """Begin the attempt and its clock. Idempotent."""
    sitting = await delivery.submit(commands.Begin(session.participant_id))
    return _start_reply(delivery, sitting)


@router.get("/exam/question/{item_id}")
async def question(
    item_id: int, session: Reading, delivery: TheDelivery, ahead: bool = False
) -> Response:
    """One question; begins the attempt where it has not begun. ``ahead``: not looked at yet."""
    paper = delivery.paper()
    sitting = delivery.sitting(session.participant_id)
    if sitting.attempt_id is None:
        delivery.refuse_unless_writable()
        sitting = await delivery.submit(commands.Begin(session.participant_id))
    if sitting.state is AttemptState.PAUSED:
        raise Refusal(ProblemCode.ATTEMPT_PAUSED, "an invigilator paused the exam; wait")
    if sitting.state is not AttemptState.IN_PROGRESS:
        raise Refusal(ProblemCode.ATTEMPT_CLOSED, "the attempt is closed")
    if item_id not in sitting.item_order:
        raise Refusal(ProblemCode.UNKNOWN_QUESTION, f"question {item_id} is not in this attempt")
    reply = replies.question(delivery.state, paper, sitting, item_id, delivery.clock())
    if not ahead:
        delivery.looked(session.participant_id, reply["number"])
    return _json(reply)


@router.get("/exam/progress")
async def progress(session: Reading, delivery: TheDelivery) -> Response:
    """Own progress, answers and announcements; also the heartbeat."""
    sitting = delivery.sitting(session.participant_id)
    return _json(
        replies.progress(
            delivery.state, delivery.paper(), sitting, delivery.delivered_seq, delivery.clock()
        )
    )


@router.post("/exam/complete")
async def complete(session: Writing, delivery: TheDelivery, body: Nothing) -> Response:
    """Hand in; again after that, the same receipt."""
    participant_id = session.participant_id
    command = commands.Complete(participant_id, receipt_code=receipts.draw())
    sitting = await delivery.submit(command)
    return _json(replies.completed(delivery.state, delivery.paper(), sitting, delivery.clock()))


@router.post("/exam/sign-in")
async def offline_sign_in(
    request: Request,
    found: TheHeaders,
    delivery: TheDelivery,
    sign_in: TheSignIn,
    body: SignInBody,
) -> Response:
    """Sign in against the bundle, while the coordinator is away."""
    admission = await sign_in.by_code(
        body.identifier, body.access_code, body.device_id, _address(request)
    )
    return _admitted(request, found, delivery, admission)


@router.post("/exam/takeover")
async def takeover(
    request: Request,
    found: TheHeaders,
    delivery: TheDelivery,
    sign_in: TheSignIn,
    body: TakeoverBody,
) -> Response:
    """Move the exam to this device with an invigilator's code."""
    token = headers.bearer(found)
    if token is not None:
        admission = await sign_in.take_over_by_token(token, body.code, body.device_id)
    elif body.identifier is not None and body.access_code is not None:
        admission = await sign_in.take_over_by_code(
            body.identifier, body.access_code, body.code, body.device_id, _address(request)
        )
    else:
        raise Refusal(
            ProblemCode.UNAUTHENTICATED,
            "send a delivery token, or identifier and access_code while the coordinator is away",
        )
    return _admitted(request, found, delivery, admission)


@router.post("/exam/sign-out")
async def sign_out(
    request: Request, found: TheHeaders, session: Writing, delivery: TheDelivery, body: Nothing
) -> Response:
    """End this session; the attempt goes on."""
    await delivery.submit(commands.SignOut(session.token_hash))
    response = _json({"signed_out": True})
    response.delete_cookie(cookie_name(delivery), path="/")
    return response


@router.get("/exam/media/{digest}")
async def media(digest: str, session: Reading, delivery: TheDelivery) -> Response:
    """The bytes of an image of the exam."""
    sitting = delivery.sitting(session.participant_id)
    found = delivery.paper().media.get(digest)
    if found is None:
        raise Refusal(ProblemCode.NOT_FOUND, "this exam has no such image")
    if sitting.state is not AttemptState.IN_PROGRESS:
        raise Refusal(ProblemCode.ATTEMPT_NOT_STARTED, "images are shown while the attempt runs")
    return Response(base64.b64decode(found.data), media_type=found.media_type)


@router.get("/exam/info")
async def info(delivery: TheDelivery) -> Response:
    """Title, window and where to sign in; no content."""
    paper, terms = delivery.paper(), delivery.state.terms()
    parts = delivery.parts
    return _json(
        {
            "delivery_id": delivery.state.identity.delivery_id,
            "delivery_uid": delivery.state.identity.delivery_uid,
            "title": paper.exam.title,
            "language": paper.exam.language,
            "window": {
                "opens_at": instants.text(terms.opens_at),
                "closes_at": instants.text(terms.closes_at),
                "grace_seconds": terms.grace_seconds,
            },
            "server_time": instants.text(delivery.clock()),
            "sign_in_url": paper.bundle.sign_in_url,
            "coordinator_reachable": parts is not None and bool(parts.sender.reachable),
        }
    )


def cookie_name(delivery: Delivery) -> str:
    """Cookies ignore ports, so the name holds the delivery's uid."""
    return f"mx_session_{delivery.settings.delivery_uid}"


def _start_reply(
    delivery: Delivery, sitting: records.Sitting, session: str | None = None
) -> Response:
    reply = replies.start(delivery.state, delivery.paper(), sitting, delivery.clock())
    return _json(reply if session is None else {**reply, "session": session})


def _admitted(
    request: Request, found: Headers, delivery: Delivery, admission: Admission
) -> Response:
    """A new session as cookie, or in the body for those who asked for a bearer."""
    token = admission.token
    if token is not None:
        delivery.last_seen[admission.participant_id] = delivery.clock()
    if token is not None and found.transport == "bearer":
        return _start_reply(delivery, admission.sitting, token)
    response = _start_reply(delivery, admission.sitting)
    if token is not None:
        response.set_cookie(
            cookie_name(delivery),
            token,
            httponly=True,
            samesite="strict",
            path="/",
            secure=request.scope["scheme"] == "https",
        )
    return response


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else "unknown"


def _json(reply: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(reply), media_type="application/json")
