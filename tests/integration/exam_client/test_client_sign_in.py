"""Devices, takeovers, and signing in while the coordinator is away."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from exam_contract.keys import ExamDocument
from tests.support import authority, client_process, loopback
from tests.support.client_process import Rig, Sitter
from tests.support.waiting import until

MakeRig = Callable[..., Rig]
Json = dict[str, Any]


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A running delivery whose coordinator is gone."""
    rig = client_process.rig(tmp_path_factory.mktemp("away"))
    rig.client.start_ready(bundle=rig.bundle)
    rig.coordinator.stop()
    until(lambda: rig.client.status().coordinator_reachable is False, what="the absence")
    yield rig
    rig.close()


def _post(sitter: Sitter, path: str, body: Json, token: str | None = None) -> httpx.Response:
    headers = {"X-Session-Transport": "bearer"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    reply = loopback.post(sitter.client.url + path, json=body, headers=headers)
    if reply.status_code == 200:
        sitter.session = reply.json()["session"]
    return reply


def _sign_in(sitter: Sitter, code: str) -> httpx.Response:
    body = {
        "identifier": f"p{sitter.participant_id}",
        "access_code": code,
        "device_id": sitter.device_id,
    }
    return _post(sitter, "/exam/sign-in", body)


def test_offline_sign_in_is_refused_while_the_coordinator_is_there(running: Rig) -> None:
    reply = _sign_in(running.sitter(1), "code-1")
    assert (reply.status_code, reply.json()["code"]) == (409, "sign_in_at_coordinator")
    assert reply.json()["sign_in_url"] == running.bundle.sign_in_url


def test_a_participant_signs_in_offline_and_sits(away: Rig) -> None:
    sitter = away.sitter(1)
    assert _sign_in(sitter, "code-1").status_code == 200
    assert sitter.post("/exam/start", {}).json()["state"] == "in_progress"
    assert sitter.answer(1, "A").status_code == 200
    assert loopback.get(away.client.url + "/exam/info").json()["coordinator_reachable"] is False


def test_a_wrong_code_and_an_unknown_name_look_the_same(away: Rig) -> None:
    wrong = _sign_in(away.sitter(2), "code-1")
    unknown = _sign_in(away.sitter(77), "code-1")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_guessing_is_throttled_and_others_still_get_in(away: Rig) -> None:
    replies = [_sign_in(away.sitter(3), f"guess-{number}") for number in range(8)]
    assert [reply.status_code for reply in replies].count(429) >= 2
    limited = next(reply for reply in replies if reply.status_code == 429)
    assert limited.json()["code"] == "too_many_attempts"
    assert int(limited.headers["retry-after"]) >= 1
    assert _sign_in(away.sitter(4), "code-4").status_code == 200


def test_a_printed_code_moves_the_exam_offline_once(away: Rig) -> None:
    first, second, third = away.sitter(5), away.sitter(5), away.sitter(5)
    assert _sign_in(first, "code-5").status_code == 200
    first.post("/exam/start", {})
    first.answer(1, "A")
    assert _sign_in(second, "code-5").json()["code"] == "device_conflict"
    body = {"identifier": "p5", "access_code": "code-5", "code": "printed-5"}
    moved = _post(second, "/exam/takeover", body | {"device_id": second.device_id})
    assert moved.json()["state"] == "in_progress"
    assert first.get("/exam/progress").json()["code"] == "session_ended"
    assert second.get("/exam/progress").json()["answers"]["1"]["answer"] == "A"
    again = _post(third, "/exam/takeover", body | {"device_id": third.device_id})
    assert (again.status_code, again.json()["code"]) == (403, "takeover_refused")


def test_a_token_is_bound_to_its_first_device(running: Rig) -> None:
    token = running.client.authority.participant_token(running.client.uid, 10)
    first, other = running.sitter(10), running.sitter(10)
    assert first.sign_in(token).status_code == 200
    assert first.sign_in(token).status_code == 200  # a lost reply is harmless
    replay = other.sign_in(token)
    assert (replay.status_code, replay.json()["code"]) == (403, "token_replayed")


def test_a_second_device_needs_a_code_and_ends_the_first(running: Rig) -> None:
    first, second = running.sitter(11), running.sitter(11)
    first.begin()
    refused = second.sign_in()
    assert (refused.status_code, refused.json()["code"]) == (409, "device_conflict")
    service = running.client.authority.service_token(running.client.uid)
    action = {
        "kind": "takeover_code",
        "action_id": "0" * 31 + "1",
        "actor": "staff:7",
        "reason": "broken tablet",
        "participant_ids": [11],
        "code_verifier": authority.verifier("live-11"),
        "expires_at": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
    }
    outcome = loopback.post(
        running.client.url + "/api/actions",
        json=action,
        headers={"Authorization": f"Bearer {service}"},
    )
    assert outcome.json()["applied"] == [11]
    token = running.client.authority.participant_token(running.client.uid, 11)
    body = {"code": "wrong", "device_id": second.device_id}
    assert _post(second, "/exam/takeover", body, token).json()["code"] == "takeover_refused"
    moved = _post(second, "/exam/takeover", body | {"code": "live-11"}, token)
    assert moved.status_code == 200
    assert first.get("/exam/question/1").json()["code"] == "session_ended"
    assert second.get("/exam/question/1").status_code == 200
    until(
        lambda: any(event.get("reason") == "takeover" for event in running.coordinator.events),
        what="the takeover's event",
    )


def test_signing_out_ends_the_session_and_not_the_attempt(running: Rig) -> None:
    first, second = running.sitter(12), running.sitter(12)
    first.begin()
    assert first.post("/exam/sign-out", {}).status_code == 200
    assert first.get("/exam/progress").json()["code"] == "session_ended"
    assert second.sign_in().json()["state"] == "in_progress"


def test_another_participants_session_shows_only_its_own(running: Rig) -> None:
    mine, theirs = running.sitter(13), running.sitter(14)
    mine.begin()
    theirs.begin()
    mine.answer(1, "A")
    assert theirs.get("/exam/progress").json()["answers"] == {}
    token = running.client.authority.participant_token(running.client.uid, 14)
    body = {"code": "printed-1", "device_id": theirs.device_id}
    assert _post(theirs, "/exam/takeover", body, token).json()["code"] == "takeover_refused"


def test_before_the_bundle_everyone_is_told_to_wait(tmp_path: Path) -> None:
    rig = client_process.rig(tmp_path / "early")
    held = rig.coordinator.bundle
    rig.coordinator.bundle = None
    try:
        rig.client.start()
        reply = rig.sitter(1).sign_in()
        assert (reply.status_code, reply.json()["code"]) == (503, "not_ready")
        until(
            lambda: "not_registered" in (rig.client.status().content.reason or ""),
            what="the reason",
        )
        rig.coordinator.bundle = held
        until(rig.client.is_ready, what="the bundle")
    finally:
        rig.close()


@pytest.mark.parametrize("fault", ["foreign key", "other delivery", "undelivered type"])
def test_a_bundle_that_must_not_be_used_is_refused_in_words(tmp_path: Path, fault: str) -> None:
    rig = client_process.rig(tmp_path / "wrong")
    signer, made = rig.client.authority, rig.bundle
    if fault == "foreign key":
        signer = authority.Authority(kid="somebody")
    elif fault == "other delivery":
        made = authority.bundle(uid="another-uid")
    else:
        document = authority.exam_document(2).model_dump()
        document["exam"]["items"][0] |= {"type": "ordering"}
        document["key"][0] = {"item_id": 1, "type": "ordering", "order": ["A", "B", "C", "D"]}
        read = ExamDocument.model_validate(document)
        made = authority.bundle(uid=rig.client.uid, document=read)
    rig.coordinator.bundle = authority.signed_bundle(signer, made)
    try:
        rig.client.start()
        words = {
            "foreign key": "somebody",
            "other delivery": "not this one",
            "undelivered type": "ordering",
        }[fault]
        until(
            lambda: words in (rig.client.status().content.reason or ""), what=f"{words} as reason"
        )
        assert rig.client.status().ready is False
    finally:
        rig.close()
