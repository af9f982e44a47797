"""A whole exam while there is neither coordinator nor PostgreSQL, from before its opening on.

People sign in for the first time at the exam-client, some change the device with a printed code,
the exam ends by its own clock, and the results are handed over when somebody is there to take them.
"""

import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from exam_contract.delivery import ExamDelivery, Phase
from examctl.demonstration.objects import utc_now
from examctl.simulation.sitting import Behaviour, Venue
from tests.support.cluster import exam_day, objects
from tests.support.cluster.ending import assert_ends_whole
from tests.support.cluster.exam_day import ExamDay
from tests.support.cluster.installation import Installation
from tests.support.cluster.objects import Delivery
from tests.support.cluster.proof import Proof, Scenario

PARTICIPANTS = 10
NAME = "without-coordinator"
OPENS_IN, LASTS = timedelta(seconds=12), timedelta(seconds=35)
BEHAVIOUR = Behaviour(
    think_seconds=0.5,
    device_change_share=0.5,
    arrival_seconds=4,
    patience_seconds=120,
    item_limit=8,
    goes_on=True,
)
"""Nobody submits: the time ends for all."""

pytestmark = pytest.mark.timeout(900, method="signal")


def test_an_exam_from_before_its_opening_to_after_its_close(
    installed: Installation, namespace: str, tmp_path: Path, proof: Proof
) -> None:
    day = _prepared(installed, namespace, tmp_path)
    delivery = day.delivery
    with installed.without_coordinator():
        closes_at = _open_soon(delivery)

        day.sit(BEHAVIOUR)

        found = delivery.wait_phase(Phase.TRANSFERRING, seconds=120)
        ended = utc_now()
        assert ended >= closes_at
        _assert_ended_by_the_clock(day, found)
    back = time.monotonic()
    delivery.wait_phase(Phase.CLEANED_UP, seconds=180)
    seconds = round(time.monotonic() - back, 2)

    told = f"no coordinator, no PostgreSQL; {day.tally.device_changes} devices changed: cleaned up"
    scenario = Scenario(told, NAME, 1, (seconds,), acknowledged=day.tally.acknowledged)
    attempts = assert_ends_whole(day, [], proof, scenario).tables["attempts"]
    assert all(datetime.fromisoformat(row["ended_at"]) >= closes_at for row in attempts)
    assert all(row["final_score"] is not None for row in attempts)
    assert {datetime.fromisoformat(row["deadline"]) for row in attempts} == {closes_at}


def _prepared(installed: Installation, namespace: str, folder: Path) -> ExamDay:
    delivery, imported = exam_day.apply(
        *(installed, namespace, folder, NAME),
        participants=PARTICIPANTS,
        opens_in=timedelta(hours=1),
        closes_in=timedelta(hours=2),
    )
    found = delivery.wait_phase(Phase.PREPARED)
    delivery.wait_condition("Ready")
    venue = Venue(
        installed.url,
        found.status.delivery_id or 0,
        imported.keys,
        exam_url=found.status.endpoint.public,
        offline=True,
        trust=installed.trust,
    )
    return ExamDay(installed, delivery, imported, folder / "ledger.jsonl", venue)


def _open_soon(delivery: Delivery) -> datetime:
    """Move the window to where it opens soon and closes soon after; when it closes."""
    opens_at = (utc_now() + OPENS_IN).replace(microsecond=0)
    closes_at = opens_at + LASTS
    written = {"opensAt": objects.instant(opens_at), "closesAt": objects.instant(closes_at)}
    delivery.change({"window": written})
    return closes_at


def _assert_ended_by_the_clock(day: ExamDay, found: ExamDelivery) -> None:
    tally = day.tally
    assert tally.signed_in == tally.started == tally.completed == PARTICIPANTS
    assert tally.admitted == 0, "nobody was let in by a coordinator"
    assert tally.device_changes > 0
    counts = found.status.counts
    assert (counts.started, counts.open, counts.closed) == (PARTICIPANTS, 0, PARTICIPANTS)
    conditions = {one.type: one for one in found.status.conditions}
    assert conditions["TransferComplete"].status == "False"
    assert conditions["TransferComplete"].reason == "WindowClosed"
