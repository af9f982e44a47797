"""The committee's WebSocket (``/api/ws``): hello, snapshot, then events; resume by number.

Stream numbers are assigned in PostgreSQL when an event is committed, so they are the same on every
replica. A slow reader is coalesced to the newest state per participant; loss is allowed because a
snapshot can always be asked for again.

Client to server: ``subscribe`` (with ``resume_from`` to continue) and ``pong``.
Server to client: ``hello``, ``snapshot``, ``events``, ``health``, ``ping``, ``problem``.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from exam_contract.base import Contract, UtcTime
from exam_contract.problems import Problem
from exam_contract.progress import LiveProgress, ParticipantProgress

PING_SECONDS = 15
CLOSE_UNAUTHENTICATED = 4401
CLOSE_FORBIDDEN = 4403
CLOSE_TOO_SLOW = 4408
CLOSE_GOING_AWAY = 1012


class Subscribe(Contract):
    type: Literal["subscribe"]
    delivery_id: int
    resume_from: int | None = None
    """The last stream number seen; absent asks for a snapshot."""


class Pong(Contract):
    type: Literal["pong"]


class Hello(Contract):
    type: Literal["hello"] = "hello"
    server_time: UtcTime
    ping_seconds: int = PING_SECONDS


class Snapshot(Contract):
    type: Literal["snapshot"] = "snapshot"
    delivery_id: int
    stream: int
    live: LiveProgress


class StreamEvent(Contract):
    """``participant`` holds the newest known state of the one concerned, ready to draw."""

    stream: int
    event: dict[str, Any]
    participant: ParticipantProgress | None = None


class Events(Contract):
    """``coalesced``: older events of the same participant were left out for this slow reader."""

    type: Literal["events"] = "events"
    delivery_id: int
    stream: int
    events: list[StreamEvent]
    coalesced: bool = False


class Health(Contract):
    """How the exam-client of a delivery is seen."""

    type: Literal["health"] = "health"
    delivery_id: int
    reachable: bool
    phase: str | None = None
    since: UtcTime | None = None
    reason: str | None = None


class Ping(Contract):
    type: Literal["ping"] = "ping"
    server_time: UtcTime


class ProblemMessage(Contract):
    type: Literal["problem"] = "problem"
    problem: Problem


ClientMessage = Annotated[Subscribe | Pong, Field(discriminator="type")]
CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)
ServerMessage = Annotated[
    Hello | Snapshot | Events | Health | Ping | ProblemMessage, Field(discriminator="type")
]
SERVER_MESSAGE: TypeAdapter[ServerMessage] = TypeAdapter(ServerMessage)
