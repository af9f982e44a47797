"""Who may do what: every route x role x own or foreign exam; and what every call leaves behind."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from coordinator.api.deps import check_routes, listed_routes
from coordinator.app import create_internal_app
from coordinator.core.permissions import ROUTES, Access, Grant, Role, Scope, allowed
from coordinator.errors import StartFailed
from tests.support.coordinator_rig import Rig
from tests.support.coordinator_world import World
from tests.support.fake_exam_client import FakeExamClient

Json = dict[str, Any]
_OWN, _FOREIGN = "own", "foreign"
# Read by everybody or about oneself, so there is no foreign exam to try.
_NO_EXAM = (Scope.OPEN, Scope.SIGNED_IN)


@dataclass(frozen=True)
class Case:
    """One request of one role; the verdict is the table's, the test asks the app."""

    method: str
    path: str
    access: Access
    exam: str


async def test_every_route_answers_every_role_as_the_table_says(rig: Rig) -> None:
    own, foreign = await rig.delivery(_OWN), await rig.delivery(_FOREIGN)
    deliveries = {_OWN: own.id, _FOREIGN: foreign.id}
    wrong: list[str] = []
    for role in Role:
        person = await rig.staff((role, _OWN))
        for case in cases(rig.public_app):
            path = fill(case.path, case.exam, deliveries[case.exam])
            reply = await person.request(case.method, path, json={})
            expected = allowed(case.access, [Grant(role, _OWN)], case.exam)
            if (reply.status_code != 403) is not expected or reply.status_code >= 500:
                wrong.append(f"{role} {case.method} {path}: {reply.status_code}")
    assert wrong == []


async def test_nobody_gets_past_the_door_without_signing_in(rig: Rig) -> None:
    delivery = await rig.delivery(_OWN)
    for case in cases(rig.public_app):
        path = fill(case.path, _OWN, delivery.id)
        for headers in ({}, {"Authorization": "Bearer nothing"}):
            reply = await rig.public.request(case.method, path, headers=headers, json={})
            expected = 303 if case.access.page else 401
            assert reply.status_code == expected, f"{case.method} {path}"


def cases(app: FastAPI) -> list[Case]:
    """Every route of the app that asks for a permission, for the own and the foreign exam."""
    found = []
    for method, path in listed_routes(app.routes):
        access = ROUTES[method, path]
        if method == "WS" or access.scope in _NO_EXAM:
            continue
        scoped = access.scope in (Scope.EXAM, Scope.DELIVERY)
        exams = (_OWN, _FOREIGN) if scoped else (_OWN,)
        found += [Case(method, path, access, exam) for exam in exams]
    return found


def fill(path: str, exam: str, delivery: int) -> str:
    values = {"exam_id": exam, "delivery_id": str(delivery), "version": "1", "roster_id": "roster"}
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], "999"), path)


def test_a_route_without_an_entry_keeps_the_app_from_starting() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    check_routes(app.routes)

    @app.get("/forgotten")
    def forgotten() -> None: ...

    with pytest.raises(StartFailed, match="GET /forgotten has no entry"):
        check_routes(app.routes)


async def test_lists_are_cut_to_the_exams_a_person_may_see(rig: Rig) -> None:
    await rig.delivery(_OWN)
    await rig.delivery(_FOREIGN)
    person = await rig.staff(("committee", _OWN))
    exams = (await person.get("/api/exams")).json()["items"]
    assert [exam["exam_id"] for exam in exams] == [_OWN]
    deliveries = (await person.get("/api/deliveries")).json()["items"]
    assert [delivery["exam_id"] for delivery in deliveries] == [_OWN]
    clients = (await person.get("/api/exam-clients")).json()["items"]
    assert [client["delivery_id"] for client in clients] == [deliveries[0]["id"]]


async def test_bodies_that_name_a_foreign_exam_are_refused(rig: Rig) -> None:
    await rig.delivery(_FOREIGN)
    person = await rig.staff(("admin", _OWN))
    stolen = {
        "name": "x",
        "exam_id": _FOREIGN,
        "exam_version": "1",
        "roster_id": "roster",
        "opens_at": "2030-01-01T10:00:00Z",
        "closes_at": "2030-01-01T12:00:00Z",
        "time_limit_seconds": 60,
    }
    assert (await person.post("/api/deliveries", json=stolen)).status_code == 403


