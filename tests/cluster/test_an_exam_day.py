"""From a request at the coordinator to results in PostgreSQL: an exam day in a real cluster, with a
crash.

The exam-client's process is killed from the node while answers are in flight. Afterwards every
answer that a participant was told is saved is stored, exactly once.
"""

import asyncio
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from exam_contract.delivery import Phase
from examctl.demonstration.objects import utc_now
from examctl.simulation.sitting import Behaviour
from examctl.simulation.tally import Tally
from tests.support.cluster import exam_day, node, objects
from tests.support.cluster.api import Api
from tests.support.cluster.exam_day import ExamDay, Imported
from tests.support.cluster.installation import Installation
from tests.support.cluster.objects import Delivery

PARTICIPANTS = 12
BEHAVIOUR = Behaviour(think_seconds=0.4, arrival_seconds=5, patience_seconds=90)

pytestmark = pytest.mark.timeout(600)


def test_an_exam_day(installed: Installation, api: Api, namespace: str, tmp_path: Path) -> None:
    imported = exam_day.bring_exam(installed, tmp_path, name="exam-day", participants=PARTICIPANTS)
    delivery = _requested(installed, namespace, imported)
    day = ExamDay(installed, delivery, imported, tmp_path / "ledger.jsonl")
    uid = delivery.pod()["metadata"]["uid"]

    async def crash(tally: Tally) -> None:
        await tally.until(lambda: tally.acknowledged >= 40 and tally.in_flight > 0)
        await asyncio.to_thread(lambda: node.send(delivery.pod(), signal.SIGKILL))

    day.sit(BEHAVIOUR, meanwhile=crash)

    assert delivery.pod()["metadata"]["uid"] == uid, "healed in place"
    ended = delivery.wait_phase(Phase.CLEANED_UP, seconds=180)
    assert ended.status.restarts.count == 1
    day.assert_nothing_lost()
    for plural in ("pods", "persistentvolumeclaims", "secrets"):
        assert api.find(plural, f"exam-{ended.metadata.uid}", namespace) is None


def _requested(installed: Installation, namespace: str, imported: Imported) -> Delivery:
    """By the coordinator's API: it makes the object and tells the delivery's number; it runs."""
    now = utc_now()
    wanted = {
        "name": "Exam day",
        "namespace": namespace,
        "exam_id": imported.exam["id"],
        "exam_version": imported.exam["version"],
        "roster_id": imported.roster,
        "opens_at": objects.instant(now),
        "closes_at": objects.instant(now + timedelta(hours=2)),
        "grace_seconds": 0,
        "time_limit_seconds": 7200,
        "spec": {"access": {"type": "NodePort"}, "storage": {"size": "64Mi"}},
    }
    with installed.coordinator() as coordinator:
        reply = coordinator.post("/api/deliveries", wanted).json()
    made = Delivery(installed.api, namespace, reply["object"]["metadata"]["name"])
    found = made.wait_phase(Phase.RUNNING)
    assert found.status.delivery_id == reply["id"]
    return made
