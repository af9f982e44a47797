"""POST /exam/answer and /exam/answers: the lean doors. msgspec in and out, nothing between.

Documented in OpenAPI by ``describe``, since FastAPI does not see them.
"""

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from exam_client.api import bodies, headers
from exam_client.api.bodies import Receive
from exam_client.core import commands, records, replies
from exam_client.core.commands import Late, Saved
from exam_client.errors import Refusal
from exam_client.services.delivery import Delivery
from exam_contract.problems import ProblemCode

MAX_COMMANDS = 500
CommandId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{16,64}$")]


class AnswerCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer as it is sent."""

    question_id: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    answer: Any
    command_id: CommandId
    base_revision: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class AnswerCommands(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A browser's queue, replayed in order."""

    commands: Annotated[list[AnswerCommand], msgspec.Meta(min_length=1, max_length=MAX_COMMANDS)]


_one = msgspec.json.Decoder(AnswerCommand)
_many = msgspec.json.Decoder(AnswerCommands)
_encode = msgspec.json.Encoder().encode


class Answers:
    """The two doors of one delivery."""

    def __init__(self, delivery: Delivery, cookie_name: str) -> None:
        self._delivery = delivery
        self._cookie_name = cookie_name

    async def answer(self, scope: Any, receive: Receive) -> bytes:
        """One answer by the ordinary way; returns after COMMIT."""
        self._admit(scope)  # before a body that may be large is held for a stranger
        body = await bodies.read(receive, headers.read(scope), bodies.LIMITS["/exam/answer"])
        return self.finish(await self.begin(scope, body))

    def begin(self, scope: Any, body: bytes) -> "asyncio.Future[Any]":
        """Admit one answer and queue it; the future brings its outcome after COMMIT."""
        session = self._admit(scope)
        return self._queue(session, _decoded(_one, body))

    def finish(self, outcome: Any) -> bytes:
        """The reply to a committed answer."""
        return _encode(self._reply(self._counted(outcome)))

    async def answers(self, scope: Any, receive: Receive) -> bytes:
        """Many answers in order; each has its own outcome, and all are queued at once."""
        self._admit(scope)  # as above; again below, since much may have happened meanwhile
        body = await bodies.read(receive, headers.read(scope), bodies.LIMITS["/exam/answers"])
        session = self._admit(scope)
        batch = _decoded(_many, body)
        outcomes = await asyncio.gather(
            *[self._save(session, command) for command in batch.commands],
            return_exceptions=True,
        )
        return _encode({"outcomes": [self._outcome(outcome) for outcome in outcomes]})

    def _admit(self, scope: Any) -> records.Session:
        found = headers.read(scope)
        headers.refuse_unless_json(found)
        caller = headers.caller(found, self._cookie_name)
        delivery = self._delivery
        session = delivery.session(caller.token)
        if caller.by_cookie:
            headers.refuse_foreign_origin(
                found, scope["scheme"], delivery.settings.advertised_origin
            )
        delivery.refuse_unless_writable()
        return session

    async def _save(self, session: records.Session, command: AnswerCommand) -> Saved:
        return self._counted(await self._queue(session, command))

    def _queue(self, session: records.Session, command: AnswerCommand) -> "asyncio.Future[Any]":
        return self._delivery.queue(
            commands.SaveAnswer(
                participant_id=session.participant_id,
                question_id=command.question_id,
                answer=command.answer,
                command_id=command.command_id,
                base_revision=command.base_revision,
                arrived_at=self._delivery.clock(),
            )
        )

    def _counted(self, outcome: Any) -> Saved:
        if isinstance(outcome, Late):
            raise Refusal(
                ProblemCode.DEADLINE_PASSED,
                "it came after the time was over; it is kept for the committee and not counted",
                quarantined=True,
                question_id=outcome.question_id,
            )
        saved: Saved = outcome
        self._delivery.metrics.answers.inc()
        return saved

    def _reply(self, saved: Saved) -> dict[str, Any]:
        delivery = self._delivery
        return replies.answer(delivery.paper(), saved, delivery.delivered_seq, delivery.clock())

    def _outcome(self, outcome: Saved | BaseException) -> dict[str, Any]:
        if isinstance(outcome, Refusal):
            return outcome.body().model_dump(mode="json", exclude_none=True)
        if isinstance(outcome, BaseException):
            raise outcome
        return self._reply(outcome)


def describe(app: FastAPI) -> None:
    """Let the app's OpenAPI document name the lean doors too."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, routes=app.routes)
            for path, model, meaning in (
                ("/exam/answer", AnswerCommand, "Save one answer; 200 only after COMMIT"),
                ("/exam/answers", AnswerCommands, "Replay a queue of answers in order"),
            ):
                document["paths"][path] = {"post": _operation(model, meaning)}
            app.openapi_schema = document
        return app.openapi_schema

    # FastAPI's documented way to extend it.
    app.openapi = openapi  # type: ignore[method-assign]


def _operation(model: type[msgspec.Struct], meaning: str) -> dict[str, Any]:
    (schema,), components = msgspec.json.schema_components([model], ref_template="#/$defs/{name}")
    inlined = components[model.__name__] | {"$defs": components} if components else schema
    return {
        "summary": meaning,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": inlined}},
        },
        "responses": {
            "200": {"description": "Durable", "content": {"application/json": {}}},
            "default": {"description": "Problem", "content": {"application/problem+json": {}}},
        },
    }


def _decoded(decoder: Any, body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise bodies.malformed(error) from None
