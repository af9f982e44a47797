"""A release under a running exam: its upgrade, its removal, and the documented trial in its place.

One exam is sat throughout: it hinders the removal while it runs, and outlives it once transferred.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from exam_contract.delivery import FINALIZER, Phase
from tests.support.cluster import chart, exam_day, installation, kubectl, objects, script
from tests.support.cluster.api import Api
from tests.support.cluster.hall import Hall
from tests.support.cluster.installation import (
    DELIVERY_NAMESPACES,
    NAMESPACE,
    OPERATOR_NAMESPACE,
    Installation,
)
from tests.support.cluster.objects import Delivery
from tests.support.waiting import until

Json = dict[str, Any]
PARTICIPANTS = 4
PLACE = DELIVERY_NAMESPACES[0]
EXAMPLES = script.ROOT / "examples"
GUARD = "no-uninstall-while-deliveries-hold-untransferred-data"


def test_an_upgrade_leaves_a_running_exam_alone(sitting: Hall) -> None:
    """A new operator, and another image for exam-clients to come."""
    delivery = sitting.day.delivery
    before = delivery.running()

    with _upgraded("--set", "operator.logLevel=warning", "--set", "client.image.tag=later"):
        delivery.wait_condition("PendingTemplate")
        sitting.answers(4 * PARTICIPANTS)
        assert delivery.running() == before
    delivery.wait_condition("PendingTemplate", "False")
    sitting.answers(PARTICIPANTS)

    assert delivery.running() == before


def test_removal_is_refused_in_words_while_data_is_untransferred(sitting: Hall) -> None:
    delivery = sitting.day.delivery
    before = delivery.running()
    _wait_counted(delivery)

    with pytest.raises(script.ClusterMissing) as refused:
        _uninstall()

    said = " ".join(str(refused.value).split())
    assert GUARD in said
    assert f"{PLACE}/{delivery.name}: phase Running, {PARTICIPANTS} attempts" in said
    assert "let it finish" in said
    assert delivery.api.find("deployments", "medxamion-operator", OPERATOR_NAMESPACE)
    # Helm upgrades no release whose removal was refused; the words say how it becomes whole.
    mend = re.search(r"before its next upgrade: (helm rollback medxamion \d+ -n medxamion)", said)
    assert mend is not None
    script.call(*mend[1].split())
    assert _status() == "deployed"
    sitting.answers(PARTICIPANTS)
    assert delivery.running() == before


def test_removal_leaves_nothing_stuck_and_what_must_be_kept(
    transferred: tuple[Delivery, Delivery], removed: Installation, api: Api
) -> None:
    """Also not what was transferred and is held for a while, nor what is over."""
    assert _whole(api.get("customresourcedefinitions", "examdeliveries.exams.medxamion.io"))
    for namespace in DELIVERY_NAMESPACES:
        assert _whole(api.get("namespaces", namespace))
    held, over = transferred
    assert [(one.read().status.phase, _hold(one.raw())) for one in transferred] == [
        (Phase.VALIDATED, []),
        (Phase.CLEANED_UP, []),
    ]
    assert all(_whole(found) for found in (held.raw(), over.raw(), held.pod()))
    for plural in ("persistentvolumeclaims", "secrets"):
        found = api.get(plural, held.children, PLACE)
        assert _whole(found)
        assert FINALIZER not in _hold(found)
    api.wait_gone("namespaces", OPERATOR_NAMESPACE, seconds=90)
    left = kubectl.read("get", "secrets", "-n", NAMESPACE)["items"]
    kept = {secret["metadata"]["name"] for secret in left}
    assert {"medxamion-coordinator", "medxamion-postgresql"} <= kept
    assert not kept & {"medxamion-bootstrap", "medxamion-coordinator-tls"}
    wide = kubectl.kubectl("get", "clusterroles,validatingadmissionpolicies", "-o", "name")
    assert "medxamion" not in wide


def test_what_was_transferred_can_be_deleted_without_the_operator(
    transferred: tuple[Delivery, Delivery], removed: Installation, api: Api
) -> None:
    children = transferred[0].children

    for delivery in transferred:
        kubectl.kubectl("-n", PLACE, "delete", "exd", delivery.name, "--timeout=30s")

    for plural in ("pods", "persistentvolumeclaims", "secrets"):
        api.wait_gone(plural, children, PLACE, seconds=90)


def test_the_documented_trial_works_as_it_stands(
    transferred: tuple[Delivery, Delivery], removed: Installation, api: Api, tmp_path: Path
) -> None:
    """Its values and its delivery as they are, with the images of this machine."""
    values = _for_this_cluster(EXAMPLES / "values-trial.yaml", tmp_path, removed.public_host)
    _install_trial(values)
    browser = httpx.Client(verify=installation.authority(api), follow_redirects=True)
    with browser, _morning(api) as delivery:
        page = browser.get(yaml.safe_load(values.read_text())["coordinator"]["publicUrl"])
        assert page.status_code == 200, page.text
        delivery.wait_phase(Phase.PREPARED)
        way_in = str(delivery.wait_condition("Ready").status.endpoint.public)
        told = browser.get(f"{way_in}/exam/info")

        assert told.status_code == 200, told.text
        assert told.json()["delivery_uid"] == delivery.uid
        assert urlsplit(way_in).hostname == removed.public_host


def _install_trial(values: Path) -> None:
    registry = os.environ["MEDXAMION_IMAGES"].removesuffix("/medxamion")
    images = {
        "image.registry": registry,
        "image.tag": os.environ["MEDXAMION_IMAGE_TAG"],
        "postgresql.trial.image": script.image("postgres"),
    }
    script.call(
        *("helm", "install", "medxamion", str(chart.CHART), "-n", NAMESPACE, "--create-namespace"),
        *("--wait", "--timeout", "5m", "-f", str(values)),
        *(word for name, value in images.items() for word in ("--set", f"{name}={value}")),
    )


def _for_this_cluster(values: Path, folder: Path, host: str) -> Path:
    """The file, with the address of a node where it says that one belongs."""
    own = folder / values.name
    own.write_text(values.read_text("utf-8").replace("127.0.0.1", host), "utf-8")
    return own


@contextmanager
def _morning(api: Api) -> Iterator[Delivery]:
    """The example's delivery, applied by the words of NOTES; nobody begins it before its day."""
    notes = script.call("helm", "get", "notes", "medxamion", "-n", NAMESPACE)
    command = f"kubectl -n {PLACE} apply -f examples/delivery.yaml"
    assert command in notes
    example = EXAMPLES / "delivery.yaml"
    kubectl.kubectl("-n", PLACE, "apply", "-f", str(example))
    delivery = Delivery(api, PLACE, yaml.safe_load(example.read_text())["metadata"]["name"])
    try:
        yield delivery
    finally:
        objects.discard_all(api, [PLACE])


