"""Registration, bundle and incarnations: what the operator and exam-clients learn."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from coordinator.core.signing import verifies
from exam_contract.base import rfc3339
from exam_contract.bundle import Bundle
from exam_contract.canonical import canonical_bytes
from exam_contract.keys import check_key
from exam_contract.trust import BUNDLE_CONTEXT, Signed
from tests.support.coordinator_rig import Delivery, Rig


async def test_the_bundle_is_signed_complete_and_the_same_every_time(rig: Rig) -> None:
    delivery = await rig.delivery(size=3)
    path = f"/api/internal/deliveries/{delivery.uid}/bundle"
    first = await rig.internal.get(path, headers=delivery.headers())
    assert first.status_code == 200, first.text
    signed = Signed.model_validate_json(first.content)
    assert verifies(delivery.trust["keys"][0]["x"], BUNDLE_CONTEXT, signed)
    bundle = Bundle.model_validate_json(signed.payload)
    assert canonical_bytes(bundle.model_dump(mode="json")).decode() == signed.payload
    assert [p.participant_id for p in bundle.participants] == delivery.participants
    assert bundle.sign_in_url == f"http://coordinator.test/sit/{delivery.id}"
    check_key(bundle.exam, bundle.key)
    again = await rig.internal.get(path, headers=delivery.headers())
    assert again.content == first.content


async def test_registration_is_idempotent_and_an_epoch_never_falls(rig: Rig) -> None:
    delivery = await rig.delivery()
    first = delivery.id
    assert (await delivery.register(epoch=4, pod_uid="pid:4"))["epoch"] == 4
    reply = await delivery.register(epoch=2, pod_uid="pid:2")
    assert (reply["delivery_id"], reply["epoch"]) == (first, 4)
    delivery.pod_uid, delivery.epoch = "pid:2", 4
    refused = await delivery.incarnate()
    assert (refused.status_code, refused.json()["code"]) == (409, "not_registered")
    delivery.pod_uid = "pid:4"
    assert (await delivery.incarnate()).status_code == 200


async def test_what_a_registration_refers_to_must_exist(rig: Rig) -> None:
    delivery = await rig.delivery()
    for change, word in (
        ({"exam_version": "9"}, "version 9"),
        ({"content_digest": "sha256:" + "0" * 64}, "contentDigest"),
        ({"roster_ref": "nobody"}, "roster nobody"),
        ({"max_participants": 1}, "maxCount"),
    ):
        reply = await _register_other(rig, delivery, change)
        assert (reply.status_code, reply.json()["code"]) == (422, "rule_violated")
        assert word in reply.json()["detail"]


async def test_an_older_incarnation_is_fenced_and_the_same_one_is_welcome_again(rig: Rig) -> None:
    delivery = await rig.delivery()
    delivery.incarnation = 3
    assert (await delivery.incarnate()).json() == {"accepted_through": 0}
    assert (await delivery.incarnate()).status_code == 200
    assert (await delivery.incarnate(x="B" * 43)).json()["code"] == "fenced"
    delivery.incarnation = 2
    assert (await delivery.incarnate()).json()["code"] == "fenced"
    assert (await delivery.send(delivery.event())).json()["code"] == "fenced"


async def test_only_the_right_keys_open_the_internal_door(rig: Rig) -> None:
    delivery, other = await rig.delivery("one"), await rig.delivery("two")
    path = f"/api/internal/deliveries/{delivery.uid}/bundle"
    for headers in (
        {},
        delivery.headers(Authorization="Bearer wrong"),
        {**other.headers(), "X-Delivery-Uid": delivery.uid},
        {**delivery.headers(), "X-Delivery-Uid": other.uid},
        rig.operator(),
    ):
        reply = await rig.internal.get(path, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (401, "unauthenticated")
    reply = await rig.internal.put(
        f"/api/internal/deliveries/{delivery.uid}",
        json=delivery.registration(),
        headers=delivery.headers(),
    )
    assert reply.status_code == 401


def _started(delivery: Delivery, participant: int) -> dict[str, Any]:
    return delivery.event(
        event_type="participant_started",
        participant_id=participant,
        attempt_id=participant,
        deadline=rfc3339(datetime.now(UTC) + timedelta(hours=1)),
        deadline_version=1,
        total_questions=3,
    )


async def _register_other(rig: Rig, like: Delivery, change: dict[str, Any]) -> Any:
    return await rig.internal.put(
        "/api/internal/deliveries/another",
        json=like.registration(**change),
        headers=rig.operator(),
    )


async def test_a_discard_is_audited_once_with_what_is_known_of_it(rig: Rig) -> None:
    delivery = await rig.delivery(size=3)
    await delivery.incarnate()
    sent = await delivery.send(*(_started(delivery, one) for one in delivery.participants[:2]))
    assert sent.status_code == 200, sent.text
    discard = {"started": 1, "closed": 0, "acked": 9, "as_of": None}

    for _ in range(2):
        await delivery.register(phase="Failed", discarded=discard)
    await delivery.register(phase="Failed")

    reply = await rig.admin.get("/api/audit?limit=1000")
    kept = [one for one in reply.json()["items"] if one["action"] == "delivery_discarded"]
    assert [(one["actor"], one["target"]) for one in kept] == [
        ("operator", f"delivery:{delivery.id}")
    ]
    assert json.loads(kept[0]["detail"]) == {
        "phase": "Failed",
        "epoch": delivery.epoch,
        "started": 2,
        "closed": 0,
        "acked": 9,
    }
