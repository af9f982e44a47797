"""The participant side of docs/protocol.md in memory, to try the page where no exam-client runs."""

import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from exam_contract.problems import MEDIA_TYPE, ProblemCode, problem
from tests.support import page_exam
from tests.support.waiting import until

STATIC = Path(__file__).parents[2] / "exam_client" / "ui" / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
Json = dict[str, Any]


class Refused(Exception):
    def __init__(self, code: ProblemCode, **members: object) -> None:
        super().__init__(code)
        self.body = problem(code, **members)


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


class ExamPageStub:
    """One delivery with one participant. Attributes may be set while it runs."""

    def __init__(self, port: int = 0, **changes: Any) -> None:
        now = datetime.now(UTC)
        self.uid, self.exam = str(uuid.uuid4()), page_exam.exam(**changes)
        self.opens, self.closes = now - timedelta(minutes=1), now + timedelta(hours=3)
        self.limit, self.state, self.version = timedelta(hours=1), "checked_in", 0
        self.deadline: datetime | None = None
        self.answers: dict[int, Json] = {}
        self.outcomes: dict[str, Json] = {}
        self.revisions: list[tuple[int, Any]] = []
        self.announcements: list[Json] = []
        self.coordinator_reachable, self.conflict = True, False
        self.down = False
        self.session = ""
        self.port = port
        self._server: uvicorn.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def entrance(self) -> str:
        """Where the coordinator sends a participant who has signed in."""
        return f"{self.url}/#token=a.b.c"

    def run(self) -> None:
        config = uvicorn.Config(self.app(), port=self.port, log_level="critical", lifespan="off")
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(target=server.run)
        self._thread.start()
        until(lambda: server.started, what="the stub's start")
        self.port = server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        assert self._server is not None
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(5)

    def begin(self) -> None:
        if self.deadline is None:
            self.deadline = min(datetime.now(UTC) + self.limit, self.closes)
            self.state, self.version = "in_progress", 1

    def grant(self, seconds: int) -> None:
        assert self.deadline is not None
        self.deadline += timedelta(seconds=seconds)
        self.version += 1

    def pause(self) -> None:
        self.state = "paused"

    def resume(self) -> None:
        self.state = "in_progress"
        self.grant(2)

    def stored(self) -> Json:
        return {str(item): held["answer"] for item, held in self.answers.items()}

    def announce(self, text: str) -> None:
        at = stamp(datetime.now(UTC))
        self.announcements.append({"id": str(uuid.uuid4()), "text": text, "at": at})

    def app(self) -> Starlette:
        async def refuse(_: Request, error: Exception) -> Response:
            assert isinstance(error, Refused)
            body = error.body
            return JSONResponse(body.model_dump(), body.status, media_type=MEDIA_TYPE)

        routes = [
            Route("/", lambda _: FileResponse(STATIC / "index.html", headers=self.headers())),
            Mount("/static", StaticFiles(directory=STATIC)),
            Route("/exam/info", self.get_info),
            Route("/exam/start", self.get_start),
            Route("/exam/start", self.post_start, methods=["POST"]),
            Route("/exam/sign-in", self.sign_in, methods=["POST"]),
            Route("/exam/takeover", self.sign_in, methods=["POST"]),
            Route("/exam/sign-out", self.sign_in, methods=["POST"]),
            Route("/exam/question/{id:int}", self.get_question),
            Route("/exam/answer", self.post_answer, methods=["POST"]),
            Route("/exam/answers", self.post_answers, methods=["POST"]),
            Route("/exam/progress", self.get_progress),
            Route("/exam/complete", self.complete, methods=["POST"]),
            Route("/exam/media/{digest}", self.media),
        ]
        return Starlette(routes=routes, exception_handlers={Refused: refuse})

    def headers(self) -> dict[str, str]:
        return {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}

    def reply(self, body: Json) -> Response:
        members = {
            "server_time": stamp(datetime.now(UTC)),
            "deadline": self.deadline and stamp(self.deadline),
            "deadline_version": self.version,
            "state": self.state,
        }
        return JSONResponse(body | members)

    def check(self, request: Request) -> None:
        if self.down:
            raise Refused(ProblemCode.NOT_READY)
        if not self.session or request.cookies.get(f"mx_session_{self.uid}") != self.session:
            raise Refused(ProblemCode.UNAUTHENTICATED)
        grace = timedelta(seconds=1)
        if (
            self.deadline
            and datetime.now(UTC) > self.deadline + grace
            and self.state == "in_progress"
        ):
            self.state = "auto_submitted"

    async def get_info(self, _: Request) -> Response:
        window = {"opens_at": stamp(self.opens), "closes_at": stamp(self.closes)}
        return JSONResponse(
            {
                "delivery_uid": self.uid,
                "title": self.exam["title"],
                "language": "en",
                "window": window,
                "server_time": stamp(datetime.now(UTC)),
                "sign_in_url": "http://127.0.0.1:1/sit/1",
                "coordinator_reachable": self.coordinator_reachable,
            }
        )

    def start_reply(self) -> Response:
        names = ("id", "version", "title", "language", "instructions")
        exam = {name: self.exam[name] for name in names}
        exam |= {"navigation": "free", "review": {"show_score": "at_end", "change_answers": True}}
        sections = [{"instructions": None} | section for section in self.exam["sections"]]
        return self.reply(
            {
                "delivery_id": 1,
                "delivery_uid": self.uid,
                "participant": {"id": 7, "name": "Amara Okafor"},
                "exam": exam | {"navigation": self.exam.get("navigation", "free")},
                "window": {
                    "opens_at": stamp(self.opens),
                    "closes_at": stamp(self.closes),
                    "grace_seconds": 60,
                },
                "time_limit_seconds": int(self.limit.total_seconds()),
                "attempt_id": 1 if self.deadline else None,
                "started_at": None,
                "sections": sections if self.deadline else None,
            }
        )

    def admit(self) -> Response:
        self.session = uuid.uuid4().hex
        response = self.start_reply()
        response.set_cookie(f"mx_session_{self.uid}", self.session, httponly=True)
        return response

    async def get_start(self, request: Request) -> Response:
        if self.conflict:
            raise Refused(ProblemCode.DEVICE_CONFLICT)
        if request.headers.get("Authorization"):
            return self.admit()
        self.check(request)
        return self.start_reply()

    async def post_start(self, request: Request) -> Response:
        self.check(request)
        if datetime.now(UTC) < self.opens:
            raise Refused(ProblemCode.NOT_OPEN_YET)
        self.begin()
        return self.start_reply()

    async def sign_in(self, request: Request) -> Response:
        body = await request.json()
        if body.get("access_code", body.get("code")) != "right":
            refused = "code" in body
            raise Refused(ProblemCode.TAKEOVER_REFUSED if refused else ProblemCode.SIGN_IN_FAILED)
        return self.admit()

    async def get_question(self, request: Request) -> Response:
        self.check(request)
        item_id = request.path_params["id"]
        item = next(item for item in self.exam["items"] if item["id"] == item_id)
        stimuli = [s for s in self.exam["stimuli"] if s["id"] in item.get("stimuli", [])]
        shown = [{**s, "media_url": f"/exam/media/{s['media']}"} for s in stimuli]
        stored = self.answers.get(item_id, {"answer": None, "revision": 0})
        return self.reply(
            {"max_points": "1", **item, **stored, "stimuli": shown, "question_id": item_id}
        )

    async def post_answer(self, request: Request) -> Response:
        self.check(request)
        outcome = self.decide(await request.json())
        if "code" in outcome:
            return JSONResponse(outcome, outcome["status"], media_type=MEDIA_TYPE)
        return self.reply(outcome)

    async def post_answers(self, request: Request) -> Response:
        self.check(request)
        commands = (await request.json())["commands"]
        return self.reply({"outcomes": [self.decide(command) for command in commands]})

    def decide(self, command: Json) -> Json:
        if command["command_id"] in self.outcomes:
            return self.outcomes[command["command_id"]]
        item, held = command["question_id"], self.answers.get(command["question_id"])
        revision = held["revision"] if held else 0
        if self.state != "in_progress":
            code = {"paused": "attempt_paused"}.get(self.state, "attempt_closed")
            return problem(ProblemCode(code)).model_dump()
        if command["base_revision"] != revision:
            conflict = problem(ProblemCode.REVISION_CONFLICT, **(held or {}))
            return conflict.model_dump()
        saved = {"revision": revision + 1, "saved_at": stamp(datetime.now(UTC))}
        self.answers[item] = {"answer": command["answer"], **saved}
        self.revisions.append((item, command["answer"]))
        outcome = {"question_id": item, "seq": len(self.revisions), "secured_seq": None, **saved}
        self.outcomes[command["command_id"]] = outcome
        return outcome

    async def get_progress(self, request: Request) -> Response:
        self.check(request)
        answers = {str(item): held for item, held in self.answers.items()}
        return self.reply({"answers": answers, "announcements": self.announcements})

    async def complete(self, request: Request) -> Response:
        self.check(request)
        self.state = "submitted" if self.state == "in_progress" else self.state
        progress = {"questions_answered": len(self.answers), "total_questions": 7}
        receipt = {"receipt_code": "K7QM-2F9D-XW4T", "final_score": 71, "progress": progress}
        return self.reply(receipt | {"ended_at": stamp(datetime.now(UTC))})

    async def media(self, request: Request) -> Response:
        self.check(request)
        return Response(page_exam.IMAGE, media_type="image/svg+xml")
