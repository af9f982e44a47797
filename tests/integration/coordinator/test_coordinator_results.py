"""Stored results: figures, exports, and scorers' decisions with their history."""

import csv
import io
import json

from tests.support import exams
from tests.support.coordinator_rig import Delivery, Rig
from tests.support.coordinator_transfer import Results, make_tables, sat_delivery


async def transferred(rig: Rig, participants: int = 4, items: int = 4) -> Results:
    results = await sat_delivery(rig, participants, items)
    await results.upload()
    assert (await results.post()).status_code == 200
    return results


async def essays(rig: Rig) -> Results:
    """Two participants, one essay of four points each that waits for a scorer."""
    item = {"id": 1, "type": "essay", "stem": "Discuss.", "max_points": "4"}
    key = {"item_id": 1, "type": "essay", "rubric": "Two points each."}
    document = exams.document((item, key), id="sample")
    assert (await rig.admin.post("/api/exams", json=document)).status_code == 201
    results = await _with_tables(rig, document)
    for row in results.tables["answers"]:
        row.update(answer='"=text"', scoring="manual", points="0", max_points="4", score=0)
    for row in results.tables["attempts"]:
        row.update(score_numerator="0", score_denominator="4", final_score=0, manual_pending=1)
    await results.upload()
    assert (await results.post()).status_code == 200
    return results


async def _with_tables(rig: Rig, document: exams.Json) -> Results:

    exam = (await rig.admin.post("/api/exams", json=document)).json()
    delivery = Delivery(rig=rig, exam=exam, roster=await rig.import_roster(2))
    await delivery.register()
    results = Results(delivery, make_tables(delivery, 1))
    await delivery.incarnate(x=results.key.x, kid=results.key.kid)
    return results


async def test_figures_of_scores_and_items(rig: Rig) -> None:
    results = await transferred(rig)
    path = f"/api/deliveries/{results.delivery.id}/results"
    figures = (await rig.admin.get(f"{path}/histogram")).json()
    assert (figures["count"], figures["minimum"], figures["maximum"]) == (4, 25, 100)
    assert float(figures["mean"]) == 62.5
    assert sum(one["count"] for one in figures["bins"]) == 4
    items = (await rig.admin.get(f"{path}/items")).json()["items"]
    assert [item["presented"] for item in items] == [4, 4, 4, 4]
    assert [float(item["mean_percent"]) for item in items] == [100, 75, 50, 25]
    assert items[0]["discrimination"] is None  # everybody had it right
    assert items[1]["choices"] == {"A": 3, "B": 1}


async def test_a_page_of_results_shows_everybody_once(rig: Rig) -> None:
    results = await transferred(rig)
    path = f"/api/deliveries/{results.delivery.id}/results"
    first = (await rig.admin.get(f"{path}?limit=3")).json()
    rest = (await rig.admin.get(f"{path}?limit=3&after={first['next']}")).json()
    rows = first["items"] + rest["items"]
    assert [row["final_score"] for row in rows] == [25, 50, 75, 100]
    assert [row["answers"] for row in rows] == [4, 4, 4, 4]
    assert rest["next"] is None


async def test_exports_hold_every_answer_and_no_formula(rig: Rig) -> None:
    results = await transferred(rig)
    path = f"/api/deliveries/{results.delivery.id}/results"
    reply = await rig.admin.get(f"{path}?format=csv&bom=true")
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(reply.content.decode("utf-8-sig"))))
    assert len(rows) == 16
    assert rows[0]["name"] == "'=Zoë\u00a0O'Neill →\n\"x\""
    listed = json.loads((await rig.admin.get(f"{path}?format=json")).content)
    assert len(listed) == 16
    assert (listed[0]["answer"], listed[0]["points"]) == ("A", "1")


async def test_a_scorers_decision_changes_the_final_score_and_keeps_its_history(
    rig: Rig,
) -> None:
    results = await essays(rig)
    base = f"/api/deliveries/{results.delivery.id}"
    queue = (await rig.admin.get(f"{base}/manual-queue")).json()
    assert (len(queue["items"]), queue["pending"], queue["decided"]) == (2, 2, 0)
    first = queue["items"][0]
    assert (first["stem"], first["rubric"], first["answer"]) == (
        "Discuss.",
        "Two points each.",
        "=text",
    )
    assert "Zoë" not in str(queue)
    for points, percent in (("3", 75), ("5/2", 62)):
        body = {"answer_id": first["answer_id"], "points": points, "comment": "clear"}
        reply = await rig.admin.post(f"{base}/manual-scores", json=body)
        assert reply.status_code == 200, reply.text
        page = (await rig.admin.get(f"{base}/results")).json()["items"]
        assert (page[0]["final_score"], page[0]["manual_pending"]) == (percent, 0)
        assert page[1]["final_score"] == 0
    left = (await rig.admin.get(f"{base}/manual-queue")).json()
    assert [row["answer_id"] for row in left["items"]] == [2]
    decided = (await rig.admin.get(f"{base}/manual-queue?decided=true")).json()["items"]
    assert (decided[0]["points"], decided[0]["decisions"]) == ("5/2", 2)


async def test_points_beyond_the_maximum_or_of_ruled_answers_are_refused(rig: Rig) -> None:
    results = await essays(rig)
    path = f"/api/deliveries/{results.delivery.id}/manual-scores"
    for points, answer, status in (("9/2", 1, 422), ("-1", 1, 422), ("x", 1, 422), ("1", 99, 404)):
        reply = await rig.admin.post(path, json={"answer_id": answer, "points": points})
        assert reply.status_code == status, reply.text


async def test_stored_rows_are_untouched_by_decisions(rig: Rig) -> None:
    results = await essays(rig)
    base = f"/api/deliveries/{results.delivery.id}"
    await rig.admin.post(f"{base}/manual-scores", json={"answer_id": 1, "points": "4"})
    again = await results.post()  # the manifest still fits what PostgreSQL holds
    assert again.status_code == 200
    receipt = (await rig.admin.get(f"{base}/receipt")).json()
    assert receipt["receipt"] == again.json()["receipt"]
    assert receipt["manifest_key"]["x"] == results.key.x
    assert receipt["receipt_key"] == results.delivery.trust["keys"][0]
