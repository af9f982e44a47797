"""The cluster's nodes: shut to new pods for a while, and ones that exist as objects alone.

A pretend node has no kubelet: its pods "run" because their status says so, at an address where
nobody answers. What the API server, its controllers and our operator do with it is real.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from examctl.demonstration.objects import utc_now
from tests.support.cluster.api import Api, Json
from tests.support.cluster.objects import Delivery, instant
from tests.support.waiting import until

_LABEL = "medxamion.io/pretend-node"
_NOWHERE = "192.0.2.1"  # reserved for documentation
_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_RESOURCES = {"cpu": "8", "memory": "16Gi", "pods": "110"}


@contextmanager
def shut(api: Api) -> Iterator[None]:
    """No node takes a new pod for the while."""
    names = [one["metadata"]["name"] for one in api.all("nodes", labelSelector=f"!{_LABEL}")]
    try:
        for name in names:
            api.merge("nodes", name, {"spec": {"unschedulable": True}})
        yield
    finally:
        for name in names:
            api.merge("nodes", name, {"spec": {"unschedulable": None}})


class PretendNode:
    """A context: the Node object, ready until it falls silent."""

    def __init__(self, api: Api, name: str) -> None:
        self.api, self.name = api, name

    def __enter__(self) -> Self:
        self.api.delete("nodes", self.name)
        self.api.wait_gone("nodes", self.name)
        # Whatever is scheduled goes elsewhere; a binding does not ask.
        taint = {"key": _LABEL, "effect": "NoSchedule"}
        meta = {"name": self.name, "labels": {_LABEL: "", "kubernetes.io/hostname": self.name}}
        self.api.create("nodes", {"metadata": meta, "spec": {"taints": [taint]}})
        status = {"capacity": _RESOURCES, "allocatable": _RESOURCES}
        self.api.merge("nodes", self.name, {"status": status}, part="status")
        self._tell("True", "KubeletReady")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        self.remove()

    def take(self, delivery: Delivery) -> str:
        """The pod that waits for a node comes to this one, and its status says that it runs; its
        uid."""
        api, name, namespace = self.api, delivery.children, delivery.namespace
        pod = until(
            lambda: _unscheduled(api.find("pods", name, namespace)),
            seconds=120,
            what=f"a new pod of {delivery.name} to wait for a node",
            pause_seconds=0.1,
        )
        assert pod is not None
        target = {"apiVersion": "v1", "kind": "Node", "name": self.name}
        binding = {"metadata": {"name": name}, "target": target}
        api.create(f"pods/{name}/binding", binding, namespace)
        api.merge("pods", name, {"status": _running(pod)}, namespace, part="status")
        return str(pod["metadata"]["uid"])

    def fall_silent(self) -> None:
        """As the node controller writes it when a kubelet reports no more."""
        self._tell("Unknown", "NodeStatusUnknown")

    def declare_out_of_service(self) -> None:
        """As a person or a cloud does who knows that the machine is off."""
        taints = self.api.get("nodes", self.name)["spec"].get("taints") or []
        wanted = [*taints, {"key": _OUT_OF_SERVICE, "value": "off", "effect": "NoSchedule"}]
        self.api.merge("nodes", self.name, {"spec": {"taints": wanted}})

    def remove(self) -> None:
        self.api.delete("nodes", self.name)

    def _tell(self, status: str, reason: str) -> None:
        now = instant(utc_now())
        ready = {
            "type": "Ready",
            "status": status,
            "reason": reason,
            "message": "pretended",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        self.api.merge("nodes", self.name, {"status": {"conditions": [ready]}}, part="status")


def _unscheduled(pod: Json | None) -> Json | None:
    if pod is None or "deletionTimestamp" in pod["metadata"] or "nodeName" in pod["spec"]:
        return None
    return pod


def _running(pod: Json) -> Json:
    now, container = instant(utc_now()), pod["spec"]["containers"][0]
    conditions = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    return {
        "phase": "Running",
        "podIP": _NOWHERE,
        "podIPs": [{"ip": _NOWHERE}],
        "startTime": now,
        "conditions": [
            {"type": one, "status": "True", "lastTransitionTime": now} for one in conditions
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "pretended",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
        ],
    }
