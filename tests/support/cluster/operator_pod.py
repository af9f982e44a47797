"""The operator's own pod: ended, started again, and asked what it has seen."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.cluster import installation, kubectl, node
from tests.support.cluster.api import Api, ApiError, Json
from tests.support.cluster.installation import OPERATOR_NAMESPACE
from tests.support.cluster.objects import PLURAL
from tests.support.waiting import until

NAME = "medxamion-operator"
_SELECTOR = "app.kubernetes.io/name=operator"
_DELIVERIES = re.compile(r'^medxamion_operator_deliveries\{phase="Running"\} ([0-9.]+)', re.M)


def pod(api: Api) -> Json:
    """The one that is not on its way out."""
    found = [
        one
        for one in api.all("pods", OPERATOR_NAMESPACE, labelSelector=_SELECTOR)
        if "deletionTimestamp" not in one["metadata"]
    ]
    assert len(found) == 1, f"there are {len(found)} operators"
    return found[0]


def kill(api: Api) -> None:
    """SIGKILL for its process; the kubelet starts it again."""
    pid = node.find_pid(pod(api))
    assert pid is not None, "the operator does not run"
    node.shell(f"kill -KILL {pid}")


def restart(api: Api) -> None:
    """End it at once; return when another has looked at every delivery."""
    before = pod(api)["metadata"]
    api.delete("pods", before["name"], OPERATOR_NAMESPACE, gracePeriodSeconds=0)
    api.wait_gone("pods", before["name"], OPERATOR_NAMESPACE)
    wait_until_it_has_looked(api)


def wait_until_it_has_looked(api: Api) -> None:
    """Return once it knows of every delivery that runs."""

    def looked() -> bool:
        phases = [one.get("status", {}).get("phase") for one in api.all(PLURAL)]
        return _seen(api) == phases.count("Running")

    until(looked, seconds=120, what="the operator to have looked around", pause_seconds=0.2)


@contextmanager
def changed(api: Api, variable: str, value: str) -> Iterator[None]:
    """Another template of the operator for the while, with that variable."""
    _set(f"{variable}={value}")
    try:
        wait_until_it_has_looked(api)
        yield
    finally:
        _set(f"{variable}-")
        wait_until_it_has_looked(api)


def _set(assignment: str) -> None:
    words = ("set", "env", f"deployment/{NAME}", assignment)
    kubectl.kubectl("-n", OPERATOR_NAMESPACE, *words)
    installation.roll_out(OPERATOR_NAMESPACE, NAME)


def _seen(api: Api) -> int | None:
    """How many deliveries run, as it counts them; None while it does not answer."""
    try:
        name = pod(api)["metadata"]["name"]
        text = api.text(f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{name}:9090/proxy/metrics")
    except (ApiError, AssertionError):
        return None
    found = _DELIVERIES.search(text)
    return int(float(found.group(1))) if found else 0
