"""The pod of an exam-client: how long it may take to end."""

from exam_operator.core import manifests
from tests.support import deliveries


def test_a_draining_exam_client_has_its_time_and_a_hung_one_is_ended_soon() -> None:
    """A preStop and a grace of minutes would keep people waiting for one that can't answer."""
    start = manifests.Start(1, 7, "template", None)
    platform = manifests.Platform("https://coordinator", "image")

    spec = manifests.pod(deliveries.delivery(), start, platform)["spec"]

    probe = spec["containers"][0]["livenessProbe"]
    assert spec["terminationGracePeriodSeconds"] == 120
    assert probe["periodSeconds"] * probe["failureThreshold"] == 30
    assert probe["terminationGracePeriodSeconds"] == 10
