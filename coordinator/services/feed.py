"""Keeps the hub fed: notices to other replicas, theirs to us, and a slow sweep for lost ones.

Nothing polls: a query is made when a notice says there is something, when a batch came out of
order, and every sweep interval for what notices that were lost would have said.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from coordinator.core.ingest import Incoming
from coordinator.core.session import Published
from coordinator.core.throttle import Throttle
from coordinator.errors import DatabaseUnavailable
from coordinator.hub.hub import Hub
from coordinator.services.health import Contact, HealthMonitor
from coordinator.store import deliveries, events, notify, staff
from coordinator.store.database import Database
from exam_contract.events import EVENT
from exam_contract.messages import StreamEvent
from exam_contract.progress import ParticipantProgress

_log = structlog.get_logger(__name__)
_CATCH_UP = 1000
_RETRY_SECONDS = 1.0
_MOST_KEPT = 10_000
_CONTACTS_A_NOTICE = 200
"""A notice holds 8000 bytes."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is what."""

    notify_interval_seconds: float
    contacts_seconds: float
    sweep_seconds: float
    connect_timeout_seconds: int


def written(
    first_stream: int, new: Sequence[Incoming], states: dict[int, ParticipantProgress]
) -> list[Published]:
    """Events with the newest state of whom they concern, written once for all sockets."""
    return [_published(stream, item, states) for stream, item in enumerate(new, start=first_stream)]


def _published(stream: int, item: Incoming, states: dict[int, ParticipantProgress]) -> Published:
    participant = getattr(item.event, "participant_id", None)
    state = None if participant is None else states.get(participant)
    frame = StreamEvent(stream=stream, event=item.body, participant=state)
    return Published(stream, participant, frame.model_dump_json())


async def catch_up(database: Database, delivery_id: int, after: int) -> list[Published]:
    """What was committed after a stream number, with states as they are now."""
    async with database.read() as db:
        rows = await events.since(db, delivery_id, after, _CATCH_UP)
        incoming = [Incoming(EVENT.validate_python(body), body) for _, body in rows]
        concerned = {getattr(item.event, "participant_id", 0) for item in incoming}
        states = await events.states(db, delivery_id, sorted(concerned))
    return [
        _published(stream, item, states) for (stream, _), item in zip(rows, incoming, strict=True)
    ]


