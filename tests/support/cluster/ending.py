"""How a sitting ends: all is stored, every deadline is right, and the proof gets what was found."""

from collections.abc import Sequence

from exam_contract.delivery import Phase
from examctl.verification.database import Stored
from tests.support.cluster import deadlines
from tests.support.cluster.deadlines import Felt
from tests.support.cluster.exam_day import ExamDay
from tests.support.cluster.proof import Proof, Scenario, Sitting

_OVER = {"submitted", "auto_submitted"}


def assert_ends_whole(
    day: ExamDay, felt: Sequence[Felt] | None, proof: Proof, *scenarios: Scenario
) -> Stored:
    """The delivery is cleaned up, and PostgreSQL holds every acknowledged answer exactly once and
    everybody's attempt with the time that was due: the outages that were ``felt``, and no more
    (None: how long people felt them was not measured, so what was credited is taken as it is).

    Only then does the proof count the scenarios, and the sitting. Returns what was read.
    """
    found = day.delivery.wait_phase(Phase.CLEANED_UP, seconds=180)
    figures = day.assert_nothing_lost().figures
    stored = day.stored()
    attempts = stored.tables["attempts"]
    assert len(attempts) == day.tally.participants
    assert {row["status"] for row in attempts} <= _OVER
    deadlines.assert_right(stored, found.spec, day.imported.accommodations)
    if felt is not None:
        deadlines.assert_credited(stored, felt)
    proof.scenarios.extend(scenarios)
    credited = sum(seconds for _, seconds in deadlines.credits(stored))
    people = day.tally.participants
    proof.sittings.append(Sitting.of(day.delivery.name, people, figures, len(attempts), credited))
    return stored
