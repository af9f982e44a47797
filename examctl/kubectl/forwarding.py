"""A way to a port of a pod by `kubectl port-forward` beside us, for as long as a block lasts.

A child process and not the Python client's own forwarding, which holds everything that is not read
yet in memory and copies it again for each piece: a backup may be large.
"""

import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from examctl.errors import UnreachableError
from examctl.kubectl.cluster import Cluster

_FORWARDING = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+) ->")
SECONDS = 20.0
STOP_SECONDS = 5.0


@contextmanager
def forwarded(cluster: Cluster, pod: str, port: int) -> Iterator[str]:
    """``127.0.0.1:port`` that leads to the pod. Raises UnreachableError in kubectl's words."""
    program = shutil.which("kubectl")
    if program is None:
        raise UnreachableError(
            "there is no kubectl on the PATH to forward a port with",
            "install it, or reach the control port in another way and name it by --address",
        )
    command = [program, "port-forward", *cluster.kubectl_options, "--address=127.0.0.1"]
    with subprocess.Popen(
        [*command, f"pod/{pod}", f":{port}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield f"127.0.0.1:{_local_port(process, pod)}"
        finally:
            _end(process)


def _local_port(process: subprocess.Popen[bytes], pod: str) -> int:
    deadline, said = time.monotonic() + SECONDS, b""
    out = _pipe(process.stdout)
    while (left := deadline - time.monotonic()) > 0:
        readable, _, _ = select.select([out], [], [], left)
        piece = out.read1() if readable else b""  # type: ignore[attr-defined]
        said += piece
        if found := _FORWARDING.search(said):
            return int(found.group(1))
        if readable and not piece:
            break
    process.terminate()
    why = _pipe(process.stderr).read().decode("utf-8", "replace").strip()
    raise UnreachableError(
        f"no way to pod {pod}: {why or 'kubectl port-forward said nothing'}",
        "does your role allow pods/portforward? --address names another way to the control port",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process was started without this pipe")
    return pipe
