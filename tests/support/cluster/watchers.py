"""Members of a committee who watch a delivery live, each in a thread of their own.

They do what the dashboard does: when their socket is cut they come again and resume after the last
event they saw, at whichever replica answers.
"""

import contextlib
import json
import threading
from collections.abc import Iterator

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.support.cluster.api import Json
from tests.support.cluster.installation import Installation

_RECV_SECONDS = 0.2
_CONNECT_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


class Watcher:
    """``streams``: numbers of the events it was told, as they came; ``cuts``: how often its socket
    ended under it; ``snapshots``: how often it was told everything anew; ``is_connected``: whether
    it was told anything since the last cut."""

    def __init__(self, installation: Installation, delivery_id: int) -> None:
        self.streams: list[int] = []
        self.cuts = 0
        self.snapshots = 0
        self.is_connected = False
        self._installation = installation
        self._delivery_id = delivery_id
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._thread.start()

    @property
    def is_watching(self) -> bool:
        return self.snapshots > 0

    def leave(self) -> None:
        self._over.set()
        self._thread.join(timeout=30)

    def _watch(self) -> None:
        while not self._over.is_set():
            try:
                with self._connected() as socket:
                    self._listen(socket)
            except (WebSocketException, OSError):
                self.cuts += self.is_connected
                self.is_connected = False
                self._over.wait(_PAUSE_SECONDS)

    def _connected(self) -> ClientConnection:
        installation = self._installation
        return connect(
            installation.url.replace("https", "wss") + "/api/ws",
            additional_headers={"Authorization": f"Bearer {installation.token}"},
            ssl=installation.trust,
            open_timeout=_CONNECT_SECONDS,
            close_timeout=1,
        )

    def _listen(self, socket: ClientConnection) -> None:
        wanted: Json = {"type": "subscribe", "delivery_id": self._delivery_id}
        if self.streams:
            wanted["resume_from"] = self.streams[-1]
        socket.send(json.dumps(wanted))
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                self._hear(json.loads(socket.recv(timeout=_RECV_SECONDS)), socket)

    def _hear(self, message: Json, socket: ClientConnection) -> None:
        self.is_connected = True
        match message["type"]:
            case "ping":
                socket.send(json.dumps({"type": "pong"}))
            case "snapshot":
                self.snapshots += 1
                self.streams.append(message["stream"])
            case "events":
                self.streams += [entry["stream"] for entry in message["events"]]
            case _:
                pass  # hello and health carry no numbers


@contextlib.contextmanager
def watching(installation: Installation, delivery_id: int, count: int) -> Iterator[list[Watcher]]:
    """So many watchers, for the while."""
    watchers = [Watcher(installation, delivery_id) for _ in range(count)]
    try:
        yield watchers
    finally:
        for watcher in watchers:
            watcher.leave()
