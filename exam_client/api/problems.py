"""Refusals and failures as problem+json, for the hand-made door and for FastAPI's routes alike."""

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from exam_client.errors import Refusal
from exam_client.services.delivery import Delivery
from exam_contract.problems import MEDIA_TYPE, ProblemCode

log = structlog.get_logger("exam_client.api")
_BY_STATUS = {
    400: ProblemCode.BAD_REQUEST,
    404: ProblemCode.NOT_FOUND,
    405: ProblemCode.METHOD_NOT_ALLOWED,
    413: ProblemCode.BODY_TOO_LARGE,
    415: ProblemCode.UNSUPPORTED_MEDIA_TYPE,
}


def install(app: FastAPI) -> None:
    """Every error of a FastAPI app leaves as a problem."""
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def encoded(refusal: Refusal) -> tuple[int, bytes]:
    """Status and body of a refusal."""
    body = refusal.body()
    return body.status, msgspec.json.encode(body.model_dump(mode="json", exclude_none=True))


def counted(delivery: Delivery, refusal: Refusal) -> tuple[int, bytes]:
    """Status and body of a refusal, counted in the metrics."""
    delivery.metrics.refusals.labels(str(refusal.code)).inc()
    return encoded(refusal)


def response(refusal: Refusal) -> Response:
    status, body = encoded(refusal)
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def unexpected() -> Refusal:
    """What the caller is told of a failure that is ours; the log holds the rest."""
    return Refusal(ProblemCode.INTERNAL, "it was written to the log; try again, then tell staff")


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101  registered for this type only
    return response(error)


async def _invalid(request: Request, error: Exception) -> Response:
    """Names the field and the fault; never the value, which may be an answer or a code."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  as above
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"][1:]), "message": fault["msg"]}
        for fault in error.errors()[:20]
    ]
    first = faults[0] if faults else {"field": "", "message": "malformed"}
    detail = f"{first['field'] or 'the request'}: {first['message']}"
    return response(Refusal(ProblemCode.INVALID_FIELD, detail, errors=faults))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  as above
    code = _BY_STATUS.get(error.status_code, ProblemCode.INTERNAL)
    answer = response(Refusal(code, None))
    if error.headers:
        answer.headers.update(error.headers)
    return answer
