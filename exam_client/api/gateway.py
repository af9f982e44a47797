"""The front of both apps: headers for every reply, limits for every body, lean doors for answers.

Plain ASGI. Whatever happens inside, the caller gets problem+json and never a traceback.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

import msgspec
import structlog

from exam_client.api import bodies, problems
from exam_client.api import headers as request_headers
from exam_client.api.bodies import CallerGone, Receive
from exam_client.api.express import Express
from exam_client.core import instants
from exam_client.errors import Refusal
from exam_client.services.delivery import Delivery
from exam_contract.problems import MEDIA_TYPE

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]
Lean = Callable[[Any, Receive], Coroutine[Any, Any, bytes]]
"""A handler that returns the body of a 200, or raises Refusal."""
Guard = Callable[[request_headers.Headers], None]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_SAFE = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]
_CHANGES = frozenset({"POST", "PUT"})
_ALWAYS_TOLD = ("/healthz", "/status", "/metrics")
"""What is answered until the very end."""
log = structlog.get_logger("exam_client.gateway")


class Gateway:
    """``lean`` maps a path of POST requests to a handler that goes before FastAPI.

    ``express``: the short way that the protocol may take around ASGI altogether. ``bodiless``: the
    paths of POST requests that bring nothing. ``guarded``: by path, who raises Refusal before a
    stranger's body is held.
    """

    def __init__(
        self,
        delivery: Delivery,
        inner: App,
        lean: dict[str, Lean],
        express: Express | None = None,
        bodiless: frozenset[str] = frozenset(),
        guarded: Mapping[str, Guard] = MappingProxyType({}),
    ) -> None:
        self.express = express
        self._delivery = delivery
        self._inner = inner
        self._lean = lean
        self._bodiless = bodiless
        self._guarded = guarded

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        stamped = _Stamped(send, self._delivery)
        try:
            await self._serve(scope, receive, stamped)
        except Refusal as refusal:
            await stamped.refuse(refusal, *problems.counted(self._delivery, refusal))
        except CallerGone:
            return
        except Exception:
            log.exception("request_broke", path=scope["path"], method=scope["method"])
            if not stamped.started:
                ours = problems.unexpected()
                await stamped.refuse(ours, *problems.encoded(ours))

    async def _serve(self, scope: Any, receive: Receive, send: "_Stamped") -> None:
        if not scope["path"].startswith(_ALWAYS_TOLD):
            self._delivery.refuse_when_stopping()
        lean = self._lean.get(scope["path"])
        if lean is not None and scope["method"] == "POST":
            await send.reply_lean(await lean(scope, receive))
            return
        if scope["method"] in _CHANGES and scope["path"] not in self._bodiless:
            guard = self._guarded.get(scope["path"])
            if guard is not None:
                guard(request_headers.read(scope))
            receive = await _checked_body(scope, receive)
        await self._inner(scope, receive, send)


class _Stamped:
    """A ``send`` that adds the headers every reply carries."""

    def __init__(self, send: Send, delivery: Delivery) -> None:
        self._send = send
        self._delivery = delivery
        self.started = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [*message.get("headers", []), *_SAFE, self._time()]
        await self._send(message)

    async def refuse(self, refusal: Refusal, status: int, body: bytes) -> None:
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            *_SAFE,
            self._time(),
        ]
        if refusal.retry_after is not None:
            headers.append((b"retry-after", str(refusal.retry_after).encode()))
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def reply_lean(self, body: bytes) -> None:
        """Saved answers: data for a script, without the headers that guard pages."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            _SAFE[0],
            _SAFE[2],
            self._time(),
        ]
        self.started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    def _time(self) -> tuple[bytes, bytes]:
        return (b"x-server-time", instants.text(self._delivery.clock()).encode())


async def _checked_body(scope: Any, receive: Receive) -> Receive:
    """Read and check a body before any route sees it; routes then receive it in one piece."""
    headers = request_headers.read(scope)
    limit = bodies.LIMITS.get(scope["path"], bodies.DEFAULT_LIMIT)
    body = await bodies.read(receive, headers, limit)
    request_headers.refuse_unless_json(headers)
    try:
        msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise bodies.malformed(error) from None
    handed = False

    async def replay() -> dict[str, Any]:
        nonlocal handed
        if handed:
            message: dict[str, Any] = await receive()
            return message
        handed = True
        return {"type": "http.request", "body": body or b"{}", "more_body": False}

    return replay