class Feed:
    """Tasks of the hub; ``run`` them in a task group for the life of the process."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        health: HealthMonitor,
        throttles: Mapping[int, Throttle],
        replica: str,
        pace: Pace,
    ) -> None:
        self._database, self._hub, self._health = database, hub, health
        self._throttles = throttles
        self._replica, self._pace = replica, pace
        self._dirty: dict[str, str] = {}
        self._dirty_event = asyncio.Event()

    def tell(self, topic: str, subject: int, value: int = 0) -> None:
        """A notice for other replicas, sent soon; of one topic and subject only the newest."""
        self._dirty[f"{topic}:{subject}"] = f"{topic}:{subject}:{value}:{self._replica}"
        self._dirty_event.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_notices())
            tasks.create_task(self._share_contacts())
            tasks.create_task(self._listen())
            tasks.create_task(self._fill_gaps())
            tasks.create_task(self._sweep())

    async def _send_notices(self) -> None:
        while True:
            await self._dirty_event.wait()
            self._dirty_event.clear()
            notices, self._dirty = self._dirty, {}
            try:
                async with self._database.read() as db:
                    await notify.send(db, list(notices.values()))
            except DatabaseUnavailable:
                # Kept for its return, as many as anybody could still want: sweeps heal the rest.
                self._dirty = {**notices, **self._dirty} if len(notices) < _MOST_KEPT else {}
                self._dirty_event.set()
                _log.warning("notices_wait", count=len(self._dirty))
                await asyncio.sleep(_RETRY_SECONDS)
            await asyncio.sleep(self._pace.notify_interval_seconds)

    async def _share_contacts(self) -> None:
        """Tells the others whom we heard, so that they neither probe them nor think them gone."""
        while True:
            await asyncio.sleep(self._pace.contacts_seconds)
            contacts = self._health.take_contacts()
            for place in range(0, len(contacts), _CONTACTS_A_NOTICE):
                some = contacts[place : place + _CONTACTS_A_NOTICE]
                told = ",".join("/".join(str(-1 if n is None else n) for n in one) for one in some)
                self._dirty[f"contacts:{place}"] = f"contacts:{told}:{self._replica}"
                self._dirty_event.set()

    async def _listen(self) -> None:
        while True:
            try:
                async for payload in notify.listen(
                    self._database.dsn, self._pace.connect_timeout_seconds
                ):
                    if payload == notify.LISTENING:
                        await self._look_for_news()
                    else:
                        await self._heard(payload)
            except DatabaseUnavailable:
                _log.warning("listen_lost", retry_seconds=_RETRY_SECONDS)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _heard(self, payload: str) -> None:
        topic, *parts = payload.split(":")
        if not parts or parts[-1] == self._replica:
            return
        if topic == "contacts" and len(parts) == 2:
            self._heard_contacts(parts[0])
        elif len(parts) == 3 and parts[0].isdecimal() and parts[1].isdecimal():
            await self._heard_of(topic, int(parts[0]), int(parts[1]))

    def _heard_contacts(self, told: str) -> None:
        for one in told.split(","):
            numbers = [int(n) for n in one.split("/") if n.lstrip("-").isdecimal()]
            if len(numbers) == len(Contact._fields):
                subject, incarnation, pending = numbers
                self._health.heard_elsewhere(Contact(subject, _known(incarnation), _known(pending)))

    async def _heard_of(self, topic: str, subject: int, value: int) -> None:
        match topic:
            case "events":
                self._health.heard_elsewhere(Contact(subject, None, None))
                self._hub.noticed(subject, value)
            case "delivery":
                async with self._database.read() as db:
                    delivery = await deliveries.get(db, subject)
                if delivery is not None:
                    self._health.learn(delivery)
            case "staff":
                self._hub.dismiss(lambda socket: socket.staff_id == subject)
            case "failed" if value in self._throttles:
                self._throttles[value].failed(str(subject), time.monotonic())
            case "passed" if value in self._throttles:
                self._throttles[value].succeeded(str(subject))
            case _:
                _log.warning("unknown_notice", topic=topic)

    async def _fill_gaps(self) -> None:
        while True:
            for delivery_id, head in await self._hub.next_behind():
                await self._fill(delivery_id, head)

    async def _fill(self, delivery_id: int, head: int) -> None:
        try:
            missed = await catch_up(self._database, delivery_id, head)
        except DatabaseUnavailable:
            return  # the sweep comes back to it
        except Exception:  # noqa: BLE001 -- one delivery's odd row must not end the process of all
            _log.exception("catch_up_failed", delivery_id=delivery_id)
            return
        self._hub.publish(delivery_id, missed)
        if len(missed) == _CATCH_UP:
            self._hub.fall_behind(delivery_id)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._pace.sweep_seconds)
            with suppress(DatabaseUnavailable):
                await self._look_for_news()

    async def _look_for_news(self) -> None:
        """What notices that were lost, or sent before we listened, would have said."""
        await self._health.reload(self._database)
        watched, readers = self._hub.heads(), self._hub.readers()
        if not readers:
            return
        async with self._database.read() as db:
            newest = await events.heads(db, sorted(watched))
            granted = await staff.grants_of(db, sorted({reader.staff_id for reader in readers}))
            sessions = [reader.session for reader in readers if reader.session is not None]
            alive = await staff.sessions_alive(db, sessions)
        for delivery_id, stream in newest.items():
            if stream < watched[delivery_id]:
                self._hub.rewound(delivery_id)
            else:
                self._hub.noticed(delivery_id, stream)
        self._hub.dismiss(
            lambda reader: (
                granted.get(reader.staff_id) != frozenset(reader.grants)
                or (reader.session is not None and reader.session not in alive)
            )
        )


def _known(number: int) -> int | None:
    return None if number < 0 else number
