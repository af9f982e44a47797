"""The coordinator's side of an exam-client, in memory: progress, actions, info, and its absence."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.jwk import OKPKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from coordinator.core import progress
from exam_contract.problems import MEDIA_TYPE, ProblemCode, problem
from exam_contract.progress import ClientView

Json = dict[str, Any]


class FakeExamClient:
    """``asked`` counts progress calls; ``fail``, ``delay`` and ``refusal`` make it misbehave."""

    def __init__(self) -> None:
        self.participants: list[int] = []
        self.delivery_id, self.uid = 1, ""
        self.asked, self.delay, self.fail = 0, 0.0, 0
        self.actions: list[Json] = []
        self.tokens: list[Json] = []
        self.refusal: ProblemCode | None = None
        self.key: Json = {}
        self.app = Starlette(
            routes=[
                Route("/exam/info", self.info),
                Route("/api/progress", self.progress),
                Route("/api/actions", self.act, methods=["POST"]),
            ]
        )

    async def info(self, request: Request) -> Response:
        return JSONResponse({"title": "x"}, 500 if self.fail else 200)

    async def progress(self, request: Request) -> Response:
        self.asked += 1
        self._check(request)
        await asyncio.sleep(self.delay)
        if self.fail:
            return Response("broken", 500)
        rows = [progress.registered(person, 10) for person in self.participants]
        view = ClientView(
            delivery_id=self.delivery_id,
            delivery_uid=self.uid,
            epoch=1,
            incarnation=1,
            as_of=datetime.now(UTC),
            last_seq=0,
            stats=progress.stats(rows, events_pending=3),
            participants=rows,
        )
        return Response(view.model_dump_json(), media_type="application/json")

    async def act(self, request: Request) -> Response:
        self._check(request)
        if self.refusal is not None:
            body = problem(self.refusal, "not in this state")
            return JSONResponse(body.model_dump(mode="json"), body.status, media_type=MEDIA_TYPE)
        action = await request.json()
        self.actions.append(action)
        return JSONResponse({"action_id": action["action_id"], "applied": [1], "seq": 9})

    def _check(self, request: Request) -> None:
        token = request.headers["authorization"].removeprefix("Bearer ")
        decoded = jwt.decode(token, OKPKey.import_key(self.key), algorithms=["EdDSA"])
        assert decoded.header["typ"] == "medxamion-service+jwt"
        self.tokens.append(decoded.claims)
