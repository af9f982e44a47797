"""Live progress and its source, actions, and the health of exam-clients."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exam_contract.problems import ProblemCode
from exam_contract.progress import LiveProgress
from tests.support.coordinator_rig import Delivery, Rig, coordinator_rig
from tests.support.coordinator_transfer import sat_delivery
from tests.support.fake_exam_client import FakeExamClient
from tests.support.waiting import PATIENCE_SECONDS, until_async


@pytest.fixture
async def rig(pg_dsn: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """Probes often, so that health is seen to change; keeps figures for as long as a test lasts,
    and waits for an exam-client however busy the machine is."""
    times = {"probe_seconds": 0.1, "live_cache_seconds": 600.0, "live_timeout_seconds": 60.0}
    async with coordinator_rig(pg_dsn, tmp_path, **times) as opened:
        yield opened


async def reachable(rig: Rig, client: tuple[FakeExamClient, str]) -> Delivery:
    """A delivery whose exam-client is the fake one."""
    fake, url = client
    delivery = await rig.delivery()
    await delivery.register(endpoint_internal=url, endpoint_public=url)
    fake.delivery_id, fake.uid = delivery.id, delivery.uid
    fake.participants, fake.key = delivery.participants, delivery.trust["keys"][0]
    return delivery


async def live(rig: Rig, delivery: Delivery) -> LiveProgress:
    reply = await rig.admin.get(f"/api/deliveries/{delivery.id}/live-progress")
    assert reply.status_code == 200, reply.text
    return LiveProgress.model_validate_json(reply.content)


async def test_figures_are_live_then_cached_and_named(
    rig: Rig, client: tuple[FakeExamClient, str]
) -> None:
    delivery = await reachable(rig, client)
    first = await live(rig, delivery)
    assert (first.source, first.stats.events_pending) == ("live", 3)
    assert [row.name for row in first.participants] == ["Person 1", "Person 2", "Person 3"]
    assert (await live(rig, delivery)).source == "cached"
    assert client[0].asked == 1
    assert client[0].tokens[0]["aud"] == delivery.uid
    assert client[0].tokens[0]["exp"] - client[0].tokens[0]["nbf"] <= 60


async def test_many_who_ask_at_once_cost_one_call(
    rig: Rig, client: tuple[FakeExamClient, str]
) -> None:
    delivery = await reachable(rig, client)
    client[0].delay = 0.05
    found = await asyncio.gather(*(live(rig, delivery) for _ in range(20)))
    assert client[0].asked == 1
    assert sorted({progress.source for progress in found}) == ["cached", "live"]


async def test_a_broken_exam_client_leaves_the_last_known_state_with_its_reason(
    rig: Rig, client: tuple[FakeExamClient, str]
) -> None:
    delivery = await reachable(rig, client)
    await delivery.incarnate()
    await delivery.send(delivery.answer(delivery.participants[1], 4))
    client[0].fail = 1
    found = await live(rig, delivery)
    assert found.source == "last_known"
    assert found.reason is not None
    assert "status 500" in found.reason
    assert found.as_of is not None
    assert [row.progress.questions_answered for row in found.participants] == [0, 4, 0]


async def test_an_exam_client_that_hangs_does_not_hang_the_dashboard(
    pg_dsn: str, tmp_path: Path, client: tuple[FakeExamClient, str]
) -> None:
    async with coordinator_rig(pg_dsn, tmp_path, live_timeout_seconds=0.5) as rig:
        delivery = await reachable(rig, client)
        client[0].delay = 2 * PATIENCE_SECONDS
        found = await live(rig, delivery)
    assert (found.source, found.reason) == (
        "last_known",
        "the exam-client took too long to answer",
    )


async def test_a_complete_delivery_is_drawn_from_its_results(rig: Rig) -> None:
    results = await sat_delivery(rig, participants=3, items=4)
    results.tables["progress"][0]["questions_answered"] = 3  # one was cleared: its row stays
    await results.upload()
    await results.post()
    await results.delivery.register(phase="CleanedUp")
    found = await live(rig, results.delivery)
    assert (found.source, found.stats.completed) == ("historical", 3)
    assert (found.stats.answers, found.stats.revisions) == (12, 12)
    assert [row.final_score for row in found.participants] == [25, 50, 75]


async def test_actions_reach_the_exam_client_with_their_actor_and_leave_one_entry(
    rig: Rig, client: tuple[FakeExamClient, str]
) -> None:
    delivery = await reachable(rig, client)
    path = f"/api/deliveries/{delivery.id}/actions"
    person = delivery.participants[0]
    body = {
        "kind": "grant_time",
        "seconds": 60,
        "reason": "fire alarm",
        "participant_ids": [person],
    }
    reply = await rig.admin.post(path, json={**body, "action_id": "a" * 32})
    assert reply.json()["action_id"] == "a" * 32
    sent = client[0].actions[0]
    assert sent["actor"].startswith("staff:")
    assert (sent["seconds"], sent["participant_ids"]) == (60, [person])
    entries = await audit_of(rig, "action_grant_time")
    assert len(entries) == 1
    assert '"action_id":"' + "a" * 32 in entries[0]["detail"]


async def test_a_takeover_code_is_shown_once_and_only_its_verifier_travels(
    rig: Rig, client: tuple[FakeExamClient, str]
) -> None:
    delivery = await reachable(rig, client)
    body = {
        "kind": "takeover_code",
        "reason": "laptop died",
        "participant_ids": [delivery.participants[0]],
    }
    reply = await rig.admin.post(f"/api/deliveries/{delivery.id}/actions", json=body)
    code = reply.json()["code"]
    sent = client[0].actions[0]
    assert code not in str(sent)
    assert await rig.runtime.hashing.code_fits(sent["code_verifier"], code)
    assert code not in str(await audit_of(rig, "action_takeover_code"))


async def test_a_refusal_of_the_exam_client_is_passed_on(
    rig: Rig, client: tuple[FakeExamClient, str]
) -> None:
    delivery = await reachable(rig, client)
    client[0].refusal = ProblemCode.DELIVERY_FROZEN
    path = f"/api/deliveries/{delivery.id}/actions"
    body = {"kind": "pause", "reason": "noise"}
    reply = await rig.admin.post(path, json=body)
    assert (reply.status_code, reply.json()["code"]) == (409, "delivery_frozen")
    wrong = await rig.admin.post(path, json={"kind": "dance", "reason": "x"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_field")
    await delivery.register(endpoint_internal="nonsense")
    odd = await rig.admin.post(path, json=body)
    assert (odd.status_code, odd.json()["code"]) == (503, "client_unreachable")
    await delivery.register(endpoint_internal="http://127.0.0.1:1")
    away = await rig.admin.post(path, json=body)
    assert (away.status_code, away.json()["code"]) == (503, "client_unreachable")


async def test_health_follows_the_probe(rig: Rig, client: tuple[FakeExamClient, str]) -> None:
    delivery = await reachable(rig, client)

    async def seen() -> Any:
        reply = await rig.admin.get("/api/exam-clients")
        return next(row for row in reply.json()["items"] if row["delivery_id"] == delivery.id)

    async def up() -> bool:
        return (await seen())["reachable"] is True

    async def down() -> bool:
        return (await seen())["reachable"] is False

    await until_async(up, what="the exam-client to be seen")
    await delivery.register(endpoint_internal="http://127.0.0.1:1")
    await until_async(down, what="the exam-client to be missed")
    assert (await seen())["reason"] == "the exam-client can't be reached"


async def test_deliveries_are_created_and_steered_through_their_object(rig: Rig) -> None:
    await rig.import_exam()
    roster = await rig.import_roster(2)
    body = {
        "name": "Spring Sitting",
        "exam_id": "sample",
        "exam_version": "1",
        "roster_id": roster["roster_id"],
        "opens_at": "2030-01-01T10:00:00Z",
        "closes_at": "2030-01-01T12:00:00Z",
        "time_limit_seconds": 3600,
    }
    made = await rig.admin.post("/api/deliveries", json=body)
    assert made.status_code == 201, made.text
    delivery = made.json()
    assert (delivery["name"], delivery["phase"]) == ("spring-sitting", "Assigned")
    assert delivery["counts"]["enrolled"] == 2
    path = f"/api/deliveries/{delivery['id']}"
    again = await rig.admin.post("/api/deliveries", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    backwards = {**body, "name": "other", "closes_at": "2029-01-01T12:00:00Z"}
    refused = await rig.admin.post("/api/deliveries", json=backwards)
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "spec.window")
    later = {"closes_at": "2030-01-01T13:00:00Z", "reason": "late bus"}
    extended = await rig.admin.post(f"{path}/extend", json=later)
    assert extended.json()["closes_at"] == "2030-01-01T13:00:00.000000Z"
    early = await rig.admin.post(f"{path}/rollback", json={"reason": "a slip"})
    assert (early.status_code, early.json()["code"]) == (409, "conflict")
    finalised = await rig.admin.post(f"{path}/finalise", json={"reason": "all done"})
    assert finalised.json()["desired_state"] == "Finalised"
    rolled = await rig.admin.post(f"{path}/rollback", json={"reason": "not yet"})
    assert (rolled.status_code, rolled.json()["code"]) == (422, "rule_violated")
    restarted = await rig.admin.post(f"{path}/restart", json={"reason": "stuck"})
    assert restarted.status_code == 200
    stored = next(iter(rig.objects.objects.values()))
    assert "exams.medxamion.io/restart-requested-at" in stored.metadata.annotations
    assert (await rig.admin.delete(path)).status_code == 204
    assert rig.objects.objects == {}


async def audit_of(rig: Rig, action: str) -> list[dict[str, Any]]:
    reply = await rig.admin.get("/api/audit?limit=1000")
    return [entry for entry in reply.json()["items"] if entry["action"] == action]
