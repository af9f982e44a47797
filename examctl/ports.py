"""Free ports on loopback, below those that the kernel hands out by itself.

A service that crashed finds its port again: nobody was given it meanwhile, neither by asking for
any port nor as the near end of a connection.
"""

import itertools
import random
import socket

from examctl.errors import ExamctlError

LOOPBACK = "127.0.0.1"
_DRAWN_FROM = range(16_000, 32_000)


def free_ports(count: int) -> tuple[int, ...]:
    """So many at once, drawn at random, since others draw at the same moment."""
    drawn = random.sample(_DRAWN_FROM, len(_DRAWN_FROM))
    found = tuple(itertools.islice(filter(is_free, drawn), count))
    if len(found) < count:
        first, last = _DRAWN_FROM[0], _DRAWN_FROM[-1]
        raise ExamctlError(f"no ports from {first} to {last} are free", "end what uses them")
    return found


def is_free(port: int) -> bool:
    """Whether a server may listen; what lingers of a former one's connections does not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
