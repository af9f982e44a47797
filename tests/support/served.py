"""An ASGI app behind a real socket in the test's own loop, as uvicorn serves it in production."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn

from tests.support.waiting import until_async


class _Quiet(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncIterator[str]:
    """``host:port`` of the app while the context is open; ``options`` go to uvicorn."""
    with contextlib.closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.setblocking(False)
        config = uvicorn.Config(
            app,
            log_config=None,
            ws="websockets-sansio",
            ws_ping_interval=None,
            timeout_graceful_shutdown=2,
            **options,
        )
        server = _Quiet(config)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve([bound]))

            async def started() -> bool:
                return server.started

            await until_async(started, what="the server's start")
            yield f"127.0.0.1:{bound.getsockname()[1]}"
            server.should_exit = True
