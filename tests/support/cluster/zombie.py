"""A pod of an epoch that is over, come back with a copy of the volume."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.cluster import faults, kubectl, node
from tests.support.cluster.api import Api, ApiError, Json
from tests.support.cluster.objects import Delivery
from tests.support.waiting import until

_DROPPED = ("nodeName", "tolerations", "priority", "preemptionPolicy", "schedulerName")
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle")
_WAITS = """
import json, os, pathlib, time
told = pathlib.Path("/tmp/environment")
while not told.exists():
    time.sleep(0.1)
os.environ.update(json.loads(told.read_text()))
os.execvp("python", ["python", "-m", "exam_client"])
"""
_TAKES = """
import base64, io, sys, tarfile
held = io.BytesIO(base64.b64decode(sys.stdin.read()))
tarfile.open(fileobj=held).extractall("/var/lib/medxamion")
"""
_IS_TOLD = """
import os, pathlib, sys
path = pathlib.Path("/tmp/environment")
path.with_suffix(".new").write_text(sys.stdin.read())
path.with_suffix(".new").replace(path)
"""
_TOKEN = "/tmp/token"  # noqa: S108  the pod's own
_ENDS = "import os; os.kill(1, 15)"


def copy_volume(delivery: Delivery) -> str:
    """The files of a running exam-client at one moment, as a tar in base64."""
    folder = node.volume_folder(delivery.api, delivery.namespace, delivery.children)
    pid = faults.running_pid(delivery)
    names = "$(ls | grep -e '^delivery_' -e '^volume.key$')"
    return node.shell(
        f"cd {folder}; kill -STOP {pid}; tar -cf - {names} | base64 -w0; kill -CONT {pid}"
    )


def twin(pod: Json, name: str, claim: str) -> Json:
    """A pod like that one, on that claim, that no Service and no operator knows."""
    spec = {part: value for part, value in pod["spec"].items() if part not in _DROPPED}
    container = {
        part: value for part, value in spec["containers"][0].items() if part not in _PROBES
    }
    spec["containers"] = [{**container, "command": ["python", "-c", _WAITS]}]
    spec["terminationGracePeriodSeconds"] = 5
    spec["volumes"] = [
        {"name": one["name"], "persistentVolumeClaim": {"claimName": claim}}
        if "persistentVolumeClaim" in one
        else one
        for one in spec["volumes"]
    ]
    meta = {"name": name, "labels": {"app.kubernetes.io/name": "exam-client"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


class Zombie:
    """Runs once it is told with which environment; ``pod``: the one that it was."""

    NAME = "zombie"

    def __init__(self, api: Api, namespace: str, pod: Json, volume: str) -> None:
        self._api, self._namespace, self._pod, self._volume = api, namespace, pod, volume

    @contextmanager
    def risen(self) -> Iterator[None]:
        """It is there, with the copy of its volume, for the while."""
        api, namespace = self._api, self._namespace
        size = {"requests": {"storage": "64Mi"}}
        claim = {"accessModes": ["ReadWriteOnce"], "resources": size}
        try:
            meta = {"name": self.NAME}
            api.create("persistentvolumeclaims", {"metadata": meta, "spec": claim}, namespace)
            api.create("pods", twin(self._pod, self.NAME, self.NAME), namespace)
            self._wait_running(restarts=0)
            self._run(_TAKES, self._volume)
            yield
        finally:
            api.delete("pods", self.NAME, namespace, gracePeriodSeconds=0)
            api.delete("persistentvolumeclaims", self.NAME, namespace)
            api.wait_gone("persistentvolumeclaims", self.NAME, namespace)

    def tell(self, **environment: str) -> None:
        """Run with its own environment and these settings of the exam-client."""
        prefixed = {f"MEDXAMION_CLIENT_{name}": value for name, value in environment.items()}
        self._run(_IS_TOLD, json.dumps(prefixed))

    def steal(self, successor: Json) -> None:
        """Start again, as the pod that took its place: with that one's uid and token."""
        self._run(f"import sys; open({_TOKEN!r}, 'w').write(sys.stdin.read())", _token(successor))
        self.tell(POD_UID=successor["metadata"]["uid"], SERVICE_TOKEN_FILE=_TOKEN)
        self._run(_ENDS)
        self._wait_running(restarts=1)

    def log(self) -> str:
        return self._api.text(f"/api/v1/namespaces/{self._namespace}/pods/{self.NAME}/log")

    def metric(self, name: str) -> float | None:
        """None while it does not serve."""
        pod = f"https:{self.NAME}:9235"
        path = f"/api/v1/namespaces/{self._namespace}/pods/{pod}/proxy/metrics"
        try:
            lines = self._api.text(path).splitlines()
        except ApiError:
            return None
        found = [line for line in lines if line.startswith(f"medxamion_client_{name} ")]
        return float(found[0].rpartition(" ")[2]) if found else None

    def _run(self, program: str, told: str = "") -> None:
        words = ("exec", "-i", "-n", self._namespace, self.NAME, "--", "python", "-c", program)
        kubectl.kubectl(*words, stdin=told)

    def _wait_running(self, *, restarts: int) -> None:
        def runs() -> Any:
            statuses = self._api.get("pods", self.NAME, self._namespace)["status"]
            container = (statuses.get("containerStatuses") or [{}])[0]
            again = container.get("restartCount", 0) >= restarts
            return again and "running" in container.get("state", {})

        until(runs, seconds=120, what="the zombie to run", pause_seconds=0.1)


def _token(pod: Json) -> str:
    """A token as that very pod has it."""
    meta = pod["metadata"]
    words = ("create", "token", "exam-client", "-n", meta["namespace"], "--audience=coordinator")
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={meta['name']}")
    return kubectl.kubectl(*words, *bound, f"--bound-object-uid={meta['uid']}").strip()
