"""A participant sits the exam over HTTP: begin, questions, answers, progress, hand in."""

from tests.support import loopback
from tests.support.client_process import Rig
from tests.support.waiting import until


def test_an_exam_is_sat_from_sign_in_to_receipt(running: Rig) -> None:
    sitter = running.sitter(1)
    assert sitter.sign_in().json()["state"] == "checked_in"
    started = sitter.post("/exam/start", {}).json()
    items = started["sections"][0]["items"]
    assert sorted(items) == [*range(1, 11), 901, 902, 903]
    question = sitter.get(f"/exam/question/{items[0]}").json()
    assert (question["number"], question["total"], question["revision"]) == (1, 13, 0)
    saved = sitter.answer(1, "A").json()
    assert (saved["revision"], saved["progress"]["questions_answered"]) == (1, 1)
    assert "current_score" not in saved["progress"]
    receipt = sitter.post("/exam/complete", {}).json()
    assert receipt["state"] == "submitted"
    assert sitter.post("/exam/complete", {}).json()["receipt_code"] == receipt["receipt_code"]
    assert sitter.answer(2, "A").json()["code"] == "attempt_closed"


def test_no_reply_to_a_participant_holds_a_key_or_another_person(running: Rig) -> None:
    sitter = running.sitter(2)
    text = str(sitter.begin())
    text += "".join(sitter.get(f"/exam/question/{item}").text for item in (1, 901, 902))
    assert "correct" not in text
    assert "7.35" not in text
    assert "adrenaline" not in text
    assert "Person Number 3" not in text


def test_beginning_again_returns_the_same_attempt(running: Rig) -> None:
    sitter = running.sitter(3)
    first = sitter.begin()
    again = sitter.post("/exam/start", {}).json()
    assert (again["attempt_id"], again["deadline"]) == (first["attempt_id"], first["deadline"])


def test_opening_a_question_begins_the_attempt(running: Rig) -> None:
    sitter = running.sitter(4)
    sitter.sign_in()
    assert sitter.get("/exam/question/1").json()["state"] == "in_progress"


def test_a_command_sent_again_has_its_first_outcome(running: Rig) -> None:
    sitter = running.sitter(5)
    sitter.begin()
    command = sitter.command(1, "B")
    first = sitter.post("/exam/answer", command).json()
    second = sitter.post("/exam/answer", command).json()
    assert (first["revision"], first["seq"]) == (second["revision"], second["seq"])
    other = sitter.post("/exam/answer", command | {"answer": "C"})
    assert (other.status_code, other.json()["code"]) == (409, "command_reused")


def test_a_stale_revision_is_refused_with_the_answer_in_force(running: Rig) -> None:
    sitter = running.sitter(6)
    sitter.begin()
    sitter.answer(1, "B")
    stale = sitter.answer(1, "C", base_revision=0)
    assert stale.status_code == 409
    body = stale.json()
    assert (body["code"], body["revision"], body["answer"]) == ("revision_conflict", 1, "B")


def test_a_queue_is_replayed_in_order_with_one_outcome_each(running: Rig) -> None:
    sitter = running.sitter(7)
    sitter.begin()
    queue = [
        sitter.command(1, "A"),
        sitter.command(1, "B", base_revision=1),
        sitter.command(99, "A"),
        sitter.command(901, "7,35"),
    ]
    outcomes = sitter.post("/exam/answers", {"commands": queue}).json()["outcomes"]
    assert [one.get("revision") for one in outcomes] == [1, 2, None, 1]
    assert outcomes[2]["code"] == "unknown_question"
    held = sitter.get("/exam/progress").json()["answers"]
    assert (held["1"]["answer"], held["901"]["answer"]) == ("B", "7.35")
    again = sitter.post("/exam/answers", {"commands": queue}).json()["outcomes"]
    assert [one.get("seq") for one in again] == [one.get("seq") for one in outcomes]


def test_clearing_an_answer_makes_it_unanswered(running: Rig) -> None:
    sitter = running.sitter(8)
    sitter.begin()
    sitter.answer(1, "A")
    assert sitter.answer(1, None).json()["progress"]["questions_answered"] == 0


def test_a_cookie_session_needs_the_sites_own_origin(running: Rig) -> None:
    client, uid = running.client, running.client.uid
    token = client.authority.participant_token(uid, 9)
    with loopback.Client(base_url=client.url) as browser:
        reply = browser.get(
            "/exam/start",
            params={"device_id": "d" * 20},
            headers={"Authorization": f"Bearer {token}"},
        )
        cookie = reply.headers["set-cookie"]
        assert cookie.startswith(f"mx_session_{uid}=")
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "session" not in reply.json()
        refused = browser.post("/exam/start", json={})
        assert (refused.status_code, refused.json()["code"]) == (403, "csrf_refused")
        evil = browser.post("/exam/start", json={}, headers={"Origin": "https://evil.test"})
        assert evil.status_code == 403
        own = browser.post("/exam/start", json={}, headers={"Origin": client.url})
        assert own.json()["state"] == "in_progress"
        assert browser.post(
            "/exam/sign-out", json={}, headers={"Sec-Fetch-Site": "same-origin"}
        ).is_success
        assert browser.get("/exam/progress").status_code == 401


def test_live_progress_is_for_service_tokens_only(running: Rig) -> None:
    client = running.client
    sitter = running.sitter(10)
    sitter.begin()
    sitter.answer(1, "A")
    for path in ("/api/progress", "/api/participants", "/api/delivery-stats"):
        assert loopback.get(client.url + path).status_code == 401
        own = {"Authorization": f"Bearer {client.authority.participant_token(client.uid, 10)}"}
        assert loopback.get(client.url + path, headers=own).json()["code"] == "token_invalid"
    service = {"Authorization": f"Bearer {client.authority.service_token(client.uid)}"}
    view = loopback.get(client.url + "/api/progress", headers=service).json()
    row = next(one for one in view["participants"] if one["participant_id"] == 10)
    assert (row["state"], row["connection"], row["status"]) == (
        "in_progress",
        "online",
        "in_progress",
    )
    assert row["progress"]["current_score"] == 100
    stats = loopback.get(client.url + "/api/delivery-stats", headers=service).json()
    assert stats["enrolled"] == 60


def test_events_reach_the_coordinator_complete_and_in_order(running: Rig) -> None:
    sitter = running.sitter(11)
    sitter.begin()
    seq = sitter.answer(1, "A").json()["seq"]
    until(lambda: running.coordinator.accepted >= seq, what="the event")
    event = running.coordinator.events[seq - 1]
    assert event["event_type"] == "answer_submitted"
    assert event["participant_id"] == 11
    assert event["progress"]["current_score"] == 100
    assert "answer" not in event
    numbers = [one["seq"] for one in running.coordinator.events]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_page_and_its_files_are_served_with_a_strict_policy(running: Rig) -> None:
    page = loopback.get(running.client.url + "/")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "x-server-time" in page.headers
    assert loopback.get(running.client.url + "/static/main.js").status_code == 200
    assert loopback.get(running.client.url + "/static/../app.py").status_code == 404


def test_openapi_names_the_lean_doors_too(running: Rig) -> None:
    paths = loopback.get(running.client.url + "/openapi.json").json()["paths"]
    assert {"/exam/answer", "/exam/answers", "/exam/start", "/api/progress"} <= paths.keys()
    body = paths["/exam/answer"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["required"]) == {"question_id", "answer", "command_id", "base_revision"}
