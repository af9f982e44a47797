"""Every error leaves as application/problem+json, by one table, never as a traceback."""

from collections.abc import Mapping

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from coordinator.errors import DatabaseUnavailable, NotReady, Refused
from exam_contract.problems import MEDIA_TYPE, STATUS, ProblemCode, problem

_log = structlog.get_logger(__name__)
_BY_STATUS = {
    400: ProblemCode.BAD_REQUEST,
    401: ProblemCode.UNAUTHENTICATED,
    403: ProblemCode.FORBIDDEN,
    404: ProblemCode.NOT_FOUND,
    405: ProblemCode.METHOD_NOT_ALLOWED,
    408: ProblemCode.REQUEST_TIMEOUT,
    413: ProblemCode.BODY_TOO_LARGE,
    415: ProblemCode.UNSUPPORTED_MEDIA_TYPE,
}
_RETRY = {"Retry-After": "1"}


def install(app: FastAPI) -> None:
    """Register the handlers on an app."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def response(
    code: ProblemCode,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
    **members: object,
) -> Response:
    """The response of a code."""
    body = problem(code, detail, **members).model_dump_json(exclude_none=True)
    return Response(body, STATUS[code][0], headers, media_type=MEDIA_TYPE)


def refusal(error: Refused) -> Response:
    """The response of an error of ours."""
    headers: dict[str, str] = {}
    if isinstance(error, NotReady):
        headers = _RETRY
    if isinstance(error, DatabaseUnavailable):
        # Where only this replica has lost it, the caller's next connection may reach another.
        headers = {**_RETRY, "Connection": "close"}
    if "retry_after" in error.members:
        headers = {"Retry-After": str(error.members["retry_after"])}
    if error.code is ProblemCode.UNAUTHENTICATED:
        headers = {"WWW-Authenticate": "Bearer"}
    return response(error.code, error.detail, headers, **error.members)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return refusal(error)


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = error.errors()
    if any(entry["type"] == "json_invalid" for entry in found):
        return response(ProblemCode.BAD_REQUEST, "the body is not valid JSON")
    # Never the input itself: it may hold a code, a password or an answer.
    errors = [
        {"field": ".".join(map(str, entry["loc"])), "message": entry["msg"]}
        for entry in found[:100]
    ]
    detail = f"{errors[0]['field']}: {errors[0]['message']}" if errors else None
    return response(ProblemCode.INVALID_FIELD, detail, errors=errors)


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = _BY_STATUS.get(error.status_code, ProblemCode.INTERNAL)
    if error.status_code < 500 and code is ProblemCode.INTERNAL:
        code = ProblemCode.BAD_REQUEST
    detail = "there is nothing at this path" if error.status_code == 404 else str(error.detail)
    return response(code, detail, error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("unexpected_error", path=request.scope.get("path"), exc_info=error)
    return response(ProblemCode.INTERNAL, "the error was logged; try again, or tell an admin")
