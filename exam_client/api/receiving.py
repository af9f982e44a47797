"""A deadline for the arrival of requests: uvicorn has none, and slow senders hold connections.

Costs nothing per request but two attributes: connections are looked at once a second.
"""

import asyncio
import socket
import ssl
import time
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from exam_contract.problems import MEDIA_TYPE, STATUS, ProblemCode, problem

_LOOK_SECONDS = 1.0
_FAREWELL_SECONDS = 1.0
"""How long a peer may take to say goodbye in TLS; idle clients never do."""


class TimedProtocol(HttpToolsProtocol):
    """Knows since when a request has been arriving; None between requests."""

    arriving_since: float | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.arriving_since = time.monotonic()

    def on_message_begin(self) -> None:
        if self.arriving_since is None:
            self.arriving_since = time.monotonic()
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self.arriving_since = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Not HTTP at all: said as a problem, then cut."""
        self.transport.write(_closing(ProblemCode.BAD_REQUEST, "this is no HTTP/1.1 request"))
        self.transport.close()

    def cut(self) -> None:
        """Too slow: say so where nothing was said yet, and close."""
        cycle: Any = self.cycle
        if cycle is None or not cycle.response_started:
            self.transport.write(
                _closing(ProblemCode.REQUEST_TIMEOUT, "send the whole request without pauses")
            )
        self.transport.close()


class Server(uvicorn.Server):
    """A server that leaves signals alone and cuts requests that take too long to arrive.

    With a ``context`` it speaks https, and cuts handshakes that take as long.
    """

    def __init__(
        self, config: uvicorn.Config, receipt_seconds: float, context: ssl.SSLContext | None
    ) -> None:
        super().__init__(config)
        self._receipt_seconds = receipt_seconds
        self._context = context

    async def serve(self, sockets: Any = None) -> None:
        """Without signal handlers: the composition root has one for both servers."""
        await self._serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's own knows neither of a context that changes nor of limits for TLS."""
        limits: dict[str, Any] = {}
        if self._context is not None:
            limits = {
                "ssl_handshake_timeout": self._receipt_seconds,
                "ssl_shutdown_timeout": _FAREWELL_SECONDS,
            }
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                self._protocol, sock=bound, ssl=self._context, backlog=self.config.backlog, **limits
            )
            for bound in sockets or []
        ]
        self.started = True

    def _protocol(self) -> asyncio.Protocol:
        protocol: Any = self.config.http_protocol_class
        made: asyncio.Protocol = protocol(
            config=self.config, server_state=self.server_state, app_state={}
        )
        return made

    async def cut_slow_for_ever(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            oldest = time.monotonic() - self._receipt_seconds
            for connection in list(self.server_state.connections):
                since = getattr(connection, "arriving_since", None)
                if isinstance(connection, TimedProtocol) and since is not None and since < oldest:
                    connection.cut()


def _closing(code: ProblemCode, detail: str) -> bytes:
    """A whole raw response that ends the connection."""
    status, title = STATUS[code]
    body = msgspec.json.encode(problem(code, detail).model_dump(mode="json", exclude_none=True))
    head = (
        f"HTTP/1.1 {status} {title}\r\ncontent-type: {MEDIA_TYPE}\r\ncache-control: no-store\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
