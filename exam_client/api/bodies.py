"""Request bodies, bounded in size while they arrive: what is too large is never held."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from exam_client.api.headers import Headers
from exam_client.errors import Refusal
from exam_contract.problems import ProblemCode

Receive = Callable[[], Awaitable[Any]]
KIB = 1024
DEFAULT_LIMIT = 64 * KIB
LIMITS = {
    "/exam/answer": 256 * KIB,
    "/exam/answers": 1024 * KIB,
    "/api/actions": 512 * KIB,
}
"""By path: an essay may have 50,000 characters, an action 20,000 participant ids."""


class CallerGone(Exception):
    """The connection closed before the request was complete; nobody waits for a reply."""


async def read(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The whole body. Raises Refusal when it is larger than ``limit``."""
    if headers.content_length is not None and headers.content_length > limit:
        raise too_large(limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body", False):
        if len(body) > limit:
            raise too_large(limit)
        return body
    return await _read_rest(receive, message, limit)


async def _read_rest(receive: Receive, message: Any, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise CallerGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise too_large(limit)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


def too_large(limit: int) -> Refusal:
    return Refusal(ProblemCode.BODY_TOO_LARGE, f"send at most {limit} bytes", limit=limit)


def malformed(error: Exception) -> Refusal:
    """What is wrong with a body that is no JSON, or not the JSON that was asked for."""
    if isinstance(error, msgspec.ValidationError):
        return Refusal(ProblemCode.INVALID_FIELD, str(error))
    if isinstance(error, RecursionError):
        return Refusal(ProblemCode.BAD_REQUEST, "the JSON is nested too deeply")
    return Refusal(ProblemCode.BAD_REQUEST, f"the body is no JSON: {error}")
