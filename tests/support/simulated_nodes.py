"""Nodes and their kubelets around one delivery in memory: what a cluster does by itself.

Pod and nodes are raw objects, as the API server shows them; ``process`` is the truth, which on a
node that nobody hears of is another thing.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from exam_operator.core import names
from exam_operator.core.manifests import GRACE_SECONDS
from tests.support.fake_store import rfc3339
from tests.support.pretend_exam import File, PretendExam
from tests.support.receipts import signer
from tests.support.simulated_world import SimulatedWorld

Json = dict[str, Any]
NODES = ("node-1", "node-2")
BACK_OFF = timedelta(seconds=10)


@dataclass
class Process:
    """One run of the program in a pod."""

    pod_uid: str
    node: str
    exam: PretendExam
    runs: bool = True
    hangs: bool = False


def node(name: str) -> Json:
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": [_ready("True")]}}


@dataclass
class SimulatedNodes(SimulatedWorld):
    """``cut_off``: nodes that nobody hears of, with power or without."""

    nodes: dict[str, Json] = field(default_factory=lambda: {name: node(name) for name in NODES})
    cut_off: set[str] = field(default_factory=set)
    pod: Json | None = None
    process: Process | None = None
    pullable: bool = True
    keys_altered: bool = False
    claim_going: bool = False
    begun: int = 0
    """Attempts that were ever begun."""

    # what happens to it

    def crash(self, *, reason: str = "Signal:SIGKILL") -> None:
        if self.process is not None:
            self.process.runs = False

    def hang(self, *, silent: bool) -> None:
        if self.process is not None:
            self.process.hangs = silent

    def cut(self, name: str) -> None:
        """The network is gone; what runs there runs on."""
        self.cut_off.add(name)
        self.nodes[name]["status"]["conditions"] = [_ready("Unknown")]

    def power_off(self, name: str) -> None:
        self.cut(name)
        if self.process is not None and self.process.node == name:
            self.process.runs = False

    def bring_back(self, name: str) -> None:
        self.cut_off.discard(name)
        self.nodes[name] = node(name)

    def declare_out_of_service(self, name: str, *, evicts: bool) -> None:
        """A person's word that it has no power; with NoExecute its pods are asked to end."""
        self.power_off(name)
        effect = "NoExecute" if evicts else "NoSchedule"
        taint = {"key": "node.kubernetes.io/out-of-service", "effect": effect}
        self.nodes[name]["spec"]["taints"] = [taint]
        if evicts and self.pod is not None and self.pod["spec"].get("nodeName") == name:
            self._ask_to_end(GRACE_SECONDS)

    def delete_node(self, name: str) -> None:
        self.power_off(name)
        del self.nodes[name]

    def delete_pod(self) -> None:
        """By somebody who could not wait; gracefully."""
        if self.pod is not None:
            self._ask_to_end(GRACE_SECONDS)

    def evict(self) -> None:
        """Its node is short of something: the pod has failed, and stays as an object."""
        if self.pod is not None and self._kubelet_reports(self.pod):
            self.crash()
            self.pod["status"] |= {"phase": "Failed", "reason": "Evicted", "containerStatuses": []}

    def lose_volume(self) -> None:
        """A claim that a pod uses is held by the cluster itself."""
        if self.pod is None:
            super().lose_volume()

    def empty_volume(self) -> None:
        if self.exam() is None:
            self.file = None

    def exam(self) -> PretendExam | None:
        process = self.process
        return process.exam if process is not None and process.runs else None

    # what a cluster does by itself

    def _work(self) -> None:
        if self.pod is not None:
            self._collect(self.pod)
        if self.pod is not None:
            self._kubelet(self.pod)
        exam = self.exam()
        if exam is not None:
            on_line = self.process is not None and self.process.node not in self.cut_off
            reached = on_line and self.coordinator_up
            exam.content_ready = exam.content_ready or reached
            sign = self.forged or signer(self.authority)
            exam.work(sign if reached and self.signs else None)
            self.begun = max(self.begun, exam.file.started)

    def _collect(self, pod: Json) -> None:
        """Pods of nodes that are no more go; on an out-of-service one those that are to end."""
        name = pod["spec"].get("nodeName")
        if name is None:
            return
        gone = name not in self.nodes
        out = not gone and bool(self.nodes[name]["spec"].get("taints"))
        if gone or (out and "deletionTimestamp" in pod["metadata"]):
            self._remove()

    def _kubelet(self, pod: Json) -> None:
        meta, process = pod["metadata"], self._process_of(pod)
        if "nodeName" not in pod["spec"]:
            self._schedule(pod)
        elif not self._kubelet_reports(pod):
            return
        elif "deletionTimestamp" in meta:
            self._finish(meta, process)
        elif pod["status"].get("phase") == "Failed":
            return
        elif process is None:
            self._begin(pod, restarts=0)
        else:
            self._report(pod, process)

    def _schedule(self, pod: Json) -> None:
        free = (
            name
            for name, one in self.nodes.items()
            if name not in self.cut_off and not one["spec"].get("taints")
        )
        chosen = next(free, None)
        if chosen is not None:
            pod["spec"]["nodeName"] = chosen

    def _finish(self, meta: Json, process: Process | None) -> None:
        """It ends when it is asked to; one that hangs, when its grace is over."""
        graceful = self.now < datetime.fromisoformat(meta["deletionTimestamp"])
        if process is not None and process.runs and process.hangs and graceful:
            return
        if process is not None:
            process.runs = False
        self._remove()

    def _begin(self, pod: Json, *, restarts: int) -> None:
        status = {"name": names.APP, "restartCount": restarts, "ready": False}
        if not (self.secret and self.volume):
            waits = {"waiting": {"reason": "ContainerCreating"}}
            pod["status"]["containerStatuses"] = [{**status, "state": waits}]
            return
        if not self.pullable and restarts == 0:
            waits = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
            pod["status"]["containerStatuses"] = [{**status, "state": waits}]
            return
        self.process = self._opened(pod)
        shown = {**status, "state": {"running": {}}, "lastState": _last_end(pod)}
        pod["status"] |= {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [shown]}

    def _opened(self, pod: Json) -> Process:
        """The program reads what is mounted; without the data that it expects it ends at once."""
        assert self.stored is not None
        meta, blank = pod["metadata"], self.file is None
        refuses = self.keys_altered or (blank and pod["spec"]["expects"])
        if not refuses:
            assert not (blank and self.begun), "begun anew on an emptied volume"
            self.file = self.file or File()
        file = self.file or File()
        epoch = int(meta["labels"][names.EPOCH_LABEL])
        exam = PretendExam(1, self.stored.metadata.uid or "", epoch, file)
        exam.content_ready = not blank and file.transfer != "erased"
        exam.open_file()
        return Process(meta["uid"], pod["spec"]["nodeName"], exam, runs=not refuses)

    def _report(self, pod: Json, process: Process) -> None:
        """What the kubelet sees of the container; one that ended is started again in its place."""
        status = pod["status"]["containerStatuses"][0]
        state, again = status["state"], status["restartCount"]
        if process.runs:
            status["ready"] = process.exam.content_ready and not process.hangs
        elif "running" in state:
            ended = {"exitCode": 137, "reason": "Error", "finishedAt": rfc3339(self.now)}
            status |= {"ready": False, "state": {"terminated": ended}}
        elif again == 0 or self._since_end(pod) >= BACK_OFF:
            self._begin(pod, restarts=again + 1)
        else:
            status |= {"lastState": _last_end(pod)}
            status["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}

    def _since_end(self, pod: Json) -> timedelta:
        return self.now - datetime.fromisoformat(_last_end(pod)["terminated"]["finishedAt"])

    def _process_of(self, pod: Json) -> Process | None:
        process = self.process
        return process if process and process.pod_uid == pod["metadata"]["uid"] else None

    def _kubelet_reports(self, pod: Json) -> bool:
        name = pod["spec"].get("nodeName")
        return name is not None and name in self.nodes and name not in self.cut_off

    def _ask_to_end(self, grace_seconds: int) -> None:
        assert self.pod is not None
        meta, end = self.pod["metadata"], self.now + timedelta(seconds=grace_seconds)
        if "nodeName" not in self.pod["spec"]:
            self._remove()
        elif "deletionTimestamp" not in meta or end < datetime.fromisoformat(
            meta["deletionTimestamp"]
        ):
            meta["deletionTimestamp"] = rfc3339(end)

    def _remove(self) -> None:
        self.pod = None


def _last_end(pod: Json) -> Json:
    shown: Json = (pod["status"].get("containerStatuses") or [{}])[0]
    state: Json = shown.get("state", {})
    last: Json = shown.get("lastState", {})
    return state if "terminated" in state else last


def _ready(status: str) -> Json:
    return {"type": "Ready", "status": status, "reason": "Told"}
