"""Sign-in of participants and staff, the first admin, rosters and exams as they are imported."""

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from coordinator.core.codes import normal_code
from tests.support import exams
from tests.support.coordinator_rig import Delivery, Rig

Json = dict[str, Any]


async def sign_in(rig: Rig, delivery: Delivery, identifier: str, code: str) -> Any:
    body = {"delivery_id": delivery.id, "identifier": identifier, "access_code": code}
    return await rig.public.post("/api/participant/sign-in", json=body)


async def test_a_participant_gets_a_token_for_this_delivery_alone(rig: Rig) -> None:
    delivery = await rig.delivery()
    printed = delivery.roster["participants"][1]
    typed = printed["access_code"].lower().replace("-", " ")
    reply = await sign_in(rig, delivery, " p2 ", typed)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert (body["exam_url"], body["participant_id"]) == (
        "http://127.0.0.1:9",
        delivery.participants[1],
    )
    key = OKPKey.import_key(delivery.trust["keys"][0])
    token = jwt.decode(body["token"], key, algorithms=["EdDSA"])
    assert token.header["typ"] == "medxamion-participant+jwt"
    assert (token.claims["aud"], token.claims["sub"], token.claims["iss"]) == (
        delivery.uid,
        str(delivery.participants[1]),
        delivery.trust["issuer"],
    )


async def test_wrong_codes_and_unknown_people_look_the_same(rig: Rig) -> None:
    delivery = await rig.delivery()
    code = delivery.roster["participants"][0]["access_code"]
    replies = [
        await sign_in(rig, delivery, "p1", "AAAA-BBBB-CCCC"),
        await sign_in(rig, delivery, "nobody", code),
        await sign_in(rig, delivery, "p2", code),
    ]
    assert {reply.status_code for reply in replies} == {401}
    assert len({reply.text for reply in replies}) == 1


async def test_guessing_is_slowed_down_and_others_still_get_in(rig: Rig) -> None:
    delivery = await rig.delivery()
    printed = delivery.roster["participants"]
    for _ in range(5):
        assert (await sign_in(rig, delivery, "p1", "AAAA-BBBB-CCCC")).status_code == 401
    refused = await sign_in(rig, delivery, "p1", printed[0]["access_code"])
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_attempts")
    assert int(refused.headers["retry-after"]) > 0
    assert (await sign_in(rig, delivery, "p2", printed[1]["access_code"])).status_code == 200


async def test_a_delivery_without_an_exam_room_says_so_in_words(rig: Rig) -> None:
    delivery = await rig.delivery()
    await delivery.register(endpoint_public=None)
    code = delivery.roster["participants"][0]["access_code"]
    reply = await sign_in(rig, delivery, "p1", code)
    assert (reply.status_code, reply.json()["code"]) == (503, "not_ready")
    assert "being prepared" in reply.json()["detail"]


