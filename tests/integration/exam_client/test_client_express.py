"""The short way for answers says what the ordinary way says, in the order of the connection."""

import json
import secrets
import socket
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.support.client_process import Rig, Sitter

Replies = list[tuple[int, dict[str, Any]]]


@pytest.fixture
def sitter(running: Rig, people: Iterator[int]) -> Sitter:
    found = running.sitter(next(people))
    found.begin()
    return found


@pytest.fixture(scope="module")
def people() -> Iterator[int]:
    return iter(range(1, 60))


def test_pipelined_answers_are_replied_to_in_their_order(sitter: Sitter) -> None:
    """A later request waits for the earlier commit, whichever way each of them goes."""
    requests = [_request(sitter, sitter.command(item, "A")) for item in (1, 2, 3)]
    requests.insert(1, _get(sitter, "/exam/progress"))
    replies = _replies(sitter, [b"".join(requests)], count=4)
    assert [status for status, _ in replies] == [200, 200, 200, 200]
    assert [replies[n][1]["question_id"] for n in (0, 2, 3)] == [1, 2, 3]
    assert replies[1][1]["progress"]["questions_answered"] == 1


def test_a_body_in_pieces_is_one_answer(sitter: Sitter) -> None:
    whole = _request(sitter, sitter.command(1, "A"))
    pieces = [whole[:30], whole[30:-40], whole[-40:-1], whole[-1:]]
    [(status, saved)] = _replies(sitter, pieces, count=1)
    assert (status, saved["revision"]) == (200, 1)


@pytest.mark.parametrize("way", ["content-length", "chunked", "expect", "padded"])
def test_each_way_says_the_same(sitter: Sitter, way: str) -> None:
    """Saved, repeated, stale and not JSON: equal but for times and numbers."""
    command = sitter.command(1, "A")
    stale = {**sitter.command(1, "B"), "base_revision": 0}
    for body, expected in (
        (command, (200, None)),
        (command, (200, None)),
        (stale, (409, "revision_conflict")),
        ({**command, "answer": "B"}, (409, "command_reused")),
        ({**command, "question_id": "one"}, (422, "invalid_field")),
    ):
        [(status, reply)] = _replies(sitter, [_request(sitter, body, way)], count=1)
        assert (status, reply.get("code")) == expected


def test_a_session_that_is_unknown_is_told_so(sitter: Sitter) -> None:
    command = sitter.command(1, "A")
    sitter.session = secrets.token_urlsafe(32)
    [(status, reply)] = _replies(sitter, [_request(sitter, command)], count=1)
    assert (status, reply["code"]) == (401, "unauthenticated")


def test_a_connection_that_asks_to_end_is_ended_after_its_reply(sitter: Sitter) -> None:
    request = _request(sitter, sitter.command(1, "A")).replace(
        b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n"
    )
    with sitter.client.dial() as opened:
        opened.sendall(request)
        received = b""
        while piece := opened.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in received


def _request(sitter: Sitter, command: dict[str, Any], way: str = "content-length") -> bytes:
    body = json.dumps(command).encode()
    if way == "padded":  # larger than the short way takes
        body += b" " * 40_000
    head = (
        f"POST /exam/answer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sitter.session}\r\n"
        "Content-Type: application/json\r\n"
    ).encode()
    if way == "chunked":
        return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    asks = b"Expect: 100-continue\r\n" if way == "expect" else b""
    return head + asks + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _get(sitter: Sitter, path: str) -> bytes:
    bearer = f"Authorization: Bearer {sitter.session}"
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{bearer}\r\n\r\n".encode()


def _replies(sitter: Sitter, pieces: Iterable[bytes], count: int) -> Replies:
    """Send over one connection and read so many replies."""
    found: Replies = []
    with sitter.client.dial() as opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            opened.sendall(piece)
        stream = opened.makefile("rb")
        while len(found) < count:
            status = int(stream.readline().split()[1])
            headers = dict(_headers(stream))
            if status != 100:
                found.append((status, json.loads(stream.read(int(headers["content-length"])))))
    return found


def _headers(stream: Any) -> Iterator[tuple[str, str]]:
    while (line := stream.readline().decode().strip()) != "":
        name, _, value = line.partition(":")
        yield name.lower(), value.strip()
