"""How a test of recovery ends: the delivery is whole, and goes in the proof."""

from exam_contract.delivery import Phase
from tests.support.cluster.exam_day import ExamDay
from tests.support.cluster.proof import Proof, Scenario, Sitting


def assert_ends_whole(
    day: ExamDay, proof: Proof, name: str, participants: int, *scenarios: Scenario
) -> None:
    """The delivery is cleaned up and every acknowledged answer stored exactly once; only then does
    the proof count the scenarios, and the sitting with an attempt of each participant."""
    day.delivery.wait_phase(Phase.CLEANED_UP, seconds=180)
    figures = day.assert_nothing_lost().figures
    proof.scenarios.extend(scenarios)
    proof.sittings.append(Sitting.of(name, participants, figures, participants))