async def test_staff_sign_in_is_throttled_per_account(rig: Rig) -> None:
    person = rig.client()
    for _ in range(5):
        wrong = await person.post("/api/sign-in", json={"username": "x", "password": "wrong"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "sign_in_failed")
    late = await person.post("/api/sign-in", json={"username": "x", "password": "wrong"})
    assert late.status_code == 429
    other = await person.post("/api/sign-in", json={"username": "y", "password": "wrong"})
    assert other.status_code == 401


async def test_signing_out_and_deactivation_end_a_session(rig: Rig) -> None:
    person = await rig.staff(("admin", None))
    me = (await person.get("/api/me")).json()
    assert me["grants"] == [{"role": "admin", "exam_id": None}]
    cookie = dict(person.cookies)
    assert (await person.post("/api/sign-out")).status_code == 204
    person.cookies.update(cookie)
    assert (await person.get("/api/me")).status_code == 401
    other = await rig.staff(("scorer", None))
    number = (await other.get("/api/me")).json()["id"]
    await rig.admin.patch(f"/api/staff/{number}", json={"active": False})
    assert (await other.get("/api/me")).status_code == 401


async def test_the_first_admins_link_works_once(rig: Rig) -> None:
    body = {
        "token": rig.first_admin_token,
        "username": "chief",
        "password": "a long enough password",
    }
    wrong = await rig.public.post("/api/first-admin", json={**body, "token": "guess"})
    assert wrong.status_code == 401
    person = rig.client()
    assert (await person.post("/api/first-admin", json=body)).status_code == 201
    assert (await person.get("/api/staff")).status_code == 200
    again = await rig.public.post("/api/first-admin", json={**body, "username": "thief"})
    assert again.status_code == 401


async def test_the_last_admin_cannot_be_removed(rig: Rig) -> None:
    admin = (await rig.admin.get("/api/me")).json()
    refused = await rig.admin.put(f"/api/staff/{admin['id']}/roles", json=[])
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    refused = await rig.admin.patch(f"/api/staff/{admin['id']}", json={"active": False})
    assert refused.status_code == 409


async def test_revoked_tokens_open_nothing(rig: Rig) -> None:
    made = (await rig.admin.post("/api/tokens", json={"label": "script"})).json()
    script = rig.client(made["token"])
    assert (await script.get("/api/me")).json()["csrf_token"] is None
    await rig.admin.delete(f"/api/tokens/{made['id']}")
    assert (await script.get("/api/me")).status_code == 401


async def test_cookies_are_named_after_the_instance_and_kept_from_scripts(rig: Rig) -> None:
    person = await rig.staff(("admin", None))
    me = await person.get("/api/me")
    assert me.headers["cache-control"] == "no-store"
    reply = await rig.client().post(
        "/api/first-admin",
        json={"token": rig.first_admin_token, "username": "c", "password": "p" * 12},
    )
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith("mx_staff_main=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


async def test_a_roster_is_imported_whole_or_not_at_all(rig: Rig) -> None:
    good = {"identifier": "a1", "name": "Zoë O'Neill", "email": "a@example.org"}
    bad = {"identifier": "a1", "name": "B", "email": "nowhere"}
    for query in ("", "?dry_run=true"):
        reply = await rig.admin.post(
            f"/api/rosters{query}", json={"name": "Cohort A", "entries": [good, good, bad]}
        )
        assert (reply.status_code, reply.json()["code"]) == (422, "invalid_field")
        rows = [(error["row"], error["field"]) for error in reply.json()["errors"]]
        assert rows == [(2, "identifier"), (3, "email")]
    assert (await rig.admin.get("/api/rosters")).json()["items"] == []
    body = {"name": "Cohort A", "entries": [good]}
    dry = await rig.admin.post("/api/rosters?dry_run=true", json=body)
    assert dry.json() == {"dry_run": True, "name": "Cohort A", "count": 1}
    ids = [(await rig.admin.post("/api/rosters", json=body)).json()["roster_id"] for _ in "ab"]
    assert ids == ["cohort-a", "cohort-a-2"]
    stored = (await rig.admin.get("/api/rosters/cohort-a")).json()
    assert stored["items"][0]["name"] == "Zoë O'Neill"
    assert "verifier" not in str(stored)


async def test_every_code_of_a_roster_is_different_and_printed_once(rig: Rig) -> None:
    roster = await rig.import_roster(20)
    codes = [
        code
        for person in roster["participants"]
        for code in (person["access_code"], *person["takeover_codes"])
    ]
    assert len(set(codes)) == 60
    assert all(normal_code(code) == code for code in codes)


async def test_an_exam_is_imported_once_and_never_changed(rig: Rig) -> None:
    document = exams.document(exams.single_best(1), id="anatomy")
    assert (await rig.admin.post("/api/exams", json=document)).status_code == 201
    assert (await rig.admin.post("/api/exams", json=document)).status_code == 200
    changed = exams.document(exams.single_best(1, "B"), id="anatomy")
    refused = await rig.admin.post("/api/exams", json=changed)
    assert (refused.status_code, refused.json()["code"]) == (409, "version_in_use")


@pytest.mark.parametrize(
    ("document", "word"),
    [
        (exams.document(exams.single_best(1), exams.single_best(1)), "unique"),
        (exams.document(exams.single_best(1, "Z")), "option"),
        ({**exams.document(exams.single_best(1)), "key": []}, "key"),
        ({**exams.document(exams.single_best(1)), "colour": "red"}, "colour"),
    ],
)
async def test_bad_exams_are_refused_with_the_place(rig: Rig, document: Json, word: str) -> None:
    reply = await rig.admin.post("/api/exams", json=document)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_field")
    assert word in reply.text


async def test_lists_are_paged(rig: Rig) -> None:
    for number in range(3):
        await rig.import_exam(f"exam{number}")
    first = (await rig.admin.get("/api/exams?limit=2")).json()
    assert [exam["exam_id"] for exam in first["items"]] == ["exam0", "exam1"]
    rest = (await rig.admin.get(f"/api/exams?limit=2&after={first['next']}")).json()
    assert ([exam["exam_id"] for exam in rest["items"]], rest["next"]) == (["exam2"], None)
    assert (await rig.admin.get("/api/exams?limit=1001")).status_code == 422
