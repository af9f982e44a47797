"""Ways to an exam-client that other tests do not take: through an Ingress, and from inside only.

Up to Ready; who controls the Ingress is the platform's affair, so nobody sits.
"""

import pytest

from tests.support.cluster import exam_day, objects
from tests.support.cluster.api import Api, Json
from tests.support.cluster.exam_day import Imported
from tests.support.cluster.installation import Installation
from tests.support.cluster.objects import Delivery

PARTICIPANTS = 2
HOST = "exam.example.org"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def imported(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    folder = tmp_path_factory.mktemp("ways-in")
    return exam_day.bring_exam(installed, folder, name="ways-in", participants=PARTICIPANTS)


def test_through_an_ingress(api: Api, namespace: str, imported: Imported) -> None:
    delivery = _ready(api, namespace, imported, {"type": "Ingress", "host": HOST})

    _assert_told(delivery, f"https://{HOST}")
    _assert_service(delivery)
    made = api.get("ingresses", delivery.children, namespace)
    assert made["metadata"]["ownerReferences"][0]["uid"] == delivery.uid
    notes = made["metadata"]["annotations"]
    assert notes["nginx.ingress.kubernetes.io/backend-protocol"] == "HTTPS"
    [rule] = made["spec"]["rules"]
    [path] = rule["http"]["paths"]
    assert (rule["host"], path["path"]) == (HOST, "/")
    named = {"name": delivery.children, "port": {"name": "public"}}
    assert path["backend"]["service"] == named


def test_from_inside_the_cluster_only(api: Api, namespace: str, imported: Imported) -> None:
    delivery = _ready(api, namespace, imported, {"type": "ClusterIP"})

    _assert_told(delivery, f"https://{delivery.children}.{namespace}.svc:8235")
    _assert_service(delivery)
    assert api.find("ingresses", delivery.children, namespace) is None


def _ready(api: Api, namespace: str, imported: Imported, access: Json) -> Delivery:
    delivery = objects.apply_example(
        *(api, namespace, f"by-{access['type'].lower()}"),
        exam=imported.exam,
        roster=imported.roster,
        participants=PARTICIPANTS,
        spec={"access": access},
    )
    delivery.wait_condition("Ready")
    return delivery


def _assert_told(delivery: Delivery, public: str) -> None:
    """By the object, and by the exam-client to whoever signs in."""
    endpoint = delivery.read().status.endpoint
    assert endpoint.public == public
    assert endpoint.internal == f"https://{delivery.children}.{delivery.namespace}.svc:8235"
    [container] = delivery.pod()["spec"]["containers"]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["MEDXAMION_CLIENT_ADVERTISED_ORIGIN"] == public


def _assert_service(delivery: Delivery) -> None:
    made = delivery.api.get("services", delivery.children, delivery.namespace)
    assert made["spec"]["type"] == "ClusterIP"
    assert "nodePort" not in made["spec"]["ports"][0]
