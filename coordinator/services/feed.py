"""Keeps the hub fed: notices to other replicas, theirs to us, and a slow sweep for lost ones.

Nothing polls: a query is made when a notice says there is something, when a batch came out of
order, and every sweep interval for deliveries that somebody watches.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from coordinator.core.ingest import Incoming
from coordinator.core.session import Published
from coordinator.errors import DatabaseUnavailable
from coordinator.hub.hub import Hub
from coordinator.services.health import HealthMonitor
from coordinator.store import deliveries, events, notify
from coordinator.store.database import Database
from exam_contract.events import EVENT
from exam_contract.messages import StreamEvent
from exam_contract.progress import ParticipantProgress

_log = structlog.get_logger(__name__)
_CATCH_UP = 1000
_RETRY_SECONDS = 1.0


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
        replica: str,
        notify_interval_seconds: float,
        sweep_seconds: float,
        connect_timeout_seconds: int,
    ) -> None:
        self._database, self._hub, self._health = database, hub, health
        self._replica = replica
        self._notify_interval = notify_interval_seconds
        self._sweep_seconds = sweep_seconds
        self._connect_timeout = connect_timeout_seconds
        self._dirty: dict[str, str] = {}
        self._dirty_event = asyncio.Event()

    def tell(self, topic: str, subject: int, value: int = 0) -> None:
        """A notice for other replicas, sent soon; of one topic and subject only the newest."""
        self._dirty[f"{topic}:{subject}"] = f"{topic}:{subject}:{value}:{self._replica}"
        self._dirty_event.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_notices())
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
                _log.warning("notices_lost", count=len(notices))
            await asyncio.sleep(self._notify_interval)

    async def _listen(self) -> None:
        while True:
            try:
                async for payload in notify.listen(self._database.dsn, self._connect_timeout):
                    if payload == notify.LISTENING:
                        await self._look_for_news()
                    else:
                        await self._heard(payload)
            except DatabaseUnavailable:
                _log.warning("listen_lost", retry_seconds=_RETRY_SECONDS)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _heard(self, payload: str) -> None:
        parts = payload.split(":")
        numbers = len(parts) == 4 and parts[1].isdecimal() and parts[2].isdecimal()
        if not numbers or parts[3] == self._replica:
            return
        topic, subject, value = parts[0], int(parts[1]), int(parts[2])
        match topic:
            case "events":
                self._hub.noticed(subject, value)
            case "delivery":
                async with self._database.read() as db:
                    delivery = await deliveries.get(db, subject)
                if delivery is not None:
                    self._health.learn(delivery)
            case "staff":
                self._hub.dismiss(lambda socket: socket.staff_id == subject)
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
            await asyncio.sleep(self._sweep_seconds)
            with suppress(DatabaseUnavailable):
                await self._look_for_news()

    async def _look_for_news(self) -> None:
        """What notices that were lost, or sent before we listened, would have said."""
        watched = self._hub.heads()
        if not watched:
            return
        async with self._database.read() as db:
            newest = await events.heads(db, sorted(watched))
        for delivery_id, stream in newest.items():
            self._hub.noticed(delivery_id, stream)
