"""A namespace without untransferred data goes when somebody deletes it, and nobody must help."""

from pathlib import Path

import pytest

from exam_contract.delivery import NAMESPACE_LABEL, Phase
from tests.support.cluster import exam_day, installation, kubectl, objects
from tests.support.cluster.api import Api
from tests.support.cluster.installation import Installation
from tests.support.waiting import until

PARTICIPANTS = 2

pytestmark = pytest.mark.timeout(600, method="signal")


def test_a_namespace_whose_data_is_safe_goes_without_the_operator(
    installed: Installation, api: Api, namespace: str, tmp_path: Path
) -> None:
    """Its delivery is still held for an hour, with pod, claim and Secret; nobody came to the exam,
    whose results are signed and validated all the same."""
    imported = exam_day.bring_exam(installed, tmp_path, name="going", participants=PARTICIPANTS)
    delivery = objects.apply_example(
        *(api, namespace, "going"),
        exam=imported.exam,
        roster=imported.roster,
        participants=PARTICIPANTS,
        spec={"storage": {"size": "64Mi", "retention": "1h"}},
    )
    delivery.wait_phase(Phase.RUNNING)
    delivery.change({"desiredState": "Finalised"})
    delivery.wait_phase(Phase.VALIDATED)
    until(
        lambda: NAMESPACE_LABEL not in api.get("namespaces", namespace)["metadata"]["labels"],
        seconds=40,
        what="the namespace to be let go",
        pause_seconds=0.2,
    )
    assert api.find("persistentvolumeclaims", delivery.children, namespace) is not None

    installed.operator_down()
    try:
        kubectl.kubectl("delete", "namespace", namespace, "--wait=false")
        api.wait_gone("namespaces", namespace, seconds=60)
    finally:
        # The release makes it anew, with what belongs in it.
        if api.find("namespaces", namespace) is None:
            installation.change_values({})
        installed.operator_up()