async def test_an_answer_key_is_for_admins_alone(rig: Rig) -> None:
    await rig.import_exam(_OWN)
    path = f"/api/exams/{_OWN}/versions/1"
    committee, admin = await rig.staff(("committee", _OWN)), await rig.staff(("admin", _OWN))
    content = await committee.get(path)
    assert content.status_code == 200
    assert "correct" not in content.text
    assert (await committee.get(f"{path}?key=true")).status_code == 403
    assert "correct" in (await admin.get(f"{path}?key=true")).text


async def test_cookies_need_the_csrf_token_and_our_origin(rig: Rig) -> None:
    person = await rig.staff(("admin", None))
    token = person.headers.pop("X-CSRF-Token")
    body = {"label": "x"}
    refused = await person.post("/api/tokens", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf_refused")
    for origin, status in (
        ("https://evil.example", 403),
        ("null", 403),
        ("http://coordinator.test", 201),
    ):
        headers = {"X-CSRF-Token": token, "Origin": origin}
        assert (await person.post("/api/tokens", json=body, headers=headers)).status_code == status
    cross = {"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"}
    assert (await person.post("/api/tokens", json=body, headers=cross)).status_code == 403


# What a call of every route that changes state looks like, and the entry it leaves. The rest of
# the routes is listed with the reason why it leaves none.
_LEFT_OUT = {
    ("POST", "/api/internal/exam-clients/event"): "the event log itself is the trail",
    ("PUT", "/api/internal/exam-clients/{delivery_id}/final-results/chunks/{digest}"): (
        "staged bytes change nothing until the manifest, whose storing is an entry"
    ),
}


async def test_every_call_that_changes_state_leaves_exactly_one_entry(
    rig: Rig, client: tuple[FakeExamClient, str]
) -> None:
    world = await World.of(rig, *client)
    walked = set()
    for method, path, call, action in world.calls():
        before = await entries(rig)
        reply = await call()
        assert reply.status_code < 300, f"{method} {path}: {reply.text}"
        added = (await entries(rig))[len(before) :]
        assert [entry["action"] for entry in added] == [action], f"{method} {path}"
        walked.add((method, path))
    every = listed_routes(rig.public_app.routes) + listed_routes(
        create_internal_app(rig.runtime).routes
    )
    changing = {route for route in every if route[0] not in ("GET", "WS")}
    assert changing - walked - set(_LEFT_OUT) == set()


async def test_the_trail_names_nobody_and_holds_no_secret(
    rig: Rig, client: tuple[FakeExamClient, str]
) -> None:
    world = await World.of(rig, *client)
    for _, _, call, _ in world.calls():
        await call()
    told = json.dumps(await entries(rig))
    for secret in ("Person 1", "p1@example.org", world.access_code, world.password, "option A"):
        assert secret not in told


async def test_the_trail_is_append_only_and_shows_where_it_was_touched(rig: Rig) -> None:
    for label in ("a", "b", "c"):
        await rig.admin.post("/api/tokens", json={"label": label})
    assert (await rig.admin.get("/api/audit/verify")).json()["verified"] is True
    for statement in (
        "UPDATE audit_log SET actor = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
    ):
        with pytest.raises(Exception, match="append-only"):
            async with rig.runtime.database.begin() as db:
                await db.execute(text(statement))
    async with rig.runtime.database.begin() as db:  # somebody who may disable triggers
        await db.execute(text("ALTER TABLE audit_log DISABLE TRIGGER ALL"))
        await db.execute(text("UPDATE audit_log SET actor = 'staff:99' WHERE id = 2"))
    verdict = (await rig.admin.get("/api/audit/verify")).json()
    assert (verdict["verified"], verdict["first_bad"]) == (False, 2)


async def entries(rig: Rig) -> list[Json]:
    reply = await rig.admin.get("/api/audit?limit=1000")
    return list(reply.json()["items"])
