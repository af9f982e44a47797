"""A TCP line to a service that is cut after so many bytes of reply, as networks do."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.support.waiting import PATIENCE_SECONDS


@contextlib.contextmanager
def cut_line(port: int, after_bytes: int) -> Iterator[str]:
    """``host:port`` that leads to a local port; every connection is cut in the same place."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(PATIENCE_SECONDS)
        thread = threading.Thread(target=_serve, args=(listener, port, after_bytes))
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    thread.join()


def _serve(listener: socket.socket, port: int, after_bytes: int) -> None:
    with contextlib.suppress(OSError):
        caller, _ = listener.accept()
        with caller, socket.create_connection(("127.0.0.1", port)) as service:
            sender = threading.Thread(target=_pass_on, args=(caller, service))
            sender.start()
            left = after_bytes
            while left and (piece := service.recv(min(left, 65_536))):
                caller.sendall(piece)
                left -= len(piece)
            caller.shutdown(socket.SHUT_RDWR)
            sender.join()


def _pass_on(caller: socket.socket, service: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := caller.recv(65_536):
            service.sendall(piece)
