"""Pure ASGI around every app: bodies bounded in size and time, security headers, metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coordinator.api import problems
from coordinator.errors import Refused
from coordinator.services.runtime import Runtime
from exam_contract.problems import ProblemCode

Admit = Callable[[HTTPConnection], Awaitable[None]]
_BODY_SECONDS = 30.0
_DEFAULT_BYTES = 64 * 1024
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none';"
        b" base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


# Told over http too, where browsers ignore it: what stands in front may have taken the TLS off.
_HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")


class Limits:
    """``larger``: part of a path to the bytes allowed there; the last that fits wins.

    ``admit`` raises Refused for who may not send so much: bodies are held in memory, and strangers
    could otherwise fill it.
    """

    def __init__(self, app: ASGIApp, door: str, larger: Mapping[str, int], admit: Admit) -> None:
        self._app, self._door, self._larger, self._admit = app, door, larger, admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        began = time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_headers(scope, message["headers"])
            await send(message)

        try:
            await self._bounded(scope, receive, sending)
        finally:
            self._count(scope, status, time.perf_counter() - began)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = self._allowed(scope["path"])
        try:
            if most > _DEFAULT_BYTES and _may_be_large(scope):
                await self._admit(HTTPConnection(scope))
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _read(scope, receive, most)
        except TimeoutError:
            refusal = problems.response(ProblemCode.REQUEST_TIMEOUT, "send the body faster")
            await refusal(scope, receive, send)
            return
        except Refused as error:
            await problems.refusal(error)(scope, receive, send)
            return
        if body is None:
            detail = f"at most {most} bytes are accepted here"
            refusal = problems.response(ProblemCode.BODY_TOO_LARGE, detail)
            await refusal(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    def _allowed(self, path: str) -> int:
        fitting = [most for part, most in self._larger.items() if part in path]
        return fitting[-1] if fitting else _DEFAULT_BYTES

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        runtime: Runtime | None = scope.get("state", {}).get("runtime")
        if runtime is not None:
            route = getattr(scope.get("route"), "path", "none")
            labels = (self._door, route, scope["method"], str(status))
            runtime.metrics.requests.labels(*labels).observe(seconds)


def _may_be_large(scope: Scope) -> bool:
    """Whether it says so, or does not say how large it is."""
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length", b"0")
    short = declared.isdigit() and int(declared) <= _DEFAULT_BYTES
    return not short or b"transfer-encoding" in headers


async def _read(scope: Scope, receive: Receive, most: int) -> bytes | None:
    """The whole body; None when it is larger than allowed."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    with suppress(ValueError):
        if int(declared) > most:
            return None
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""  # the peer left; the app notices by its own receive
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [body]

    async def replaying() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replaying


def _with_headers(scope: Scope, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    own = {name.lower() for name, _ in headers}
    added = [(name, value) for name, value in _HEADERS if name not in own]
    runtime: Runtime | None = scope.get("state", {}).get("runtime")
    if runtime is not None and runtime.settings.encrypted:
        added.append(_HTTPS_ONLY)
    if b"cache-control" not in own and not scope["path"].startswith("/static"):
        added.append((b"cache-control", b"no-store"))
    return [*headers, *added]
