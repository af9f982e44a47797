"""Large bodies are taken into memory only for those who may send them."""

from typing import Any

import pytest
from starlette.requests import HTTPConnection

from coordinator.api.limits import Limits
from coordinator.errors import Unauthenticated

KIB = 1024


class Door:
    """Limits around an app that counts what reaches it."""

    def __init__(self, known: bool) -> None:
        self.known, self.taken, self.reached = known, 0, 0
        self.status = 0
        self._limits = Limits(self._app, "public", {"/import": 200 * KIB}, self._admit)

    async def post(self, path: str, size: int, *, declared: bool = True) -> int:
        headers = [(b"content-length", str(size).encode())] if declared else []
        headers += [] if declared else [(b"transfer-encoding", b"chunked")]
        left = size

        async def receive() -> dict[str, Any]:
            nonlocal left
            piece = min(left, 50 * KIB)
            left -= piece
            self.taken += piece
            return {"type": "http.request", "body": b"x" * piece, "more_body": left > 0}

        async def send(message: Any) -> None:
            self.status = message.get("status", self.status)

        scope = {"type": "http", "path": path, "method": "POST", "headers": headers, "state": {}}
        await self._limits(scope, receive, send)
        return self.status

    async def _admit(self, connection: HTTPConnection) -> None:
        if not self.known:
            raise Unauthenticated("sign in first")

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached = len((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("declared", [True, False])
async def test_nothing_large_is_read_from_a_stranger(declared: bool) -> None:
    door = Door(known=False)
    assert await door.post("/import", 150 * KIB, declared=declared) == 401
    assert (door.taken, door.reached) == (0, 0)


async def test_a_small_body_of_a_stranger_is_the_apps_to_judge() -> None:
    door = Door(known=False)
    assert await door.post("/import", 10 * KIB) == 200
    assert door.reached == 10 * KIB


@pytest.mark.parametrize(("size", "status"), [(150 * KIB, 200), (201 * KIB, 413)])
async def test_who_is_known_may_send_what_is_allowed_there(size: int, status: int) -> None:
    assert await Door(known=True).post("/import", size) == status


async def test_elsewhere_nobody_sends_much() -> None:
    assert await Door(known=True).post("/else", 65 * KIB) == 413
