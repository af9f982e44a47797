"""Fan-out of live events to sockets: in the process, at once, without asking the database.

Each delivery that somebody watches has a channel whose head is the stream number up to which every
one of its sockets got everything. What comes too early, and a socket that joined with less or with
more than the others have, mark the channel as behind; whoever feeds the hub then fetches what lies
between, and a socket drops what it has seen. Nothing here waits for a reader.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from coordinator.core.permissions import Grant
from coordinator.core.session import Published


class Subscriber(Protocol):
    """One socket. None of these may block."""

    staff_id: int
    session: bytes | None
    grants: tuple[Grant, ...]

    def publish(self, delivery_id: int, events: Sequence[Published]) -> None: ...

    def health(self, delivery_id: int, frame: str) -> None: ...

    def dismiss(self, why: str) -> None:
        """Close: the reader comes again, and is admitted or not."""


@dataclass(slots=True)
class _Channel:
    head: int | None = None
    noticed: int = 0
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

    def begin_at(self, delivery_id: int, reached: int) -> None:
        """A socket of the channel has everything up to that number, and gets what follows."""
        channel = self._channels.get(delivery_id)
        if channel is None:
            return
        before = reached if channel.head is None else channel.head
        channel.head = min(before, reached)
        if channel.head < max(before, reached, channel.noticed):
            self.fall_behind(delivery_id)

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
        if channel is None:
            return
        channel.noticed = max(channel.noticed, stream)
        if channel.head is not None and channel.head < stream:
            self.fall_behind(delivery_id)

    def rewound(self, delivery_id: int) -> None:
        """The database was put back to before the head: its sockets have seen what never was."""
        channel = self._channels.pop(delivery_id, None)
        for socket in () if channel is None else channel.subscribers:
            socket.dismiss("the stream was put back; a new snapshot is needed")

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

    def dismiss(self, whom: Callable[[Subscriber], bool], why: str = "the account changed") -> None:
        """Close the sockets that match."""
        for socket in [socket for socket in self._sockets if whom(socket)]:
            socket.dismiss(why)

    def dismiss_all(self) -> None:
        """The process ends: sockets would hold up its servers, and another replica takes them."""
        self.dismiss(lambda socket: True, "this replica stops; come again")

    def readers(self) -> list[Subscriber]:
        """Every open socket."""
        return list(self._sockets)

    def __len__(self) -> int:
        return len(self._sockets)
