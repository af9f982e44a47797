"""Bad input at the doors: each gets a problem that says what to do, and nothing is changed."""

import base64
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import loopback
from tests.support.authority import Authority
from tests.support.client_process import ClientProcess, Rig, Sitter
from tests.support.waiting import until


@pytest.fixture(scope="module")
def sitter(running: Rig) -> Sitter:
    """A participant whose attempt runs."""
    sitter = running.sitter(31)
    sitter.begin()
    return sitter


def _token_start(client: ClientProcess, token: str) -> httpx.Response:
    return loopback.get(
        f"{client.url}/exam/start",
        params={"device_id": "d" * 20},
        headers={"Authorization": f"Bearer {token}"},
    )


def _unsigned(token: str) -> str:
    header = base64.urlsafe_b64encode(
        b'{"alg":"none","typ":"medxamion-participant+jwt","kid":"coordinator-1"}'
    )
    return f"{header.rstrip(b'=').decode()}.{token.split('.')[1]}."


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "another-delivery"}, "token_invalid"),
        ({"iss": "https://evil.test"}, "token_invalid"),
        ({"typ": "medxamion-service+jwt"}, "token_invalid"),
        ({"typ": "JWT"}, "token_invalid"),
        ({"kid": "unknown"}, "token_invalid"),
        ({"exp": 3600}, "token_invalid"),
        ({"exp": None}, "token_invalid"),
        ({"nbf": 300, "exp": 600}, "token_invalid"),
        ({"nbf": -700, "exp": -100}, "token_expired"),
        ({"sub": "999"}, "token_invalid"),
        ({"sub": "one"}, "token_invalid"),
        ({"jti": None}, "token_invalid"),
    ],
)
def test_a_token_that_is_not_for_here_is_refused(
    running: Rig, claims: dict[str, Any], code: str
) -> None:
    """Instants are given in seconds from the moment of the test."""
    now = int(time.time())
    instants = {name: now + claims[name] for name in ("nbf", "exp") if claims.get(name)}
    authority, uid = running.client.authority, running.client.uid
    reply = _token_start(
        running.client, authority.participant_token(uid, 30, **{**claims, **instants})
    )
    assert (reply.status_code, reply.json()["code"]) == (401, code)


def test_foreign_and_unsigned_tokens_are_refused(running: Rig) -> None:
    client = running.client
    foreign = Authority().participant_token(client.uid, 30)
    unsigned = _unsigned(client.authority.participant_token(client.uid, 30))
    for token in (foreign, unsigned, "a.b.c", "...", "x" * 5000 + ".."):
        assert _token_start(client, token).json()["code"] == "token_invalid"


def test_a_delivery_token_is_no_session(running: Rig) -> None:
    token = running.client.authority.participant_token(running.client.uid, 30)
    for path in ("/exam/progress", "/exam/question/1"):
        headers = {"Authorization": f"Bearer {token}"}
        assert loopback.get(running.client.url + path, headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_request"),
        (b'{"answer":' + b"[" * 100_000, 400, "bad_request"),
        (b'{"answer":' + b'{"a":' * 5000 + b"1" + b"}" * 5001, 400, "bad_request"),
        (b"\xff\xfe", 400, "bad_request"),
        (b"[]", 422, "invalid_field"),
        (b"{}", 422, "invalid_field"),
        (
            b'{"question_id":1,"answer":"A","command_id":"aaaaaaaaaaaaaaaa","base_revision":0,"x":1}',
            422,
            "invalid_field",
        ),
        (
            b'{"question_id":1,"answer":"A","command_id":"short","base_revision":0}',
            422,
            "invalid_field",
        ),
        (
            b'{"question_id":1,"answer":"Z","command_id":"aaaaaaaaaaaaaaaa","base_revision":0}',
            422,
            "answer_invalid",
        ),
        (
            b'{"question_id":1,"answer":1.5,"command_id":"aaaaaaaaaaaaaaaa","base_revision":0}',
            422,
            "answer_invalid",
        ),
        (
            b'{"question_id":77,"answer":"A","command_id":"aaaaaaaaaaaaaaaa","base_revision":0}',
            404,
            "unknown_question",
        ),
        (
            b'{"question_id":903,"answer":"\\ud800","command_id":"aaaaaaaaaaaaaaaa",'
            b'"base_revision":0}',
            400,
            "bad_request",
        ),
    ],
)
def test_a_malformed_answer_is_refused_by_name(
    sitter: Sitter, body: bytes, status: int, code: str
) -> None:
    reply = loopback.post(
        sitter.client.url + "/exam/answer",
        content=body,
        headers=sitter.headers | {"Content-Type": "application/json"},
    )
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert reply.headers["content-type"] == "application/problem+json"
    assert sitter.get("/exam/progress").json()["answers"] == {}


