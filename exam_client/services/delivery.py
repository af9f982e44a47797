"""The running delivery: what every request and every background task shares.

Holds no rules: decisions are the core's, durability is the writer's.
"""

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from exam_client.core import access, records
from exam_client.core.commands import Command
from exam_client.core.paper import Paper
from exam_client.core.state import State
from exam_client.errors import Refusal
from exam_client.services.certificates import Certificates
from exam_client.services.clock import Clock
from exam_client.services.metrics import Metrics
from exam_client.services.tokens import Tokens
from exam_client.settings import Secrets, Settings
from exam_client.store.reading import Reader
from exam_client.store.writer import Writer, fenced_refusal
from exam_client.sync.coordinator import Coordinator
from exam_client.sync.sender import Sender
from exam_contract.problems import ProblemCode
from exam_contract.trust import Signed


@dataclass(frozen=True, slots=True)
class Open:
    """The parts that exist while there is a file."""

    writer: Writer
    reader: Reader
    sender: Sender


@dataclass(slots=True)
class Delivery:
    """``parts`` is None from the erase on; ``erased`` once nothing is left on the volume."""

    settings: Settings
    secrets: Secrets
    clock: Clock
    metrics: Metrics
    tokens: Tokens
    coordinator: Coordinator
    state: State
    parts: Open | None
    certificates: Certificates | None = None
    """None: plain http."""
    stopping_since: float | None = None
    """On the monotonic clock; ``stopping`` from then on."""
    stopping: bool = False
    quiesced: bool = False
    erased: bool = False
    erased_receipt: Signed | None = None
    bundle_trouble: str | None = "the bundle has not been fetched yet"
    transfer_trouble: str | None = None
    transfer_tries: int = 0
    last_seen: dict[int, int] = field(default_factory=dict)
    """Participant to the instant of their last request."""
    looked_at: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Participant to (instant, question number) since the last tick."""

    async def submit(self, command: Command) -> Any:
        """The outcome of a command, once it is durable. Raises Refusal."""
        return await self.queue(command)

    def queue(self, command: Command) -> "asyncio.Future[Any]":
        """Hand a command to the writer; the future brings what ``submit`` returns or raises."""
        if self.parts is None:
            raise already_erased()
        return self.parts.writer.submit(command)

    def paper(self) -> Paper:
        """The compiled bundle. Raises Refusal while there is none."""
        if self.state.closed:
            raise already_erased()
        paper = self.state.paper
        if paper is None:
            raise Refusal(
                ProblemCode.NOT_READY,
                f"the exam is not here yet ({self.bundle_trouble}); try again in a moment",
            )
        return paper

    def session(self, token: str | None) -> records.Session:
        """The live session of a token, noted as seen. Raises Refusal."""
        if token is None:
            raise Refusal(ProblemCode.UNAUTHENTICATED, "open the exam with GET /exam/start")
        if self.state.closed:
            raise already_erased()
        session = self.state.sessions.get(session_hash(token))
        if session is None:
            self.paper()  # one without an exam knows nobody: whoever had a session is to wait
            raise Refusal(ProblemCode.UNAUTHENTICATED, "this session is unknown; sign in again")
        now = self.clock()
        sitting = self.state.sittings[session.participant_id]
        if not access.is_alive(session, sitting, now):
            raise Refusal(ProblemCode.SESSION_ENDED, "it was ended here or moved to another device")
        self.last_seen[session.participant_id] = now
        return session

    def sitting(self, participant_id: int) -> records.Sitting:
        return self.state.sittings[participant_id]

    def looked(self, participant_id: int, number: int) -> None:
        """A participant opened a question; flushed with the next tick."""
        self.looked_at[participant_id] = (self.clock(), number)

    @property
    def delivered_seq(self) -> int:
        if self.parts is None:
            return self.state.whole.delivered_seq
        return self.parts.sender.delivered_seq

    @property
    def fenced(self) -> bool:
        parts = self.parts
        by_coordinator = parts is not None and parts.sender.uplink.alarm == "fenced"
        return self.state.whole.fenced or by_coordinator

    def stop_serving(self) -> None:
        """From here on what is new is refused."""
        if not self.stopping:
            self.stopping, self.stopping_since = True, time.monotonic()

    def refuse_when_stopping(self) -> None:
        """What was accepted is finished; nothing new is."""
        if self.stopping:
            raise Refusal(
                ProblemCode.STOPPING, "it comes back in a moment; send it again", retry_after=1
            )

    def refuse_unless_writable(self) -> None:
        """What no participant's write gets past, whatever it is."""
        if self.state.whole.fenced:
            raise fenced_refusal()
        if self.fenced:
            raise Refusal(ProblemCode.FENCED, "a newer exam-client has taken over; reload the page")


def session_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def already_erased() -> Refusal:
    return Refusal(ProblemCode.DELIVERY_FROZEN, "this delivery was handed over and erased")
