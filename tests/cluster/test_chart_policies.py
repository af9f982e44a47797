"""The API server refuses to delete untransferred data exactly where the rule says so, in its words.

Each case asks for a dry run: admission decides, and nothing goes.
"""

import itertools
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from exam_contract.admission_policies import NAMESPACE_REFUSED
from exam_contract.delivery import DISCARD_ANNOTATION, NAMESPACE_LABEL, ExamDelivery, Phase
from exam_contract.delivery_rules import DELETE_REFUSED, delete_allowed
from tests.support import deliveries
from tests.support.cluster import kubectl
from tests.support.cluster.installation import Installation
from tests.support.waiting import until

Json = dict[str, Any]
# Of the tests' own, so that no operator looks after what stands here.
PLACE = "policies"
ANOTHER_UID = "00000000-0000-4000-8000-000000000000"
LIVE: Json = {"phase": "Running", "counts": {"started": 7}}
STATUSES: list[Json | None] = [
    None,
    {},
    {"phase": "Running"},
    {"phase": "Validated"},
    {"counts": {"started": 1}},
    *(
        {"phase": str(phase), "counts": {"started": started}}
        for phase, started in itertools.product(Phase, (0, 7))
    ),
    *(
        {"phase": "Recovering", "resumePhase": str(phase), "counts": {"started": 7}}
        for phase in Phase
    ),
]


@pytest.fixture(scope="module")
def place(installed: Installation) -> Iterator[None]:
    kubectl.kubectl("create", "namespace", PLACE)
    try:
        until(_policies_decide, seconds=60, what="the policies")
        yield
    finally:
        _let_all_go()
        kubectl.kubectl("delete", "namespace", PLACE)


def test_every_status_is_judged_as_the_rule_judges(place: None) -> None:
    stored = _stored({f"case-{number}": status for number, status in enumerate(STATUSES)})
    asked = subprocess.run(
        ["kubectl", "-n", PLACE, "delete", "exd", "--dry-run=server", *stored],
        capture_output=True,
        text=True,
        check=False,
    )
    said = asked.stdout + asked.stderr

    wanted = {name for name, one in stored.items() if delete_allowed(one, None)}
    assert set(re.findall(r'"(case-\d+)" deleted', said)) == wanted
    assert said.count(DELETE_REFUSED) == len(stored) - len(wanted) > 10


@pytest.mark.parametrize(
    ("annotation", "allowed"), [("own", True), (ANOTHER_UID, False), ("yes", False), ("", False)]
)
def test_only_the_objects_own_uid_gives_its_data_up(
    place: None, annotation: str, allowed: bool
) -> None:
    name = f"discard-{annotation[:3] or 'none'}"
    stored = _stored({name: LIVE})[name]
    value = stored.metadata.uid if annotation == "own" else annotation
    kubectl.kubectl("-n", PLACE, "annotate", "exd", name, f"{DISCARD_ANNOTATION}={value}")

    assert (not _asked("-n", PLACE, "delete", "exd", name)) is allowed
    assert delete_allowed(stored, value) is allowed


def test_deleting_all_at_once_is_judged_one_by_one(place: None) -> None:
    _stored({"collected": LIVE})
    path = f"/apis/exams.medxamion.io/v1/namespaces/{PLACE}/examdeliveries"

    with pytest.raises(kubectl.Refused, match=re.escape(DELETE_REFUSED)):
        kubectl.kubectl("delete", "--raw", f"{path}?dryRun=All")


@pytest.mark.parametrize(("label", "allowed"), [("true", False), ("false", True), (None, True)])
def test_a_namespace_is_kept_while_it_is_labelled(
    place: None, label: str | None, allowed: bool
) -> None:
    change = "-" if label is None else f"={label}"
    kubectl.kubectl("label", "--overwrite", "namespace", PLACE, f"{NAMESPACE_LABEL}{change}")
    try:
        said = _delete_namespace()
    finally:
        kubectl.kubectl("label", "namespace", PLACE, f"{NAMESPACE_LABEL}-")

    assert (not said) is allowed
    assert allowed or NAMESPACE_REFUSED in said


def test_the_api_server_finds_no_fault_with_the_expressions(place: None) -> None:
    for name in ("examdeliveries.exams.medxamion.io", "namespaces.exams.medxamion.io"):
        policy = kubectl.read("get", "validatingadmissionpolicy", name)
        assert policy["spec"]["failurePolicy"] == "Fail"
        assert policy.get("status", {}).get("typeChecking", {}) == {}


def _stored(statuses: dict[str, Json | None]) -> dict[str, ExamDelivery]:
    """New objects with these statuses, as the API server holds them."""
    documents = {name: deliveries.document(name) for name in statuses}
    kubectl.kubectl("-n", PLACE, "create", "-f", "-", stdin=kubectl.in_one(*documents.values()))
    told = [{**documents[name], "status": status} for name, status in statuses.items() if status]
    kubectl.kubectl(
        *("-n", PLACE, "apply", "--server-side", "--subresource=status", "-f", "-"),
        stdin=kubectl.in_one(*told),
    )
    held = kubectl.read("get", "-n", PLACE, "exd")["items"]
    return {
        one["metadata"]["name"]: ExamDelivery.model_validate(one)
        for one in held
        if one["metadata"]["name"] in statuses
    }


def _let_all_go() -> None:
    """The namespace's own deletion is judged too."""
    held = kubectl.read("get", "-n", PLACE, "exd")["items"]
    ended = [{**one, "status": {"phase": "CleanedUp"}} for one in held]
    for one in ended:
        del one["metadata"]["resourceVersion"]
    kubectl.kubectl(
        *("-n", PLACE, "apply", "--server-side", "--subresource=status", "--force-conflicts"),
        *("-f", "-"),
        stdin=kubectl.in_one(*ended),
    )


def _delete_namespace() -> str:
    return _asked("delete", "namespace", PLACE)


def _asked(*words: str) -> str:
    """Nothing, or what the API server says against it."""
    try:
        kubectl.kubectl(*words, "--dry-run=server")
    except kubectl.Refused as error:
        return str(error)
    return ""


def _policies_decide() -> bool:
    """A new policy takes a moment until it is asked."""
    kubectl.kubectl("label", "namespace", PLACE, f"{NAMESPACE_LABEL}=true")
    try:
        return bool(_delete_namespace())
    finally:
        kubectl.kubectl("label", "namespace", PLACE, f"{NAMESPACE_LABEL}-")
