"""``python -m exam_client.quiesce [PID]``: a pod's preStop. Ends with 0 once the exam-client rests.

Sends SIGUSR1 and asks the control port until it says that everything accepted is in the file; ends
with 1 when that takes too long. The standard library alone, so that it starts at once.
"""

import os
import signal
import socket
import sys
import time

PREFIX = "MEDXAMION_CLIENT_"
LIMIT_SECONDS = 60.0
_ASK_SECONDS = 2.0
_PAUSE_SECONDS = 0.1
_SIGNAL_SECONDS = 1.0
_REQUEST = b"GET /healthz/quiesced HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  looked up, not bound


def main(arguments: list[str], environment: dict[str, str]) -> int:
    """The exit code; what went wrong is said on standard error."""
    try:
        pid = int((arguments or [environment.get(f"{PREFIX}PID", "1")])[0])
        port = int(environment.get(f"{PREFIX}CONTROL_PORT", "9235"))
    except ValueError as error:
        return _failed(f"process id and control port are numbers: {error}")
    host = environment.get(f"{PREFIX}CONTROL_HOST") or "127.0.0.1"
    place = (_EVERYWHERE.get(host, host), port)
    try:
        return _wait(pid, place, over_tls=bool(environment.get(f"{PREFIX}TLS_DIR")))
    except OSError as error:
        return _failed(f"process {pid} cannot be signalled: {error.strerror}")


def _wait(pid: int, place: tuple[str, int], *, over_tls: bool) -> int:
    end = time.monotonic() + LIMIT_SECONDS
    signalled, said = float("-inf"), ""
    while (now := time.monotonic()) < end:
        # Again and again: while the exam-client still recovers, it does not listen to signals.
        if now - signalled >= _SIGNAL_SECONDS:
            if not _is_exam_client(pid):
                return _failed(f"process {pid} is no exam-client (any more); give another number")
            os.kill(pid, signal.SIGUSR1)
            signalled = now
        try:
            said = _ask(place, over_tls=over_tls)
        except OSError as error:
            said = str(error)
        if said == "quiesced":
            return 0
        time.sleep(_PAUSE_SECONDS)
    return _failed(
        f"after {LIMIT_SECONDS:g} s it is not at rest; it last said: {said or 'nothing'}"
    )


def _ask(place: tuple[str, int], *, over_tls: bool) -> str:
    """The word that the probe says."""
    with socket.create_connection(place, timeout=_ASK_SECONDS) as connection:
        if not over_tls:
            return _talk(connection)
        import ssl  # only where it is needed: it takes longer than all the rest

        # This process's own neighbour, on loopback, with nothing secret said: a certificate that
        # has run out must not keep a pod from ending well.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(connection) as wrapped:
            return _talk(wrapped)


def _talk(connection: socket.socket) -> str:
    connection.sendall(_REQUEST)
    reply = b""
    while chunk := connection.recv(4096):
        reply += chunk
    head, _, body = reply.partition(b"\r\n\r\n")
    word = body.decode("ascii", "replace")
    return word if word != "quiesced" or head.startswith(b"HTTP/1.1 200 ") else "nothing sensible"


def _is_exam_client(pid: int) -> bool:
    """A signal that a process does not know ends it: only what is ours gets one."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"exam_client" in file.read().split(b"\0")
    except OSError:
        return False


def _failed(reason: str) -> int:
    sys.stderr.write(f"quiesce: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], dict(os.environ)))