def test_deep_json_is_refused_on_every_door(running: Rig) -> None:
    sitter = running.sitter(32)
    sitter.begin()
    for path in ("/exam/start", "/exam/complete", "/exam/takeover", "/exam/sign-in"):
        reply = loopback.post(
            running.client.url + path,
            content=b"[" * 50_000,
            headers=sitter.headers | {"Content-Type": "application/json"},
        )
        assert (reply.status_code, reply.json()["code"]) == (400, "bad_request")


def test_another_content_type_is_refused(running: Rig) -> None:
    sitter = running.sitter(33)
    sitter.begin()
    for path in ("/exam/answer", "/exam/start", "/exam/answers"):
        reply = loopback.post(running.client.url + path, content=b"{}", headers=sitter.headers)
        assert (reply.status_code, reply.json()["code"]) == (415, "unsupported_media_type")


def test_unknown_paths_and_methods_are_problems(running: Rig) -> None:
    missing = loopback.get(running.client.url + "/nothing/here")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    wrong = loopback.delete(running.client.url + "/exam/progress")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    for reply in (missing, wrong):
        assert reply.headers["content-type"] == "application/problem+json"


def test_ten_megabytes_are_refused_in_flat_memory(running: Rig) -> None:
    sitter = running.sitter(34)
    sitter.begin()
    assert running.client.process is not None
    status = Path(f"/proc/{running.client.process.pid}/status")

    def resident() -> int:
        line = next(line for line in status.read_text().splitlines() if "VmRSS" in line)
        return int(line.split()[1])

    def chunked() -> Any:
        for _ in range(160):
            yield b"x" * 65_536

    before = resident()
    sized = loopback.post(
        running.client.url + "/exam/answer",
        content=b"x" * 10_000_000,
        headers=sitter.headers | {"Content-Type": "application/json"},
    )
    streamed = loopback.post(
        running.client.url + "/exam/answer",
        content=chunked(),
        headers=sitter.headers | {"Content-Type": "application/json"},
    )
    for reply in (sized, streamed):
        assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")
    assert resident() - before < 6_000


@pytest.mark.parametrize("path", ["/exam/answer", "/exam/answers", "/api/actions"])
def test_a_strangers_large_body_is_not_even_waited_for(running: Rig, path: str) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: exam\r\ncontent-type: application/json\r\n"
        "content-length: 200000\r\n\r\n"
    )
    with running.client.dial() as raw:
        raw.sendall(head.encode() + b"[" * 1000)
        assert b" 401 " in raw.recv(4096)


def test_what_is_no_http_is_answered_and_cut(running: Rig) -> None:
    with running.client.dial() as raw:
        raw.sendall(b"\x16\x03\x01\x02\x00hello\r\n\r\n")
        assert b" 400 " in raw.recv(4096)


def test_a_slow_request_is_cut_by_its_deadline(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    rig.client.extra["RECEIPT_SECONDS"] = "1"
    rig.client.start()
    head = b"POST /exam/answer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    silent = rig.client.dial()
    dripping = rig.client.dial()
    bodiless = rig.client.dial()
    with silent, dripping, bodiless:
        dripping.sendall(head)
        bodiless.sendall(head + b"Content-Length: 100\r\n\r\n{")

        def drip() -> bytes:
            with contextlib.suppress(ConnectionError):  # cut already: its last word waits below
                dripping.sendall(b"X-A: b\r\n")
            dripping.settimeout(0.05)
            try:
                return dripping.recv(4096)
            except TimeoutError:
                return b""

        assert b" 408 " in until(drip, what="the dripping request to be cut")
        assert b" 408 " in silent.recv(4096)
        assert b" 408 " in bodiless.recv(4096)
    assert loopback.get(f"{rig.client.control_url}/healthz/live").status_code == 200


def test_the_control_port_wants_the_control_key(running: Rig) -> None:
    client = running.client
    assert loopback.get(f"{client.control_url}/status").status_code == 401
    wrong = {"Authorization": "Bearer nonsense"}
    assert loopback.get(f"{client.control_url}/status", headers=wrong).status_code == 401
    reply = loopback.put(f"{client.control_url}/desired", json={}, headers=client.control_headers)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_field")
    stale = client.desire("run", running.bundle, generation=1)  # type: ignore[arg-type]
    assert stale.status_code == 200
    client.desire("run", running.bundle)  # type: ignore[arg-type]
    stale = client.desire("run", running.bundle, generation=1)  # type: ignore[arg-type]
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_generation")
