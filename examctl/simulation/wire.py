"""One HTTP/1.1 connection of one simulated participant, which knows what became of each request.

A participant must tell "it never left" from "it may have arrived": only the second makes the
outcome of an answer unknown. httptools parses, because a full HTTP library, at about a thousand
requests per second and core, would itself be the bottleneck of the simulation.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import urlsplit

import httptools
import msgspec

_READ_LIMIT = 8 * 2**20


class WireError(Exception):
    """The request got no usable reply."""


class NotSentError(WireError):
    """No connection: the request cannot have had an effect."""


class OutcomeUnknownError(WireError):
    """The request was written and no reply came: it may or may not have had an effect."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a service listens."""

    host: str
    port: int
    tls: bool

    @classmethod
    def parse(cls, url: str) -> Self:
        """The origin of an http or https URL."""
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        return cls(parts.hostname or "127.0.0.1", parts.port or (443 if tls else 80), tls)


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply. ``body`` is parsed JSON, or None where there is none."""

    status: int
    body: Any

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def code(self) -> str:
        """The problem code, or the status in words."""
        found = self.body.get("code") if isinstance(self.body, dict) else None
        return str(found or f"http_{self.status}")


class Connection:
    """At most one open connection; opened when needed, kept alive between requests.

    ``trust``: what an https origin's certificate is checked against; None: the machine's own.
    """

    def __init__(self, origin: Origin, trust: ssl.SSLContext | None = None) -> None:
        self._origin = origin
        self._trust = trust
        self._protocol: _Exchange | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        timeout_seconds: float = 10.0,
    ) -> Reply:
        """One request and its reply. Raises NotSentError or OutcomeUnknownError."""
        try:
            async with asyncio.timeout(timeout_seconds):
                exchange = await self._open()
                return await exchange.send(self._bytes(method, path, headers or {}, body))
        except TimeoutError as error:
            sent = self._protocol is not None
            self.drop()
            raise (OutcomeUnknownError if sent else NotSentError)("no reply in time") from error

    def drop(self) -> None:
        """Cut the connection at once, as a lost network does; a request in flight stays unknown."""
        if self._protocol is not None:
            self._protocol.abort()
            self._protocol = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        self.drop()

    async def _open(self) -> "_Exchange":
        if self._protocol is not None and self._protocol.usable:
            return self._protocol
        self._protocol = None
        context = (self._trust or ssl.create_default_context()) if self._origin.tls else None
        try:
            _, self._protocol = await asyncio.get_running_loop().create_connection(
                _Exchange, self._origin.host, self._origin.port, ssl=context
            )
        except OSError as error:
            raise NotSentError(str(error)) from error
        return self._protocol

    def _bytes(self, method: str, path: str, headers: Mapping[str, str], body: object) -> bytes:
        payload = b"" if body is None else msgspec.json.encode(body)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._origin.host}:{self._origin.port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
        return "\r\n".join([*lines, "", ""]).encode() + payload


class _Exchange(asyncio.Protocol):
    """One request at a time; whoever loses the connection meanwhile learns that it is unknown."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Reply] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._received = bytearray()

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def send(self, data: bytes) -> Reply:
        if self._transport is None or self._transport.is_closing():
            raise NotSentError("the connection closed")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._waiting

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._fail("the participant cut the connection")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(str(error or "the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"no HTTP: {error}")
            self.abort()

    def on_body(self, body: bytes) -> None:
        self._received += body
        if len(self._received) > _READ_LIMIT:
            self._fail("the reply is larger than any reply here")
            self.abort()

    def on_message_complete(self) -> None:
        status, raw = self._parser.get_status_code(), bytes(self._received)
        keep = self._parser.should_keep_alive()
        self._received.clear()
        self._parser = httptools.HttpResponseParser(self)
        if self._transport is not None and not keep:
            self._transport.close()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(Reply(status, _parsed(raw)))

    def _fail(self, reason: str) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(OutcomeUnknownError(reason))


def _parsed(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return None
