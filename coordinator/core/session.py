"""One WebSocket of the committee as a state machine: fed messages, it answers with commands.

Bounded: when more events wait than ``limit``, older ones of the same participant are left out, so a
slow reader costs one state per participant and never holds up anybody else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from exam_contract.messages import (
    CLIENT_MESSAGE,
    CLOSE_TOO_SLOW,
    Hello,
    Ping,
    Pong,
    ProblemMessage,
    Subscribe,
)
from exam_contract.problems import ProblemCode, problem

MOST_SUBSCRIPTIONS = 50
_PINGS_MISSED = 3


@dataclass(frozen=True, slots=True)
class Published:
    """One event of a stream, written once for all sockets (``json``: a StreamEvent)."""

    stream: int
    participant_id: int | None
    json: str


@dataclass(frozen=True, slots=True)
class Load:
    """Fetch a snapshot, or what came after ``resume_from``, if the person may see it."""

    delivery_id: int
    resume_from: int | None


@dataclass(frozen=True, slots=True)
class Send:
    text: str


@dataclass(frozen=True, slots=True)
class Close:
    code: int
    reason: str


Command = Load | Send | Close


@dataclass(slots=True)
class _Subscription:
    """``seen``: the newest stream number sent; None while the snapshot is being fetched."""

    seen: int | None = None
    waiting: list[Published] = field(default_factory=list)
    coalesced: bool = False

    def add(self, events: Sequence[Published], limit: int) -> None:
        fresh = [event for event in events if self.seen is None or event.stream > self.seen]
        in_order = not (fresh and self.waiting and fresh[0].stream <= self.waiting[-1].stream)
        self.waiting.extend(fresh)
        if not in_order:  # what was fetched later than it was published, or once more
            once = {event.stream: event for event in self.waiting}
            self.waiting = [once[stream] for stream in sorted(once)]
        if len(self.waiting) > limit:
            newest = {event.participant_id: event for event in self.waiting}
            self.coalesced = self.coalesced or len(newest) < len(self.waiting)
            self.waiting = sorted(newest.values(), key=lambda event: event.stream)

    def reached(self) -> int:
        """Everything up to this stream number was sent or waits."""
        reached = self.seen or 0
        for event in self.waiting:
            if event.stream > reached + 1:
                break
            reached = max(reached, event.stream)
        return reached

    def take(self) -> tuple[list[Published], bool]:
        seen = self.seen or 0
        events = [event for event in self.waiting if event.stream > seen]
        coalesced, self.coalesced, self.waiting = self.coalesced, False, []
        if events:
            self.seen = events[-1].stream
        return events, coalesced


@dataclass(slots=True)
class Session:
    """The machine. ``limit``: events waiting per delivery before coalescing begins."""

    ping_seconds: float
    limit: int = 256
    _subscriptions: dict[int, _Subscription] = field(default_factory=dict)
    _outbox: list[Send] = field(default_factory=list)
    _unanswered: int = 0

    def opened(self, now: datetime) -> list[Command]:
        """Greets."""
        hello = Hello(server_time=now, ping_seconds=max(1, round(self.ping_seconds)))
        return [Send(hello.model_dump_json())]

    def received(self, raw: str) -> list[Command]:
        """A message of the client."""
        self._unanswered = 0
        try:
            message = CLIENT_MESSAGE.validate_json(raw)
        except ValidationError:
            return [_refused(ProblemCode.BAD_REQUEST, "send a subscribe or pong message")]
        match message:
            case Pong():
                return []
            case Subscribe(delivery_id=delivery_id, resume_from=resume_from):
                return self._subscribe(delivery_id, resume_from)

    def loaded(
        self,
        delivery_id: int,
        frame: str | None,
        stream: int,
        missed: Sequence[Published] = (),
    ) -> int:
        """A snapshot (``frame``) or, without one, a resume after ``stream`` with what was missed.

        Up to which stream number nothing is wanting now.
        """
        subscription = self._subscriptions.get(delivery_id)
        if subscription is None:
            return stream
        if frame is not None:
            self._outbox.append(Send(frame))
        subscription.seen = stream
        subscription.add(missed, self.limit)
        return subscription.reached()

    def refused(self, delivery_id: int, code: ProblemCode, detail: str) -> None:
        """The subscription can't be had."""
        self._subscriptions.pop(delivery_id, None)
        self._outbox.append(_refused(code, detail, delivery_id=delivery_id))

    def published(self, delivery_id: int, events: Sequence[Published]) -> None:
        """Events of a delivery, in the order of the stream."""
        subscription = self._subscriptions.get(delivery_id)
        if subscription is not None:
            subscription.add(events, self.limit)

    def health(self, delivery_id: int, frame: str) -> None:
        """The newest health of a delivery; an older one that still waits is replaced."""
        if delivery_id not in self._subscriptions:
            return
        mark = f'{{"type":"health","delivery_id":{delivery_id},'
        self._outbox = [send for send in self._outbox if not send.text.startswith(mark)]
        self._outbox.append(Send(frame))

    def ticked(self, now: datetime) -> list[Command]:
        """A ping interval has passed."""
        if self._unanswered >= _PINGS_MISSED:
            return [Close(CLOSE_TOO_SLOW, "no answer to pings")]
        self._unanswered += 1
        return [Send(Ping(server_time=now).model_dump_json())]

    def take(self) -> list[Send]:
        """Everything that is to be sent now."""
        sends, self._outbox = self._outbox, []
        for delivery_id, subscription in self._subscriptions.items():
            if subscription.seen is None:
                continue
            events, coalesced = subscription.take()
            if events:
                sends.append(Send(events_frame(delivery_id, events, coalesced)))
        return sends

    def subscribed(self) -> frozenset[int]:
        """The deliveries this socket listens to."""
        return frozenset(self._subscriptions)

    def _subscribe(self, delivery_id: int, resume_from: int | None) -> list[Command]:
        known = delivery_id in self._subscriptions
        if not known and len(self._subscriptions) >= MOST_SUBSCRIPTIONS:
            detail = f"at most {MOST_SUBSCRIPTIONS} deliveries on one socket"
            return [_refused(ProblemCode.CONFLICT, detail, delivery_id=delivery_id)]
        self._subscriptions[delivery_id] = _Subscription()
        return [Load(delivery_id, resume_from)]


def events_frame(delivery_id: int, events: Iterable[Published], coalesced: bool) -> str:
    """An ``events`` message made of events that are written already."""
    listed = list(events)
    return (
        f'{{"type":"events","delivery_id":{delivery_id},"stream":{listed[-1].stream},'
        f'"events":[{",".join(event.json for event in listed)}],'
        f'"coalesced":{"true" if coalesced else "false"}}}'
    )


def _refused(code: ProblemCode, detail: str, **members: object) -> Send:
    return Send(ProblemMessage(problem=problem(code, detail, **members)).model_dump_json())
