"""How soon an exam-client is ready after `kubectl apply`, its image being on the node."""

import time
from pathlib import Path

import pytest

from tests.support.cluster import counts, exam_day, objects
from tests.support.cluster.api import Api
from tests.support.cluster.installation import Installation
from tests.support.cluster.proof import READY, Proof, Scenario

NAME = "ready"

pytestmark = pytest.mark.timeout(600)


def test_an_applied_delivery_becomes_ready(
    installed: Installation, api: Api, namespace: str, tmp_path: Path, proof: Proof
) -> None:
    imported = exam_day.bring_exam(installed, tmp_path, name=NAME, participants=2)
    seconds = []
    for number in range(counts.applies()):
        began = time.monotonic()
        delivery = objects.apply_example(
            *(api, namespace, f"{NAME}-{number}"),
            exam=imported.exam,
            roster=imported.roster,
            participants=2,
        )
        delivery.wait_condition("Ready")
        seconds.append(round(time.monotonic() - began, 2))
        objects.discard_all(api, [namespace])  # a small node has no room for many

    times = len(seconds)
    proof.scenarios.append(Scenario("applied, until Ready", NAME, times, tuple(seconds), READY))
