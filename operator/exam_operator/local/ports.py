"""Ports of exam-clients: a public one in the range, and the control port a thousand above it.

A delivery keeps its port across restarts, so that browsers find the exam again.
"""

import socket
from collections.abc import Iterable

from exam_operator.errors import EdgeError

CONTROL_OFFSET = 1000


def choose(first: int, last: int, taken: Iterable[int], host: str, preferred: int | None) -> int:
    """The preferred port when it is free, else the lowest free one. Raises EdgeError."""
    reserved = set(taken)
    if preferred is not None and _is_free(host, preferred):
        return preferred
    for port in range(first, last + 1):
        if port not in reserved and _is_free(host, port):
            return port
    raise EdgeError(
        f"no port from {first} to {last} is free (with its control port {CONTROL_OFFSET} above);"
        " end what uses them, or widen the range with --client-ports"
    )


def _is_free(host: str, port: int) -> bool:
    return all(can_bind(host, candidate) for candidate in (port, port + CONTROL_OFFSET))


def can_bind(host: str, port: int) -> bool:
    """Whether nobody listens there (connections that linger in TIME_WAIT are no obstacle)."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