@pytest.fixture(scope="module")
def sitting(
    installed: Installation, api: Api, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hall]:
    """One exam that runs, for as long as tests need it; what is left of it goes in the end."""
    objects.discard_all(api, DELIVERY_NAMESPACES)
    folder = tmp_path_factory.mktemp("sitting")
    held = {"storage": {"size": "64Mi", "retention": "2h"}}
    day = exam_day.begin(installed, PLACE, folder, "held", participants=PARTICIPANTS, spec=held)
    with Hall(day) as hall:
        hall.answers(PARTICIPANTS)
        yield hall
    objects.discard_all(api, [PLACE])


@pytest.fixture(scope="module")
def transferred(
    sitting: Hall, installed: Installation, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Delivery, Delivery]:
    """The exam that ran, Validated and in its retention, and another one, CleanedUp."""
    folder = tmp_path_factory.mktemp("over")
    # The roster that the example's delivery names.
    over, _ = exam_day.apply(installed, PLACE, folder, "roster", participants=1)
    sitting.finish()
    over.wait_phase(Phase.RUNNING)
    over.change({"desiredState": "Finalised"})
    held = sitting.day.delivery
    held.wait_phase(Phase.VALIDATED, seconds=180)
    sitting.day.assert_nothing_lost()
    over.wait_phase(Phase.CLEANED_UP, seconds=180)
    until(
        lambda: not _hold(held.raw()) and not _hold(over.raw()),
        seconds=30,
        what="the deliveries to be let go",
        pause_seconds=0.2,
    )
    return held, over


@pytest.fixture(scope="module")
def removed(
    transferred: tuple[Delivery, Delivery], installed: Installation, api: Api
) -> Iterator[Installation]:
    """Afterwards the release is installed again as it was, with the database it had."""
    held = api.get("secrets", "medxamion-coordinator", NAMESPACE)["data"]
    try:
        _uninstall()
        yield installed
    finally:
        installation.install(api)
    assert api.get("secrets", "medxamion-coordinator", NAMESPACE)["data"] == held
    # A new authority: what was read of the old one is forgotten.
    installed.__dict__.pop("trust", None)


def _wait_counted(delivery: Delivery) -> None:
    """Counts in a status are as old as half a minute."""
    delivery.api.wait(
        *(objects.PLURAL, delivery.name, delivery.namespace),
        lambda found: found["status"].get("counts", {}).get("started") == PARTICIPANTS,
        seconds=90,
        what=f"{PARTICIPANTS} attempts to be told",
    )


def _whole(found: Json) -> bool:
    """Whether nobody is waiting for it to go."""
    return "deletionTimestamp" not in found["metadata"]


def _hold(found: Json) -> list[str]:
    return list(found["metadata"].get("finalizers", []))


@contextmanager
def _upgraded(*values: str) -> Iterator[None]:
    """The release with other values, for the while."""
    where = ("-n", NAMESPACE, "--timeout", "5m")
    script.call("helm", "upgrade", "medxamion", str(chart.CHART), *where, "--reuse-values", *values)
    try:
        _rolled_out()
        yield
    finally:
        script.call("helm", "rollback", "medxamion", *where)
        _rolled_out()


def _rolled_out() -> None:
    installation.roll_out(NAMESPACE, "medxamion-coordinator")
    installation.roll_out(OPERATOR_NAMESPACE, "medxamion-operator")


def _status() -> str:
    told = json.loads(script.call("helm", "status", "medxamion", "-n", NAMESPACE, "-o", "json"))
    return str(told["info"]["status"])


def _uninstall() -> None:
    script.call("helm", "uninstall", "medxamion", "-n", NAMESPACE, "--timeout", "3m")
