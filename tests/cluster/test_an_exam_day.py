"""From `kubectl apply` to results in PostgreSQL: one exam day in a real cluster, with one crash.

The exam-client's process is killed from the node while answers are in flight. Afterwards every
answer that a participant was told is saved is stored, exactly once.
"""

import asyncio
import signal
from pathlib import Path

import pytest

from exam_contract.delivery import Phase
from examctl.simulation.sitting import Behaviour
from examctl.simulation.tally import Tally
from tests.support.cluster import exam_day, node, objects
from tests.support.cluster.api import Api
from tests.support.cluster.exam_day import ExamDay
from tests.support.cluster.installation import Installation

PARTICIPANTS = 12
BEHAVIOUR = Behaviour(think_seconds=0.4, arrival_seconds=5, patience_seconds=90)

pytestmark = pytest.mark.timeout(600)


def test_an_exam_day(installed: Installation, api: Api, namespace: str, tmp_path: Path) -> None:
    imported = exam_day.bring_exam(installed, tmp_path, name="exam-day", participants=PARTICIPANTS)
    delivery = objects.apply_example(
        api,
        namespace,
        "exam-day",
        exam=imported.exam,
        roster=imported.roster,
        participants=PARTICIPANTS,
    )
    delivery.wait_phase(Phase.RUNNING)
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
