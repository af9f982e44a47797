"""Fan-out of live events to sockets: in the process, at once, without asking the database.

Each delivery that somebody watches has a channel that knows the newest stream number it passed on.
What is older is dropped, what comes too early marks the channel as behind; whoever feeds the hub
then fetches what is missing. Nothing here waits for a reader.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from coordinator.core.session import Published


class Subscriber(Protocol):
    """One socket. None of these may block."""

    staff_id: int
    session: bytes | None

    def publish(self, delivery_id: int, events: Sequence[Published]) -> None: ...

    def health(self, delivery_id: int, frame: str) -> None: ...

    def dismiss(self) -> None:
        """The account's session ended or its roles changed: close."""


@dataclass(slots=True)
class _Channel:
    head: int | None = None
    subscribers: set[Subscriber] = field(default_factory=set)


class Hub:
    """All channels of this process."""

    def __init__(self) -> None:
        self._channels: dict[int, _Channel] = {}
        self._sockets: set[Subscriber] = set()
        self._behind: set[int] = set()
        self._behind_event = asyncio.Event()

    def join(self, socket: Subscriber) -> None:
        self._sockets.add(socket)

    def leave(self, socket: Subscriber) -> None:
        """Forget a socket and every channel it was the last in."""
        self._sockets.discard(socket)
        for delivery_id in list(self._channels):
            channel = self._channels[delivery_id]
            channel.subscribers.discard(socket)
            if not channel.subscribers:
                del self._channels[delivery_id]

    def subscribe(self, socket: Subscriber, delivery_id: int) -> None:
        """From now on the socket gets what is published; do this before loading its snapshot."""
        self._channels.setdefault(delivery_id, _Channel()).subscribers.add(socket)

    def unsubscribe(self, socket: Subscriber, delivery_id: int) -> None:
        channel = self._channels.get(delivery_id)
        if channel is not None:
            channel.subscribers.discard(socket)
            if not channel.subscribers:
                del self._channels[delivery_id]

    def watched(self, delivery_id: int) -> bool:
        return delivery_id in self._channels

    def heads(self) -> dict[int, int]:
        """The newest stream number passed on, of every channel that has one."""
        return {
            delivery_id: channel.head
            for delivery_id, channel in self._channels.items()
            if channel.head is not None
        }

    def begin_at(self, delivery_id: int, stream: int) -> None:
        """A snapshot was read at that number: nothing before it needs passing on."""
        channel = self._channels.get(delivery_id)
        if channel is not None and (channel.head is None or channel.head < stream):
            channel.head = stream

    def publish(self, delivery_id: int, events: Sequence[Published]) -> None:
        """Pass on consecutive events; what was passed on before is dropped."""
        channel = self._channels.get(delivery_id)
        if channel is None or not events:
            return
        if channel.head is not None and events[0].stream > channel.head + 1:
            self.fall_behind(delivery_id)
            return
        head = channel.head or 0
        fresh = [event for event in events if event.stream > head]
        if fresh:
            channel.head = fresh[-1].stream
            for socket in channel.subscribers:
                socket.publish(delivery_id, fresh)

    def noticed(self, delivery_id: int, stream: int) -> None:
        """Another replica has committed up to that number."""
        channel = self._channels.get(delivery_id)
        if channel is not None and channel.head is not None and channel.head < stream:
            self.fall_behind(delivery_id)

    def fall_behind(self, delivery_id: int) -> None:
        """Ask the feed to fetch what the channel misses."""
        self._behind.add(delivery_id)
        self._behind_event.set()

    async def next_behind(self) -> list[tuple[int, int]]:
        """Waits for channels that miss something: delivery id and head of each."""
        await self._behind_event.wait()
        self._behind_event.clear()
        behind, self._behind = self._behind, set()
        heads = self.heads()
        return [(delivery_id, heads[delivery_id]) for delivery_id in behind if delivery_id in heads]

    def health(self, delivery_id: int, frame: str) -> None:
        """Tell the watchers of a delivery how its exam-client is seen."""
        channel = self._channels.get(delivery_id)
        if channel is not None:
            for socket in channel.subscribers:
                socket.health(delivery_id, frame)

    def dismiss(self, whom: Callable[[Subscriber], bool]) -> None:
        """Close the sockets that match."""
        for socket in [socket for socket in self._sockets if whom(socket)]:
            socket.dismiss()

    def dismiss_all(self) -> None:
        """The process ends: sockets would hold up its servers."""
        self.dismiss(lambda socket: True)

    def __len__(self) -> int:
        return len(self._sockets)
