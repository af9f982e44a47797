"""The short way for answers: no task and one write for each, since that is where the time went.

A small, whole ``POST /exam/answer`` is decoded and queued as soon as its last byte is here, and its
reply is written when the commit is done. Everything unusual goes the ordinary way through ASGI;
both ways run the same ``Answers`` and say the same.
"""

import asyncio
from http import HTTPStatus
from typing import Any, NamedTuple

import structlog
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from exam_client.api import problems
from exam_client.api.answers import Answers
from exam_client.api.receiving import TimedProtocol
from exam_client.core import instants
from exam_client.errors import Refusal
from exam_client.services.delivery import Delivery
from exam_contract.problems import MEDIA_TYPE

ANSWER = "/exam/answer"
MAX_BYTES = 32 * 1024
"""Below uvicorn's high-water mark, so that reading is never paused half-way through a body."""
_HEAD = (
    b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\ncache-control: no-store\r\n"
    b"x-content-type-options: nosniff\r\nx-server-time: %b\r\n%b\r\n"
)
_STATUS = {status: f"{status.value} {status.phrase}".encode() for status in HTTPStatus}

log = structlog.get_logger("exam_client.express")


class Reply(NamedTuple):
    """A whole reply but for its head."""

    status: int
    media_type: bytes
    body: bytes
    retry_after: int | None = None


class Express:
    """The answer's door: bytes in, a future, a reply out."""

    def __init__(self, delivery: Delivery, answers: Answers) -> None:
        self._delivery = delivery
        self._answers = answers

    def begin(self, scope: Any, body: bytes) -> "asyncio.Future[Any]":
        """Admit and queue. Raises Refusal."""
        self._delivery.refuse_when_stopping()
        return self._answers.begin(scope, body)

    def saved(self, outcome: Any) -> Reply:
        """The 200. Raises Refusal."""
        return Reply(200, b"application/json", self._answers.finish(outcome))

    def refused(self, error: BaseException) -> Reply:
        """The problem; what is no refusal is logged and is ours."""
        if not isinstance(error, Refusal):
            log.error("request_broke", path=ANSWER, method="POST", exc_info=error)
            error = problems.unexpected()
        status, body = problems.counted(self._delivery, error)
        return Reply(status, MEDIA_TYPE.encode(), body, error.retry_after)

    def on_the_wire(self, reply: Reply, *, keep_alive: bool) -> bytes:
        """Head and body in one piece."""
        instant = instants.text(self._delivery.clock()).encode()
        closing = b"" if keep_alive else b"connection: close\r\n"
        if reply.retry_after is not None:
            closing += b"retry-after: %d\r\n" % reply.retry_after
        status = _STATUS[HTTPStatus(reply.status)]
        head = _HEAD % (status, reply.media_type, len(reply.body), instant, closing)
        return head + reply.body


class ExpressProtocol(TimedProtocol):
    """One connection. ``_held``: the request whose body is still arriving for the short way."""

    _held: RequestResponseCycle | None = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not _takes(cycle):
            super()._start_asgi_task(cycle, app)
        elif cycle.more_body:
            self._held = cycle
        else:
            self._go(cycle, app.express)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        held, self._held = self._held, None
        if held is not None:
            express: Any = self.app
            self._go(held, express.express)

    def _go(self, cycle: RequestResponseCycle, express: Express) -> None:
        try:
            future = express.begin(cycle.scope, bytes(cycle.body))
        except Exception as error:  # noqa: BLE001  said as a problem and logged
            self._reply(cycle, express, express.refused(error))
        else:
            future.add_done_callback(lambda done: self._finish(cycle, express, done))

    def _finish(
        self, cycle: RequestResponseCycle, express: Express, done: "asyncio.Future[Any]"
    ) -> None:
        try:
            reply = express.saved(done.result())
        except Exception as error:  # noqa: BLE001  said as a problem and logged
            reply = express.refused(error)
        self._reply(cycle, express, reply)

    def _reply(self, cycle: RequestResponseCycle, express: Express, reply: Reply) -> None:
        """What ``cycle.send`` does with two messages, in one write."""
        if cycle.disconnected or self.transport.is_closing():
            return
        self.transport.write(express.on_the_wire(reply, keep_alive=cycle.keep_alive))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()


def _takes(cycle: RequestResponseCycle) -> bool:
    """An answer of known, small size that nobody waits to be asked for."""
    scope = cycle.scope
    if scope["path"] != ANSWER or scope["method"] != "POST":
        return False
    if cycle.waiting_for_100_continue or cycle.flow.write_paused:
        return False
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return len(lengths) == 1 and lengths[0].isdigit() and int(lengths[0]) <= MAX_BYTES
