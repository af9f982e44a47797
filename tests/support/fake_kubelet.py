"""Nodes and their kubelets, pretended: pods are scheduled, run, restarted, evicted and ended.

Level-based and without waits: ``turn`` brings everything one step on. What must never happen to an
exam is noted in ``violations``: two exam-clients at once, an epoch twice, a blank volume in place
of answers.
"""

import contextlib
import random
import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.fake_controllers import claims_of
from tests.support.fake_store import Refusal, Store, rfc3339
from tests.support.pretend_pod import Container, Disk, Mounted, Sign, opened

Json = dict[str, Any]
NODE = "node-1"
_APP = "exam-client"
_ENV = "MEDXAMION_CLIENT_"


class FakeKubelet:
    """``sign``: what the coordinator signs with; None while it is away."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.sign: Sign | None = None
        self.containers: dict[str, Container] = {}
        self.disks: dict[str, Disk] = {}
        self.violations: list[str] = []
        self.unpullable: set[str] = set()
        self.schedules = True
        self.turns_away = False
        self.mounts = True
        self.unreachable: set[str] = set()
        """Nodes that nobody can talk to; what runs there runs on."""
        self.back_off = timedelta(seconds=10)
        self._addresses = _addresses()
        self._epochs: dict[tuple[str, int], str] = {}
        self._begun: dict[str, int] = {}
        store.admissions["pods"] = [use_free_ports]

    async def turn(self) -> None:
        """One step of everything."""
        for pod in self.store.listed("pods"):
            await self._look_after(pod)
        for container in self.containers.values():
            if container.exit_code is not None:
                await container.close()
                continue
            container.work(self.sign)
            uid, begun = container.mounted.uid, container.exam.file.started
            self._begun[uid] = max(begun, self._begun.get(uid, 0))
        self._give_up_lost_nodes()

    async def close(self) -> None:
        for container in self.containers.values():
            await container.close()

    # what happens to pods and nodes

    def running(self, uid: str) -> Container | None:
        """The exam-client of a delivery that runs."""
        for container in self.containers.values():
            if container.mounted.uid == uid and container.exit_code is None:
                return container
        return None

    def kill(self, uid: str, *, code: int = 137, reason: str = "Error") -> None:
        """The process ends, by a signal or by itself."""
        container = self.running(uid)
        assert container is not None, "nothing to kill"
        container.exit_code, container.exit_reason = code, reason

    def evict(self, name: str, namespace: str) -> None:
        """Its node was short of something: the pod has failed, and stays as an object."""
        pod = self.store.get("pods", namespace, name)
        self.containers[pod["metadata"]["uid"]].exit_code = 137
        said = "The node was low on resource: memory."
        self._set(pod, phase="Failed", reason="Evicted", message=said, containerStatuses=[])

    def add_node(self, name: str) -> None:
        status = {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "addresses": [{"type": "InternalIP", "address": "192.0.2.7"}],
        }
        node = {"metadata": {"name": name}, "spec": {}, "status": status}
        self.store.create("nodes", "", node)

    def lose_node(self, name: str) -> None:
        """Nobody hears of it any more; its exam-clients may well run on."""
        self.unreachable.add(name)
        for pod in self.store.listed("pods"):
            container = self.containers.get(pod["metadata"]["uid"])
            if pod["spec"].get("nodeName") == name and container is not None:
                container.silent = True
        self.store.edit("nodes", "", name, _not_ready)

    def declare_out_of_service(self, name: str) -> None:
        self.store.edit("nodes", "", name, _out_of_service)

    # a pod's way

    async def _look_after(self, pod: Json) -> None:
        meta, node = pod["metadata"], pod["spec"].get("nodeName")
        if node is None:
            self._schedule(pod)
        elif node not in self.unreachable:
            container = self.containers.get(meta["uid"])
            if "deletionTimestamp" in meta:
                await self._finish(pod, container)
            elif pod["status"].get("phase") in ("Failed", "Succeeded"):
                return
            elif container is None or self._may_start_again(pod, container):
                await self._start(pod)
            else:
                self._report(pod, container)

    def _schedule(self, pod: Json) -> None:
        nodes = [node for node in self.store.listed("nodes") if _takes_pods(node)]
        meta, claim = pod["metadata"], pod["metadata"]["name"]
        used = any(
            one["spec"].get("nodeName") and claim in claims_of(one)
            for one in self.store.listed("pods", meta["namespace"])
            if one["metadata"]["uid"] != meta["uid"]
        )
        if self.schedules and nodes and not used:
            chosen = nodes[0]["metadata"]["name"]
            self._edit(pod, lambda raw: raw["spec"].update(nodeName=chosen))
            return
        said = "0/1 nodes are available: 1 Insufficient memory."
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        self._set(pod, conditions=[{**condition, "message": said}])

    async def _start(self, pod: Json) -> None:
        if self.turns_away:
            said = "Node didn't have enough resource: memory"
            began = rfc3339(self.store.now())
            self._set(pod, phase="Failed", reason="OutOfmemory", message=said, startTime=began)
            return
        mounted = self._mounted(pod)
        image = pod["spec"]["containers"][0]["image"]
        if mounted is None:
            self._waits(pod, "ContainerCreating")
        elif not self.mounts:
            self._waits(pod, "ContainerCreating")
            self._complain(pod, "FailedMount", 'MountVolume.SetUp failed for volume "data"')
        elif image in self.unpullable:
            self._waits(pod, "ImagePullBackOff", f'Back-off pulling image "{image}"')
        else:
            await self._run(pod, mounted)

    async def _run(self, pod: Json, mounted: Mounted) -> None:
        self._check_start(mounted)
        uid = pod["metadata"]["uid"]
        before = self.containers.get(uid)
        address = before.address if before else next(self._addresses)
        if before is not None:
            await before.close()
        container = opened(mounted, address, _port(pod), fetches=self.sign is not None)
        if container.exit_code is None:
            home = self.folder / uid
            home.mkdir(exist_ok=True)
            await container.serve(home)
        self.containers[uid] = container
        status = {
            "name": _APP,
            "image": pod["spec"]["containers"][0]["image"],
            "restartCount": _restarts(pod) + (1 if before else 0),
            "ready": False,
            "state": {"running": {"startedAt": rfc3339(self.store.now())}},
            "lastState": _last_end(pod),
        }
        began = pod["status"].get("startTime") or rfc3339(self.store.now())
        self._set(pod, phase="Running", podIP=address, startTime=began, containerStatuses=[status])

    def _report(self, pod: Json, container: Container) -> None:
        """What the kubelet sees of a container goes into the pod."""
        status = dict(pod["status"]["containerStatuses"][0])
        state = status["state"]
        if container.exit_code is None:
            status["ready"] = container.ready
        elif "running" in state:
            status |= {"ready": False, "state": {"terminated": self._end_of(container)}}
        elif "terminated" in state and status["restartCount"] > 0:
            waiting = {"reason": "CrashLoopBackOff", "message": "back-off restarting failed"}
            status |= {"lastState": state, "state": {"waiting": waiting}}
        self._set(pod, containerStatuses=[status])

    def _end_of(self, container: Container) -> Json:
        return {
            "exitCode": container.exit_code,
            "reason": container.exit_reason,
            "finishedAt": rfc3339(self.store.now()),
        }

    def _may_start_again(self, pod: Json, container: Container) -> bool:
        """The first time at once, after it was told that it ended; then only after the back-off."""
        ended = _last_end(pod).get("terminated")
        if container.exit_code is None or ended is None or "running" in _state(pod):
            return False
        since = self.store.now() - datetime.fromisoformat(ended["finishedAt"])
        return _restarts(pod) == 0 or since >= self.back_off

    async def _finish(self, pod: Json, container: Container | None) -> None:
        """It was asked to end, and does; one that hangs is left to the grace it was given."""
        if container is not None:
            if container.silent and container.exit_code is None:
                return
            container.exit_code = container.exit_code or 0
            await container.close()
        self._remove(pod)

    def _give_up_lost_nodes(self) -> None:
        """A deleted node takes its pods along; an out-of-service one those that are to end."""
        there = {node["metadata"]["name"]: node for node in self.store.listed("nodes")}
        for pod in self.store.listed("pods"):
            meta, name = pod["metadata"], pod["spec"].get("nodeName")
            out = name in there and bool(there[name]["spec"].get("taints"))
            if name is not None and (name not in there or (out and "deletionTimestamp" in meta)):
                container = self.containers.get(meta["uid"])
                if container is not None:
                    container.exit_code = 137
                self._remove(pod)

    # inside

    def _mounted(self, pod: Json) -> Mounted | None:
        """None until everything that the pod mounts is there."""
        meta = pod["metadata"]
        namespace, name = meta["namespace"], meta["name"]
        keys = self.store.find("secrets", namespace, name)
        certificate = self.store.find("secrets", namespace, f"{name}-tls")
        claim = self.store.find("persistentvolumeclaims", namespace, name)
        if keys is None or certificate is None or claim is None:
            return None
        if claim["status"]["phase"] != "Bound":
            return None
        env = {one["name"]: str(one.get("value")) for one in pod["spec"]["containers"][0]["env"]}
        return Mounted(
            uid=env[f"{_ENV}DELIVERY_UID"],
            epoch=int(env[f"{_ENV}EPOCH"]),
            delivery_id=int(env[f"{_ENV}DELIVERY_ID"]),
            pod_uid=meta["uid"],
            keys=keys["data"],
            certificate=certificate["data"],
            disk=self.disks.setdefault(claim["metadata"]["uid"], Disk()),
        )

    def _check_start(self, mounted: Mounted) -> None:
        other, epoch = self.running(mounted.uid), mounted.epoch
        if other is not None and other.mounted.pod_uid != mounted.pod_uid:
            self.violations.append(f"two exam-clients: epochs {other.mounted.epoch} and {epoch}")
        if self._epochs.setdefault((mounted.uid, epoch), mounted.pod_uid) != mounted.pod_uid:
            self.violations.append(f"epoch {epoch} was given twice")
        blank = mounted.disk.file is None and not mounted.disk.erased
        if blank and self._begun.get(mounted.uid):
            self.violations.append("a blank volume in place of answers")

    def _waits(self, pod: Json, reason: str, message: str = "") -> None:
        waiting = {"reason": reason, **({"message": message} if message else {})}
        status = {"name": _APP, "restartCount": 0, "ready": False, "state": {"waiting": waiting}}
        self._set(pod, phase="Pending", containerStatuses=[status])

    def _complain(self, pod: Json, reason: str, message: str) -> None:
        meta = pod["metadata"]
        if self.store.find("events", meta["namespace"], f"{meta['uid']}.{reason}") is not None:
            return
        event = {
            "metadata": {"name": f"{meta['uid']}.{reason}"},
            "involvedObject": {"uid": meta["uid"], "kind": "Pod"},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "lastTimestamp": rfc3339(self.store.now()),
        }
        self.store.create("events", meta["namespace"], event)

    def _set(self, pod: Json, **status: object) -> None:
        self._edit(pod, lambda raw: raw["status"].update(status))

    def _edit(self, pod: Json, change: Callable[[Json], None]) -> None:
        meta = pod["metadata"]
        with contextlib.suppress(Refusal):  # it may have gone meanwhile
            self.store.edit("pods", meta["namespace"], meta["name"], change)

    def _remove(self, pod: Json) -> None:
        meta = pod["metadata"]
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
        with contextlib.suppress(Refusal):
            self.store.delete("pods", meta["namespace"], meta["name"], options)


def _addresses() -> Iterator[str]:
    """Loopback addresses that no other test run uses just now."""
    chance = random.SystemRandom()
    while True:
        yield ".".join(str(part) for part in (127, *(chance.randint(1, 254) for _ in range(3))))


def use_free_ports(verb: str, before: Json | None, pod: Json | None) -> None:
    """An admission: on this machine the port may be taken, in a pod of its own it never is."""
    if verb == "create" and pod is not None:
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = probe.getsockname()[1]
        for one in pod["spec"]["containers"][0]["ports"]:
            if one["name"] == "control":
                one["containerPort"] = port


def _port(pod: Json) -> int:
    ports = pod["spec"]["containers"][0]["ports"]
    return next(int(one["containerPort"]) for one in ports if one["name"] == "control")


def _not_ready(node: Json) -> None:
    node["status"]["conditions"][0] |= {"status": "Unknown", "reason": "NodeStatusUnknown"}


def _out_of_service(node: Json) -> None:
    node["spec"]["taints"] = [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]


def _takes_pods(node: Json) -> bool:
    return bool(node["status"]["conditions"][0]["status"] == "True") and not node["spec"].get(
        "taints"
    )


def _restarts(pod: Json) -> int:
    return int(_status(pod).get("restartCount", 0))


def _state(pod: Json) -> Json:
    state: Json = _status(pod).get("state", {})
    return state


def _last_end(pod: Json) -> Json:
    """The end that the pod tells of."""
    last: Json = _status(pod).get("lastState", {})
    return _state(pod) if "terminated" in _state(pod) else last


def _status(pod: Json) -> Json:
    found: Json = (pod["status"].get("containerStatuses") or [{}])[0]
    return found
