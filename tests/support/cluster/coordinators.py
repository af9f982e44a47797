"""The coordinator's replicas: their processes, and what each has open."""

import re

from tests.support.cluster import node
from tests.support.cluster.api import Api, ApiError, Json
from tests.support.cluster.installation import NAMESPACE, roll_out

NAME = "medxamion-coordinator"
_SELECTOR = "app.kubernetes.io/name=coordinator"
_SOCKETS = re.compile(r"^medxamion_coordinator_sockets ([0-9.]+)", re.M)


def pods(api: Api) -> list[Json]:
    """Those that are not on their way out."""
    found = api.all("pods", NAMESPACE, labelSelector=_SELECTOR)
    return [one for one in found if "deletionTimestamp" not in one["metadata"]]


def kill(pod: Json) -> None:
    """SIGKILL for its process; the kubelet starts it again."""
    pid = node.find_pid(pod)
    assert pid is not None, f"{pod['metadata']['name']} does not run"
    node.shell(f"kill -KILL {pid}")
    node.wait_ended(pid)


def kill_all(api: Api) -> None:
    """SIGKILL for all at once, and pods in their place that the kubelet does not hold back."""
    pids = [pid for one in pods(api) if (pid := node.find_pid(one)) is not None]
    assert pids, "no coordinator runs"
    killed = pods(api)
    node.shell(f"kill -KILL {' '.join(map(str, pids))}")
    for pid in pids:
        node.wait_ended(pid)
    for one in killed:
        api.delete("pods", one["metadata"]["name"], NAMESPACE, gracePeriodSeconds=0)


def wait_up() -> None:
    roll_out(NAMESPACE, NAME)


def sockets(api: Api, pod: Json) -> int:
    """How many people watch through this replica; none where it does not answer."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:9090/proxy/metrics"
    try:
        found = _SOCKETS.search(api.text(path))
    except ApiError:
        return 0
    return int(float(found.group(1))) if found else 0
