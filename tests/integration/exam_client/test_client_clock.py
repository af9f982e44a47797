"""The clock closes attempts, browser or not; staff and operator move it, and everyone is told."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from exam_contract.control import Mode
from tests.support import loopback
from tests.support.client_process import Rig
from tests.support.waiting import until

MakeRig = Callable[..., Rig]
Json = dict[str, Any]
_numbers = iter(range(1, 1000))


def act(rig: Rig, kind: str, participant_ids: list[int] | None, **members: Any) -> httpx.Response:
    """An action of staff, under a new id unless one is given."""
    action = {
        "kind": kind,
        "action_id": f"{next(_numbers):032x}",
        "actor": "staff:7",
        "reason": "a test",
        "participant_ids": participant_ids,
    } | members
    token = rig.client.authority.service_token(rig.client.uid)
    headers = {"Authorization": f"Bearer {token}"}
    return loopback.post(rig.client.url + "/api/actions", json=action, headers=headers)


def state_of(rig: Rig, participant_id: int) -> Json:
    token = rig.client.authority.service_token(rig.client.uid)
    headers = {"Authorization": f"Bearer {token}"}
    rows = loopback.get(rig.client.url + "/api/participants", headers=headers).json()
    return next(r for r in rows["participants"] if r["participant_id"] == participant_id)


def _is_over(rig: Rig, participant_id: int) -> bool:
    return bool(state_of(rig, participant_id)["state"] == "auto_submitted")


def test_an_attempt_closes_by_the_clock_without_its_browser(make_rig: MakeRig) -> None:
    rig = make_rig(time_limit_seconds=2)
    rig.client.start_ready(bundle=rig.bundle)
    gone, late = rig.sitter(1), rig.sitter(2)
    gone.begin()
    started = late.begin()
    assert late.answer(1, "A").status_code == 200
    due = datetime.fromisoformat(started["deadline"])
    grace = timedelta(seconds=rig.bundle.window.grace_seconds)
    for number in (1, 2):
        until(lambda n=number: _is_over(rig, n), what="the close")  # type: ignore[misc]
    ended = datetime.fromisoformat(state_of(rig, 2)["ended_at"])
    assert due + grace < ended < due + grace + timedelta(seconds=20)  # 2, on a machine at rest
    refused = late.answer(1, "B")
    assert (refused.status_code, refused.json()["code"]) == (409, "deadline_passed")
    assert refused.json()["quarantined"] is True
    assert late.get("/exam/progress").json()["answers"]["1"]["answer"] == "A"
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: rig.client.status().transfer.receipt, what="the receipt")
    counted = [row["counted"] for row in rig.coordinator.rows["answer_revisions"]]
    assert counted == [True, False]


def test_within_grace_an_answer_still_arrives(make_rig: MakeRig) -> None:
    made = datetime.now(UTC)
    window = {
        "opens_at": made - timedelta(minutes=1),
        "closes_at": made + timedelta(hours=1),
        "grace_seconds": 30,
    }
    rig = make_rig(time_limit_seconds=1, window=window)
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    sitter.begin()
    until(
        lambda: sitter.get("/exam/progress").json()["progress"]["time_remaining"] == 0,
        what="the deadline",
    )
    assert sitter.answer(1, "A").status_code == 200


def test_nobody_begins_before_it_opens_or_in_prepare(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle, mode=Mode.PREPARE)
    sitter = rig.sitter(1)
    assert sitter.sign_in().json()["state"] == "checked_in"
    early = sitter.post("/exam/start", {})
    assert (early.status_code, early.json()["code"]) == (403, "not_open_yet")
    assert sitter.answer(1, "A").json()["code"] == "attempt_not_started"
    later = rig.bundle.window.model_dump(mode="json") | {"opens_at": "2099-01-01T00:00:00Z"}
    later |= {"closes_at": "2099-01-02T00:00:00Z"}
    rig.client.desire(Mode.RUN, rig.bundle, window=later)
    assert sitter.post("/exam/start", {}).json()["opens_at"].startswith("2099")
    over = later | {"opens_at": "2020-01-01T00:00:00Z", "closes_at": "2020-01-02T00:00:00Z"}
    rig.client.desire(Mode.RUN, rig.bundle, window=over)
    closed = sitter.post("/exam/start", {})
    assert (closed.status_code, closed.json()["code"]) == (403, "window_closed")


def test_granted_time_moves_the_deadline_and_is_seen_at_once(running: Rig) -> None:
    sitter = running.sitter(20)
    before = sitter.begin()
    action_id = f"{next(_numbers):032x}"
    first = act(running, "grant_time", [20], seconds=600, action_id=action_id).json()
    again = act(running, "grant_time", [20], seconds=600, action_id=action_id).json()
    assert first == again
    assert first["applied"] == [20]
    after = sitter.get("/exam/progress").json()
    moved = datetime.fromisoformat(after["deadline"]) - datetime.fromisoformat(before["deadline"])
    assert moved == timedelta(seconds=600)
    assert after["deadline_version"] == before["deadline_version"] + 1
    assert sitter.answer(1, "A").json()["deadline"] == after["deadline"]


def test_a_pause_hides_the_content_and_stops_the_clock(running: Rig) -> None:
    sitter = running.sitter(21)
    before = sitter.begin()
    assert act(running, "pause", [21]).json()["applied"] == [21]
    for reply in (sitter.get("/exam/question/1"), sitter.answer(1, "A")):
        assert (reply.status_code, reply.json()["code"]) == (409, "attempt_paused")
    held = sitter.get("/exam/progress").json()
    assert held["state"] == "paused"
    skipped = act(running, "pause", [21, 22]).json()["skipped"]
    assert skipped.keys() == {"21", "22"}
    assert act(running, "resume", [21]).json()["applied"] == [21]
    after = sitter.get("/exam/progress").json()
    assert after["deadline"] > before["deadline"]
    assert sitter.answer(1, "A").status_code == 200


def test_staff_close_and_reopen_an_attempt(running: Rig) -> None:
    sitter = running.sitter(23)
    sitter.begin()
    sitter.answer(1, "A")
    assert act(running, "force_submit", [23]).json()["applied"] == [23]
    assert sitter.answer(1, "B").json()["code"] == "attempt_closed"
    assert state_of(running, 23)["state"] == "force_submitted"
    assert act(running, "reopen", [23], seconds=60).json()["applied"] == [23]
    assert sitter.answer(1, "B").json()["revision"] == 2


def test_announcements_reach_only_those_meant(running: Rig) -> None:
    told, other = running.sitter(24), running.sitter(25)
    told.begin()
    other.begin()
    act(running, "announce", [24], text="Fifteen minutes left")
    assert told.get("/exam/progress").json()["announcements"][-1]["text"] == "Fifteen minutes left"
    assert other.get("/exam/progress").json()["announcements"] == []


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"kind": "grant_time", "seconds": 0}, "invalid_field"),
        ({"kind": "dance"}, "invalid_field"),
        ({"kind": "pause", "participant_ids": [4711]}, "invalid_field"),
        (
            {"kind": "takeover_code", "code_verifier": "x", "expires_at": "2099-01-01T00:00:00Z"},
            "invalid_field",
        ),
    ],
)
def test_a_malformed_action_changes_nothing(running: Rig, members: Json, code: str) -> None:
    before = running.client.status().counts.last_seq
    reply = act(running, members.pop("kind"), members.pop("participant_ids", None), **members)
    assert (reply.status_code, reply.json()["code"]) == (422, code)
    assert running.client.status().counts.last_seq == before


def test_moving_the_window_moves_open_deadlines(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    sitter.begin()
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    window = rig.bundle.window.model_dump(mode="json") | {"closes_at": soon}
    rig.client.desire(Mode.RUN, rig.bundle, window=window)
    progress = sitter.get("/exam/progress").json()
    assert progress["progress"]["time_remaining"] <= 300
    until(
        lambda: any(event.get("reason") == "window_moved" for event in rig.coordinator.events),
        what="the event",
    )
