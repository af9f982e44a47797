"""Events: at least once in, effect once; fenced; counted in statements and in time."""

from sqlalchemy import text

from tests.support.coordinator_rig import Delivery, Rig, counted_statements


async def up(rig: Rig, size: int = 3) -> Delivery:
    delivery = await rig.delivery(size=size)
    assert (await delivery.incarnate()).status_code == 200
    return delivery


async def test_a_batch_is_stored_once_however_often_it_comes(rig: Rig) -> None:
    delivery = await up(rig)
    batch = [delivery.event() for _ in range(5)]
    for _ in range(3):
        assert (await delivery.send(*batch)).json() == {"accepted_through": 5}
    assert await _stored(rig, delivery) == [1, 2, 3, 4, 5]


async def test_one_event_may_come_without_a_batch(rig: Rig) -> None:
    delivery = await up(rig)
    reply = await rig.internal.post(
        "/api/internal/exam-clients/event", json=delivery.event(), headers=delivery.headers()
    )
    assert reply.json() == {"accepted_through": 1}


async def test_a_gap_is_answered_with_the_seq_expected_and_keeps_what_came_before(
    rig: Rig,
) -> None:
    delivery = await up(rig)
    reply = await delivery.send(delivery.event(1), delivery.event(2), delivery.event(4))
    assert reply.status_code == 409
    assert (reply.json()["code"], reply.json()["expected_seq"]) == ("seq_gap", 3)
    assert await _stored(rig, delivery) == [1, 2]


async def test_another_event_under_a_known_seq_is_quarantined(rig: Rig) -> None:
    delivery = await up(rig)
    first = delivery.event(1)
    await delivery.send(first)
    other = delivery.event(1, participant_id=delivery.participants[1])
    for _ in range(2):
        reply = await delivery.send(other)
        assert (reply.status_code, reply.json()["code"]) == (409, "seq_conflict")
    async with rig.runtime.database.read() as db:
        kept = await db.execute(text("SELECT digest, stored_digest FROM event_quarantine"))
        assert [tuple(row) for row in kept] == [(other["digest"], first["digest"])]
    assert await _stored(rig, delivery) == [1]


async def test_an_altered_event_is_refused_whole(rig: Rig) -> None:
    delivery = await up(rig)
    altered = {**delivery.event(1), "participant_id": delivery.participants[1]}
    reply = await delivery.send(altered)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_field")
    assert await _stored(rig, delivery) == []


async def test_events_of_another_delivery_or_a_newer_incarnation_are_refused(rig: Rig) -> None:
    delivery = await up(rig)
    foreign = delivery.event(1, delivery_id=delivery.id + 1)
    assert (await delivery.send(foreign)).json()["code"] == "invalid_field"
    newer = delivery.event(1, epoch=9)
    assert (await delivery.send(newer)).json()["code"] == "fenced"
    ahead = {"X-Epoch": "9"}
    assert (await delivery.send(delivery.event(1), **ahead)).json()["code"] == "not_registered"


async def test_a_successor_resends_what_its_predecessor_wrote(rig: Rig) -> None:
    delivery = await up(rig)
    old = [delivery.event(1), delivery.event(2)]
    await delivery.send(old[0])
    delivery.incarnation = 2
    await delivery.incarnate()
    assert (await delivery.send(*old)).json() == {"accepted_through": 2}
    delivery.incarnation = 1
    assert (await delivery.send(*old)).json()["code"] == "fenced"


async def test_a_rewound_database_is_refilled_from_the_outbox(rig: Rig) -> None:
    delivery = await up(rig)
    outbox = [delivery.event() for _ in range(6)]
    await delivery.send(*outbox)
    async with rig.runtime.database.begin() as db:  # an older backup was restored
        await db.execute(text("DELETE FROM events WHERE seq > 2"))
        await db.execute(text("UPDATE cursors SET accepted_through = 2, stream = 2"))
    reply = await delivery.send(outbox[5])
    assert reply.json()["expected_seq"] == 3
    assert (await delivery.send(*outbox[2:])).json() == {"accepted_through": 6}


async def test_bad_bodies_are_told_in_words(rig: Rig) -> None:
    delivery = await up(rig)
    for content, status in (
        (b"{", 400),
        (b"[]", 422),
        (b'{"events": []}', 422),
        (b'{"events": 5}', 422),
        (b"[" * 100_000, 400),
        (b"x" * (512 * 1024 + 1), 413),
    ):
        reply = await rig.internal.post(
            "/api/internal/exam-clients/event", content=content, headers=delivery.headers()
        )
        assert reply.status_code == status, reply.text
        assert reply.headers["content-type"] == "application/problem+json"


async def test_last_known_states_follow_the_events(rig: Rig) -> None:
    delivery = await up(rig)
    first, second, third = delivery.participants
    await delivery.send(delivery.event(1, participant_id=first), delivery.answer(second, 7, seq=2))
    reply = await rig.admin.get(f"/api/deliveries/{delivery.id}/live-progress")
    live = reply.json()
    assert live["source"] == "last_known"
    assert "no exam-client" in live["reason"]
    states = {row["participant_id"]: row["state"] for row in live["participants"]}
    assert states[first] == "checked_in"
    assert states[third] == "registered"
    answered = {
        row["participant_id"]: row["progress"]["questions_answered"] for row in live["participants"]
    }
    assert answered[second] == 7
    assert [row["name"] for row in live["participants"]] == ["Person 1", "Person 2", "Person 3"]


async def test_a_batch_costs_a_handful_of_statements(rig: Rig) -> None:
    delivery = await up(rig, size=50)
    assert await _statements(rig, delivery) == 4
    assert await _statements(rig, delivery) == 3  # the states before are known by now


async def _statements(rig: Rig, delivery: Delivery) -> int:
    """How many statements a batch of 50 costs, without the notice to other replicas."""
    batch = [delivery.answer(person, 1) for person in delivery.participants]
    with counted_statements(rig) as statements:
        assert (await delivery.send(*batch)).status_code == 200
    return sum("pg_notify" not in statement for statement in statements)


async def _stored(rig: Rig, delivery: Delivery) -> list[int]:
    async with rig.runtime.database.read() as db:
        found = await db.execute(
            text("SELECT seq FROM events WHERE delivery_id = :id ORDER BY stream"),
            {"id": delivery.id},
        )
        return [int(seq) for seq in found.scalars()]
