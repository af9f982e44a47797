"""The final transfer: exactly once, all or nothing, a receipt only for what PostgreSQL holds."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.core.signing import signing_key, verifies
from coordinator.errors import DatabaseUnavailable
from coordinator.services import transfer
from coordinator.store import transfers
from exam_contract.canonical import digest_bytes
from exam_contract.results import TABLES, Receipt
from exam_contract.trust import RECEIPT_CONTEXT, Signed
from tests.support.coordinator_rig import Rig
from tests.support.coordinator_transfer import Results, sat_delivery


async def test_a_complete_transfer_is_receipted_from_what_was_read_back(rig: Rig) -> None:
    results = await sat_delivery(rig, participants=3, items=4)
    first = await results.post()
    assert first.status_code == 202
    wanted = {reference["digest"] for reference, _ in results.chunks()}
    assert set(first.json()["missing"]) == wanted
    await results.upload()
    reply = await results.post()
    assert reply.status_code == 200, reply.text
    signed = Signed.model_validate(reply.json()["receipt"])
    assert verifies(results.delivery.trust["keys"][0]["x"], RECEIPT_CONTEXT, signed)
    receipt = Receipt.model_validate_json(signed.payload)
    manifest = results.manifest()
    assert receipt.manifest_digest == digest_bytes(manifest.payload.encode())
    assert {table: receipt.tables[table].count for table in receipt.tables} == {
        table: len(results.tables[table]) for table in TABLES
    }
    assert await _stored(rig, results) == {t: results.tables[t] for t in TABLES}


async def test_the_same_manifest_gets_the_same_receipt_and_another_one_is_refused(
    rig: Rig,
) -> None:
    results = await sat_delivery(rig)
    await results.upload()
    first = await results.post()
    again = await results.post()
    assert again.json() == first.json()
    asked = await rig.internal.get(results.path, headers=results.delivery.headers())
    assert asked.json() == first.json()
    results.overrides["last_seq"] = 99
    other = await results.post()
    assert (other.status_code, other.json()["code"]) == (409, "manifest_conflict")


async def test_two_posts_at_once_store_once(rig: Rig) -> None:
    results = await sat_delivery(rig)
    await results.upload()
    replies = await asyncio.gather(*(results.post() for _ in range(4)))
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.text for reply in replies}) == 1
    assert await _stored(rig, results) == {t: results.tables[t] for t in TABLES}


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ({"tables": {"answers": {"count": 1, "merkle_root": "sha256:" + "0" * 64}}}, "answers"),
        ({"audit_head": "sha256:" + "0" * 64}, "client_audit"),
        ({"participants": {}}, "participants"),
        ({"content_digest": "sha256:" + "0" * 64}, "manifest"),
        ({"delivery_uid": "another"}, "manifest"),
    ],
)
async def test_a_manifest_that_does_not_match_stores_nothing(
    rig: Rig, change: dict[str, Any], table: str
) -> None:
    results = await sat_delivery(rig)
    await results.upload()
    if "tables" in change:
        said = results.manifest()

        tables = json.loads(said.payload)["tables"]
        change = {"tables": {**tables, **change["tables"]}}
    results.overrides = change
    reply = await results.post()
    assert (reply.status_code, reply.json()["code"]) == (422, "manifest_mismatch"), reply.text
    assert reply.json()["table"] == table
    assert await _stored(rig, results) == {t: [] for t in TABLES}
    results.overrides = {}
    assert (await results.post()).status_code == 200


@pytest.mark.parametrize("spoil", ["score", "extra", "missing", "type", "nul"])
async def test_a_row_that_is_not_as_signed_rolls_everything_back(rig: Rig, spoil: str) -> None:
    results = await sat_delivery(rig)
    manifest_of_truth = results.manifest()
    row = results.tables["answers"][0]
    match spoil:
        case "score":
            row["score"] = 17
        case "extra":
            row["unknown"] = 1
        case "missing":
            del row["revision"]
        case "type":
            row["score"] = "100"
        case _:
            row["answer"] = '"\x00"'
    chunks = results.chunks()

    said = json.loads(manifest_of_truth.payload)
    results.overrides = {
        "tables": said["tables"],
        "participants": said["participants"],
        "chunks": [reference for reference, _ in chunks],
    }
    await results.upload()
    reply = await results.post()
    assert (reply.status_code, reply.json()["code"]) == (422, "manifest_mismatch"), reply.text
    assert reply.json()["table"] == "answers"
    assert await _stored(rig, results) == {t: [] for t in TABLES}


async def test_only_a_registered_incarnations_signature_counts(rig: Rig) -> None:
    results = await sat_delivery(rig)
    await results.upload()
    honest, results.key = results.key, signing_key(b"\x09" * 32)
    assert (await results.post()).json()["table"] == "manifest"
    results.key = honest
    signed = results.manifest()
    forged = signed.model_copy(update={"payload": signed.payload.replace('"last_seq":0', "!")})
    assert (await results.post(forged)).status_code == 422
    assert (await results.post(signed)).status_code == 200


async def test_a_torn_chunk_is_refused_alone(rig: Rig) -> None:
    results = await sat_delivery(rig)
    reference, data = results.chunks()[0]
    torn = await results.put(reference["digest"], data[:-1])
    assert (torn.status_code, torn.json()["code"]) == (422, "chunk_mismatch")
    assert (await results.put(reference["digest"], data)).status_code == 204
    assert (await results.put(reference["digest"], data)).status_code == 204
    large = await results.put("sha256:" + "0" * 64, b"x" * (4 * 2**20 + 1))
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")


async def test_a_death_between_rows_and_receipt_is_resumed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = await sat_delivery(rig)
    await results.upload()

    async def dies(*_: Any) -> None:
        raise DatabaseUnavailable("the server was killed here")

    with monkeypatch.context() as patch:
        patch.setattr(transfer.Transfers, "_receipt", dies)
        assert (await results.post()).status_code == 503
    unsigned = await rig.admin.get(f"/api/deliveries/{results.delivery.id}/receipt")
    assert unsigned.json()["receipt"] is None
    assert (await results.post()).status_code == 200


async def test_a_death_before_commit_leaves_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = await sat_delivery(rig)
    await results.upload()

    async def dies(*_: Any) -> None:
        raise DatabaseUnavailable("the server was killed here")

    with monkeypatch.context() as patch:
        patch.setattr(transfers, "commit_manifest", dies)
        assert (await results.post()).status_code == 503
    assert await _stored(rig, results) == {t: [] for t in TABLES}
    assert (await results.post()).status_code == 200


async def test_a_connection_killed_mid_transfer_leaves_nothing_and_the_transfer_resumes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = await sat_delivery(rig)
    await results.upload()
    real = transfers.copy_rows

    async def killed(db: AsyncConnection, delivery_id: int, table: str, rows: list[Any]) -> None:
        await real(db, delivery_id, table, rows)
        if table == "answers":
            await db.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with monkeypatch.context() as patch:
        patch.setattr(transfers, "copy_rows", killed)
        reply = await results.post()
    assert (reply.status_code, reply.json()["code"]) == (503, "database_unavailable")
    assert await _stored(rig, results) == {t: [] for t in TABLES}
    assert (await results.post()).status_code == 200
    assert await _stored(rig, results) == {t: results.tables[t] for t in TABLES}


async def test_rows_changed_in_postgresql_get_no_receipt(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = await sat_delivery(rig)
    await results.upload()

    async def dies(*_: Any) -> None:
        raise DatabaseUnavailable("the server was killed here")

    with monkeypatch.context() as patch:
        patch.setattr(transfer.Transfers, "_receipt", dies)
        await results.post()
    async with rig.runtime.database.begin() as db:
        await db.execute(text("UPDATE result_answers SET answer = '\"C\"' WHERE id = 1"))
    reply = await results.post()
    assert (reply.status_code, reply.json()["table"]) == (422, "answers")


async def test_confirming_names_the_manifest_and_tells_the_operator(rig: Rig) -> None:
    results = await sat_delivery(rig)
    path, headers = f"{results.path}/confirm", results.delivery.headers()
    body = {"manifest_digest": digest_bytes(results.manifest().payload.encode())}
    assert (await rig.internal.post(path, json=body, headers=headers)).status_code == 404
    await results.upload()
    await results.post()
    other = {"manifest_digest": "sha256:" + "0" * 64}
    assert (await rig.internal.post(path, json=other, headers=headers)).status_code == 409
    assert (await rig.internal.post(path, json=body, headers=headers)).status_code == 204
    assert (await results.delivery.register())["confirmed_erased"] is False
    erased = {**body, "erased": True}
    assert (await rig.internal.post(path, json=erased, headers=headers)).status_code == 204
    assert (await results.delivery.register())["confirmed_erased"] is True
    async with rig.runtime.database.read() as db:
        left = await db.execute(text("SELECT count(*) FROM staged_chunks"))
        assert left.scalar_one() == 0


async def test_scores_are_computed_again_and_a_difference_is_shown(rig: Rig) -> None:
    results = await sat_delivery(rig, participants=1, items=3)
    results.tables["answers"][2].update(points="1", score=100)  # answered B, which earns nothing
    await results.upload()
    assert (await results.post()).status_code == 200
    page = await rig.admin.get(f"/api/deliveries/{results.delivery.id}/results")
    assert page.json()["items"][0]["score_mismatches"] == 1
    async with rig.runtime.database.read() as db:
        found = await db.execute(text("SELECT score_check FROM result_answers ORDER BY id"))
        assert list(found.scalars()) == ["ok", "ok", "mismatch"]


async def test_200_participants_with_50_items_are_stored_whole(rig: Rig) -> None:
    results = await sat_delivery(rig, participants=200, items=50)
    await results.upload()
    reply = await results.post(results.manifest())
    assert reply.status_code == 200, reply.text
    stored = await _stored(rig, results)
    assert len(stored["answers"]) == 200 * 50


async def _stored(rig: Rig, results: Results) -> dict[str, list[dict[str, Any]]]:
    async with rig.runtime.database.read() as db:
        return {
            table: await transfers.read_rows(db, results.delivery.id, table) for table in TABLES
        }
