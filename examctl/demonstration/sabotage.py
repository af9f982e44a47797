"""Damage from outside, to prove that the demo's verdict can fail. The services know none of this.

``lose`` and ``duplicate`` edit the demo's own database after the transfer, as the owner of the
tables; ``ack-early`` puts a proxy before the exam-client that says "saved" before anything is.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum

import httptools
import httpx
import msgspec
import psycopg
from psycopg import sql

from exam_contract.base import rfc3339
from examctl.verification.database import COLUMNS

DROP_SHARE = 0.1
_HOP_BY_HOP = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive"})


class Sabotage(StrEnum):
    """Ways to break the promise that every acknowledged answer is stored exactly once."""

    LOSE = "lose"
    DUPLICATE = "duplicate"
    ACK_EARLY = "ack-early"


def damage_rows(dsn: str, delivery_id: int, how: Sabotage) -> None:
    """Delete or repeat one acknowledged answer in the stored results."""
    with psycopg.connect(dsn) as connection:
        # The owner of tables may switch their guards off; a thief of the database could as well.
        for table in ("result_answer_revisions", "result_answers"):
            connection.execute(
                sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(sql.Identifier(table))
            )
        if how is Sabotage.LOSE:
            _lose_one(connection, delivery_id)
        else:
            _repeat_one(connection, delivery_id)
        for table in ("result_answer_revisions", "result_answers"):
            connection.execute(
                sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(sql.Identifier(table))
            )


def _lose_one(connection: psycopg.Connection[tuple[object, ...]], delivery_id: int) -> None:
    connection.execute(
        "DELETE FROM result_answer_revisions WHERE delivery_id = %(delivery)s AND id ="
        " (SELECT max(id) FROM result_answer_revisions WHERE delivery_id = %(delivery)s)",
        {"delivery": delivery_id},
    )


def _repeat_one(connection: psycopg.Connection[tuple[object, ...]], delivery_id: int) -> None:
    _, columns = COLUMNS["answer_revisions"]
    same = sql.SQL(", ").join(sql.Identifier(name) for name in columns if name != "id")
    connection.execute(
        sql.SQL(
            "INSERT INTO result_answer_revisions (delivery_id, id, {same})"
            " SELECT delivery_id, id + 1, {same} FROM result_answer_revisions"
            " WHERE delivery_id = %(delivery)s ORDER BY id DESC LIMIT 1"
        ).format(same=same),
        {"delivery": delivery_id},
    )


@asynccontextmanager
async def early_acknowledging_proxy(exam_url: str, seed: int) -> AsyncIterator[str]:
    """A proxy before the exam-client that acknowledges first and forwards, mostly, later."""
    async with (
        httpx.AsyncClient(base_url=exam_url, timeout=10.0) as upstream,
        asyncio.TaskGroup() as background,
    ):
        proxy = _Proxy(upstream, background, random.Random(seed))  # noqa: S311 - no secret
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}"


class _Request:
    """One parsed request."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.path, self.body, self.complete = "", b"", False
        self.headers: dict[str, str] = {}

    def on_url(self, url: bytes) -> None:
        self.path += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


class _Proxy:
    def __init__(
        self, upstream: httpx.AsyncClient, background: asyncio.TaskGroup, rng: random.Random
    ) -> None:
        self._upstream, self._background, self._rng = upstream, background, rng
        self._saved = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                method = request.parser.get_method().decode()
                if (method, request.path) == ("POST", "/exam/answer"):
                    writer.write(_http(200, self._acknowledgement(request)))
                    if self._rng.random() >= DROP_SHARE:
                        self._background.create_task(self._forward(method, request))
                else:
                    status, body = await self._forward(method, request)
                    writer.write(_http(status, body))
                await writer.drain()
        except (ConnectionError, httptools.HttpParserError):
            return
        finally:
            writer.close()

    def _acknowledgement(self, request: _Request) -> bytes:
        command = msgspec.json.decode(request.body)
        self._saved += 1
        return msgspec.json.encode(
            {
                "question_id": command["question_id"],
                "revision": command["base_revision"] + 1,
                "saved_at": rfc3339(datetime.now(UTC)),
                "seq": self._saved,
            }
        )

    async def _forward(self, method: str, request: _Request) -> tuple[int, bytes]:
        headers = {
            name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP
        }
        try:
            reply = await self._upstream.request(
                method, request.path, headers=headers, content=request.body
            )
        except httpx.HTTPError:
            return 503, b'{"code": "not_ready"}'
        return reply.status_code, reply.content


async def _read(reader: asyncio.StreamReader) -> _Request | None:
    request = _Request()
    while not request.complete:
        data = await reader.read(65_536)
        if not data:
            return None
        request.parser.feed_data(data)
    return request


def _http(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
