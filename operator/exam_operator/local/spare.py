"""``python -m exam_operator.local.spare MODULE``: a process that waits to become an exam-client.

Importing an exam-client takes most of a second of processor time, and after a crash a hall full of
people waits for it. A spare has done that already; it gets environment, log and lock over its
standard input and goes on as the exam-client. When the operator goes away first, it ends.
"""

import importlib
import json
import os
import socket
import sys

READY = b"ready"
_MESSAGE_BYTES = 65_536
_held: list[int] = []
"""The lock's descriptor, open for life."""


def main() -> int:
    """The exit code of the exam-client; 0 when it was never needed."""
    module = importlib.import_module(sys.argv[1])
    with socket.socket(fileno=os.dup(0)) as channel:
        channel.sendall(READY)
        message, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES, 2)
    if not message:
        return 0
    _become(json.loads(message), *descriptors)
    return int(module.main() or 0)


def _become(environment: dict[str, str], log: int, lock: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(nothing)
    os.close(log)
    _held.append(lock)
    os.environ.clear()
    os.environ.update(environment)


if __name__ == "__main__":
    sys.exit(main())
