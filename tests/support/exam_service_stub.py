"""Coordinator and exam-client as one small program that speaks the protocol, with faults on order.

For tests of the simulator alone. It keeps answers in memory and is strict about what a participant
may send, so that a simulator that cheats is found out.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SAVED_AT = "2026-01-15T10:30:00.000000Z"
_OPTIONS = [{"id": "A", "text": "a"}, {"id": "B", "text": "b"}]
ITEMS: dict[int, dict[str, Any]] = {
    1: {"type": "single_best", "options": _OPTIONS},
    2: {"type": "multiple_true_false", "options": _OPTIONS},
    3: {"type": "pick_n", "pick": 1, "options": _OPTIONS},
    4: {"type": "numeric"},
    5: {"type": "short_text", "max_length": 200},
    6: {"type": "essay", "max_length": 1000},
}


@dataclass(slots=True)
class Faults:
    """What goes wrong, counted in answers: every n-th. 0 means never."""

    lose_reply_every: int = 0
    """Stored, and the connection is cut instead of a reply."""
    refuse_every: int = 0
    """503, not stored."""
    end_session_every: int = 0
    """The session is gone; the participant signs in again."""
    coordinator_away_for: int = 0
    """So many sign-ins are answered by 503."""


@dataclass(slots=True)
class Stub:
    """What happened. ``stored``: (participant, command) to (question, revision, answer)."""

    faults: Faults
    url: str = ""
    stored: dict[tuple[int, str], tuple[int, int, Any]] = field(default_factory=dict)
    current: dict[tuple[int, int], tuple[int, Any]] = field(default_factory=dict)
    sessions: dict[str, tuple[int, str]] = field(default_factory=dict)
    active: dict[int, str] = field(default_factory=dict)
    """Participant to the device that holds the session."""
    used_codes: set[str] = field(default_factory=set)
    completed: set[int] = field(default_factory=set)
    answers_seen: int = 0
    sign_ins_seen: int = 0


@asynccontextmanager
async def exam_service(faults: Faults | None = None) -> AsyncIterator[Stub]:
    """A running stub; ``url`` is both the coordinator's and the exam-client's."""
    stub = Stub(faults or Faults())
    config = uvicorn.Config(
        _app(_Service(stub)), port=0, log_level="error", lifespan="off", http="httptools"
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(server.serve())
        await server.ready.wait()
        port = server.servers[0].sockets[0].getsockname()[1]
        stub.url = f"http://127.0.0.1:{port}"
        try:
            yield stub
        finally:
            server.should_exit = True
            await running


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def _app(service: "_Service") -> Starlette:
    return Starlette(
        routes=[
            Route("/api/participant/sign-in", service.sign_in, methods=["POST"]),
            Route("/exam/start", service.start_session, methods=["GET"]),
            Route("/exam/start", service.begin, methods=["POST"]),
            Route("/exam/sign-in", service.sign_in_offline, methods=["POST"]),
            Route("/exam/takeover", service.takeover, methods=["POST"]),
            Route("/exam/question/{item}", service.question),
            Route("/exam/answer", service.answer, methods=["POST"]),
            Route("/exam/complete", service.complete, methods=["POST"]),
        ]
    )


class _Service:
    def __init__(self, stub: Stub) -> None:
        self._stub = stub

    async def sign_in(self, request: Request) -> Response:
        body, stub = await request.json(), self._stub
        stub.sign_ins_seen += 1
        if stub.sign_ins_seen <= stub.faults.coordinator_away_for:
            return _problem(503, "stopping")
        participant = int(body["identifier"])
        if body["access_code"] != f"code-{participant}":
            return _problem(401, "sign_in_failed")
        token = f"token-{participant}-{stub.sign_ins_seen}"
        return JSONResponse(
            {"token": token, "exam_url": stub.url, "expires_in": 600, "participant_id": participant}
        )

    async def start_session(self, request: Request) -> Response:
        participant = int(_bearer(request).split("-")[1])
        return _enter(self._stub, participant, request.query_params["device_id"])

    async def sign_in_offline(self, request: Request) -> Response:
        body = await request.json()
        if body["access_code"] != f"code-{body['identifier']}":
            return _problem(401, "sign_in_failed")
        return _enter(self._stub, int(body["identifier"]), body["device_id"])

    async def takeover(self, request: Request) -> Response:
        body, stub = await request.json(), self._stub
        by_token = "authorization" in request.headers
        participant = int(_bearer(request).split("-")[1] if by_token else body["identifier"])
        if body["code"] in stub.used_codes or not body["code"].startswith(f"take-{participant}-"):
            return _problem(403, "takeover_refused")
        stub.used_codes.add(body["code"])
        stub.sessions = {
            session: held for session, held in stub.sessions.items() if held[0] != participant
        }
        stub.active[participant] = body["device_id"]
        return _enter(stub, participant, body["device_id"])

    async def begin(self, request: Request) -> Response:
        if _participant(self._stub, request) is None:
            return _problem(401, "session_ended")
        section = {"id": "s", "title": "S", "items": list(ITEMS)}
        exam = {"navigation": "free", "review": {"change_answers": True}}
        return JSONResponse({"sections": [section], "exam": exam, "state": "in_progress"})

    async def question(self, request: Request) -> Response:
        if _participant(self._stub, request) is None:
            return _problem(401, "session_ended")
        item = int(request.path_params["item"])
        return JSONResponse({"question_id": item, "stem": "?", **ITEMS[item]})

    async def answer(self, request: Request) -> Response:
        participant = _participant(self._stub, request)
        if participant is None:
            return _problem(401, "session_ended")
        return await _answer(self._stub, participant, await request.json(), request)

    async def complete(self, request: Request) -> Response:
        participant = _participant(self._stub, request)
        if participant is None:
            return _problem(401, "session_ended")
        self._stub.completed.add(participant)
        return JSONResponse({"receipt_code": "R", "state": "submitted"})


async def _answer(stub: Stub, participant: int, body: dict[str, Any], request: Request) -> Response:
    stub.answers_seen += 1
    if _hits(stub.answers_seen, stub.faults.refuse_every):
        return _problem(503, "not_ready")
    if _hits(stub.answers_seen, stub.faults.end_session_every):
        stub.sessions.pop(_bearer(request))
        return _problem(401, "session_ended")
    command, question = (participant, body["command_id"]), body["question_id"]
    if command not in stub.stored:
        revision = stub.current.get((participant, question), (0, None))[0]
        if body["base_revision"] != revision:
            return _problem(409, "revision_conflict", revision=revision)
        stub.stored[command] = (question, revision + 1, body["answer"])
        stub.current[(participant, question)] = (revision + 1, body["answer"])
    if _hits(stub.answers_seen, stub.faults.lose_reply_every):
        return _CutConnection()
    told = {"question_id": question, "revision": stub.stored[command][1], "saved_at": SAVED_AT}
    return JSONResponse({**told, "seq": list(stub.stored).index(command) + 1})


class _CutConnection(Response):
    """Promises a body and ends the connection before it comes."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"100"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


def _enter(stub: Stub, participant: int, device: str) -> Response:
    if stub.active.setdefault(participant, device) != device:
        return _problem(409, "device_conflict")
    session = f"session-{len(stub.sessions)}-{participant}-{device}"
    stub.sessions[session] = (participant, device)
    who = {"id": participant, "name": "Somebody"}
    return JSONResponse({"session": session, "state": "checked_in", "participant": who})


def _participant(stub: Stub, request: Request) -> int | None:
    held = stub.sessions.get(_bearer(request))
    return held[0] if held else None


def _bearer(request: Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


def _hits(count: int, every: int) -> bool:
    return every > 0 and count % every == 0


def _problem(status: int, code: str, **members: object) -> Response:
    return JSONResponse({"code": code, "title": code, "status": status, **members}, status)
