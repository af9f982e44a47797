"""One socket's tasks around the pure session machine: a reader, a writer, and loads of snapshots.

Sending may block on a slow reader; publishing never does, it only leaves events with the machine.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from coordinator.core.permissions import Grant
from coordinator.core.session import Close, Command, Load, Published, Send, Session
from coordinator.errors import Refused
from coordinator.hub.hub import Hub
from exam_contract.messages import CLOSE_GOING_AWAY, CLOSE_TOO_SLOW, CLOSE_UNAUTHENTICATED
from exam_contract.problems import STATUS

_SEND_SECONDS = 20.0
_OURS = 500


class Wire(Protocol):
    """The transport: text messages in order. ``receive`` raises Gone when the peer left."""

    async def receive(self) -> str: ...

    async def send(self, text: str) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


class Gone(Exception):
    """The peer closed the socket or vanished."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """``frame``: a written snapshot, or None when ``events`` continue after ``resume_from``."""

    stream: int
    frame: str | None
    events: Sequence[Published] = ()
    health: str | None = None


Loader = Callable[[Load], Awaitable[Loaded]]


class _Ended(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Connection:
    """A subscriber of the hub. ``expires_at``: when the account's session ends by itself."""

    def __init__(
        self,
        wire: Wire,
        hub: Hub,
        load: Loader,
        machine: Session,
        staff_id: int,
        session: bytes | None,
        grants: tuple[Grant, ...],
        expires_at: datetime | None,
        on_frame: Callable[[], None],
    ) -> None:
        self.staff_id, self.session, self.grants = staff_id, session, grants
        self._wire, self._hub, self._load, self._machine = wire, hub, load, machine
        self._expires_at, self._on_frame = expires_at, on_frame
        self._wake = asyncio.Event()
        self._dismissed: str | None = None
        self._loads: asyncio.Queue[Load] = asyncio.Queue(maxsize=64)

    async def run(self) -> None:
        """Serve until the peer leaves, is too slow, or is dismissed."""
        self._hub.join(self)
        try:
            await self._act(self._machine.opened(datetime.now(UTC)))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read())
                tasks.create_task(self._write())
                tasks.create_task(self._fetch())
        except* Gone:
            pass
        except* _Ended as ended:
            first = ended.exceptions[0]
            if isinstance(first, _Ended):
                await self._wire.close(first.code, first.reason)
        finally:
            self._hub.leave(self)

    def publish(self, delivery_id: int, events: Sequence[Published]) -> None:
        self._machine.published(delivery_id, events)
        self._wake.set()

    def health(self, delivery_id: int, frame: str) -> None:
        self._machine.health(delivery_id, frame)
        self._wake.set()

    def dismiss(self, why: str) -> None:
        self._dismissed = why
        self._wake.set()

    async def _read(self) -> None:
        while True:
            await self._act(self._machine.received(await self._wire.receive()))

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        next_ping = loop.time() + self._machine.ping_seconds
        while True:
            await self._wait_until(next_ping)
            self._check_dismissed()
            if loop.time() >= next_ping:
                next_ping = loop.time() + self._machine.ping_seconds
                await self._act(self._machine.ticked(datetime.now(UTC)))
            await self._act(self._machine.take())

    async def _fetch(self) -> None:
        # One at a time: a reader that subscribes to much waits for its own snapshots only.
        while True:
            load = await self._loads.get()
            self._hub.subscribe(self, load.delivery_id)
            try:
                loaded = await self._load(load)
            except Refused as refused:
                self._hub.unsubscribe(self, load.delivery_id)
                if STATUS[refused.code][0] >= _OURS:
                    # Left open it would hear nothing more; the reader comes back and resumes.
                    raise _Ended(CLOSE_GOING_AWAY, refused.detail[:100]) from refused
                self._machine.refused(load.delivery_id, refused.code, refused.detail)
            else:
                self._take_up(load.delivery_id, loaded)
            self._wake.set()

    def _take_up(self, delivery_id: int, loaded: Loaded) -> None:
        reached = self._machine.loaded(delivery_id, loaded.frame, loaded.stream, loaded.events)
        self._hub.begin_at(delivery_id, reached)
        if loaded.health is not None:
            self._machine.health(delivery_id, loaded.health)

    async def _act(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Send(text=text):
                    await self._send(text)
                case Load():
                    await self._loads.put(command)
                case Close(code=code, reason=reason):
                    raise _Ended(code, reason)

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._wire.send(text)
        except TimeoutError as error:
            raise _Ended(CLOSE_TOO_SLOW, "the reader is too slow") from error
        self._on_frame()

    async def _wait_until(self, moment: float) -> None:
        left = moment - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.0, left)):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    def _check_dismissed(self) -> None:
        if self._dismissed is not None:
            raise _Ended(CLOSE_GOING_AWAY, self._dismissed)
        if self._expires_at is not None and datetime.now(UTC) >= self._expires_at:
            raise _Ended(CLOSE_UNAUTHENTICATED, "the session has ended")
