"""Streams through the hub: whatever the order of commits, notices and joins, a socket gets each
event once, in order, and in the end all of them."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from coordinator.core.permissions import Grant
from coordinator.core.session import Published, Session
from coordinator.hub.hub import Hub

DELIVERY = 7


def event(stream: int) -> Published:
    return Published(stream, stream, json.dumps({"stream": stream}))


@dataclass(eq=False)
class Socket:
    """A subscriber around the real machine; ``got`` is what its reader read."""

    hub: Hub
    machine: Session = field(default_factory=lambda: Session(15, limit=10_000))
    staff_id: int = 1
    session: bytes | None = None
    grants: tuple[Grant, ...] = ()
    began: int | None = None
    got: list[int] = field(default_factory=list)
    dismissed: str = ""

    def subscribe(self) -> None:
        self.machine.received(json.dumps({"type": "subscribe", "delivery_id": DELIVERY}))
        self.hub.join(self)
        self.hub.subscribe(self, DELIVERY)

    def load(self, stream: int, missed: Sequence[Published] = ()) -> None:
        self.began = stream
        frame = None if missed else json.dumps({"type": "snapshot"})
        self.hub.begin_at(DELIVERY, self.machine.loaded(DELIVERY, frame, stream, missed))

    def publish(self, delivery_id: int, events: Sequence[Published]) -> None:
        self.machine.published(delivery_id, events)

    def health(self, delivery_id: int, frame: str) -> None:
        self.machine.health(delivery_id, frame)

    def dismiss(self, why: str) -> None:
        self.dismissed = why

    def read(self) -> None:
        for send in self.machine.take():
            message = json.loads(send.text)
            if message["type"] == "events":
                self.got += [entry["stream"] for entry in message["events"]]


@dataclass
class World:
    """The database's head, a hub, and notices that may be late or lost."""

    hub: Hub = field(default_factory=Hub)
    head: int = 0
    notices: list[int] = field(default_factory=list)
    sockets: list[Socket] = field(default_factory=list)
    loading: list[tuple[Socket, int, bool]] = field(default_factory=list)

    def commit_here(self, count: int) -> None:
        new = [event(self.head + n) for n in range(1, count + 1)]
        self.head += count
        if self.hub.watched(DELIVERY):
            self.hub.publish(DELIVERY, new)

    def commit_elsewhere(self, count: int, lost: bool) -> None:
        self.head += count
        if not lost:
            self.notices.append(self.head)

    def hear(self) -> None:
        if self.notices:
            self.hub.noticed(DELIVERY, self.notices.pop(0))

    def join(self, resumes: bool) -> None:
        """Subscribes and reads the head; the rest of its loading comes later."""
        socket = Socket(self.hub)
        socket.subscribe()
        self.sockets.append(socket)
        self.loading.append((socket, self.head, resumes))

    def finish_loading(self) -> None:
        if not self.loading:
            return
        socket, head, resumes = self.loading.pop(0)
        if resumes and head > 0:
            since = max(0, head - 3)
            socket.load(since, [event(n) for n in range(since + 1, head + 1)])
        else:
            socket.load(head)

    def fill(self) -> None:
        """What the feed does for channels that are behind."""
        behind, self.hub._behind = self.hub._behind, set()
        heads = self.hub.heads()
        for delivery_id in behind & heads.keys():
            missed = [event(n) for n in range(heads[delivery_id] + 1, self.head + 1)]
            self.hub.publish(delivery_id, missed)

    def read(self) -> None:
        for socket in self.sockets:
            socket.read()

    def settle(self) -> None:
        while self.loading:
            self.finish_loading()
        while self.notices:
            self.hear()
        self.hub.noticed(DELIVERY, self.head)  # the sweep
        self.fill()
        self.read()


STEPS = st.lists(
    st.sampled_from(
        ["here", "elsewhere", "lost", "hear", "join", "resume", "load", "fill", "read"]
    ),
    max_size=60,
)


@given(steps=STEPS, seed=st.integers(0, 2**16))
def test_every_socket_gets_each_event_once_and_in_order(steps: list[str], seed: int) -> None:
    world, chance = World(), random.Random(seed)
    for step in steps:
        count = chance.randint(1, 3)
        match step:
            case "here":
                world.commit_here(count)
            case "elsewhere" | "lost":
                world.commit_elsewhere(count, lost=step == "lost")
            case "hear":
                world.hear()
            case "join" | "resume":
                world.join(resumes=step == "resume")
            case "load":
                world.finish_loading()
            case "fill":
                world.fill()
            case _:
                world.read()
    world.settle()
    for socket in world.sockets:
        assert socket.began is not None
        assert socket.got == list(range(socket.began + 1, world.head + 1))


def test_a_newcomer_with_more_does_not_let_the_others_miss_what_lies_between() -> None:
    world = World()
    world.join(resumes=False)
    world.finish_loading()
    world.commit_elsewhere(2, lost=True)
    world.join(resumes=False)
    world.finish_loading()
    world.fill()
    world.read()
    assert [socket.got for socket in world.sockets] == [[1, 2], []]


def test_a_notice_that_came_while_the_first_socket_loaded_is_remembered() -> None:
    world = World()
    world.join(resumes=False)
    world.commit_elsewhere(1, lost=False)
    world.hear()
    world.finish_loading()
    world.fill()
    world.read()
    assert world.sockets[0].got == [1]


def test_a_stream_that_was_put_back_sends_its_sockets_to_a_new_snapshot() -> None:
    world = World()
    world.commit_elsewhere(9, lost=True)
    world.join(resumes=False)
    world.finish_loading()
    world.hub.rewound(DELIVERY)
    assert "snapshot" in world.sockets[0].dismissed
    assert not world.hub.watched(DELIVERY)
