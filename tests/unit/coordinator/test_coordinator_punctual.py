"""Who never finishes the head of a request is let go; everybody else is not disturbed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from coordinator.adapters import punctual
from tests.support.waiting import until_async


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """The port."""
    monkeypatch.setattr(punctual, "HEAD_SECONDS", 0.3)
    config = uvicorn.Config(
        _app, port=0, http=punctual.PunctualProtocol, lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)

    async def started() -> bool:
        return server.started

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())
        await until_async(started, what="the server")
        yield int(server.servers[0].sockets[0].getsockname()[1])
        server.should_exit = True


async def told(port: int, sent: bytes) -> bytes:
    """All that comes until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: "])
async def test_a_head_that_never_ends_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    async with served(monkeypatch) as port:
        assert await told(port, sent) == b""


async def test_the_next_head_on_a_connection_has_a_deadline_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with served(monkeypatch) as port:
        heard = await told(port, b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\n")
    assert heard.startswith(b"HTTP/1.1 204")
    assert heard.count(b"HTTP/1.1 204") == 1
