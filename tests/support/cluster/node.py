"""What only somebody on the node can do: signals to a container's process, files of a volume.

No container runtime is asked: a process names its container in /proc/PID/cgroup, and the first
process of a container is number 1 in its own namespace.
"""

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import script
from tests.support.cluster.api import Api
from tests.support.waiting import until

Json = dict[str, Any]
_LOCALKUBE = script.ROOT / "tests" / "cluster" / "localkube"
_KIND_NODE = "medxamion-control-plane"


def shell(command: str) -> str:
    """What a command prints that runs on the node as root."""
    done = subprocess.run(
        [*_entrance(), "sh", "-c", command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"on the node, {command!r} failed: {done.stderr.strip()}"
    return done.stdout


def container_pid(pod: Json) -> int:
    """The node's number of the process that is PID 1 of the pod's first container."""
    found = find_pid(pod)
    assert found is not None, f"pod {pod['metadata']['name']} has no process"
    return found


def find_pid(pod: Json) -> int | None:
    """As ``container_pid``; None where no container runs, or not the one that the pod tells of."""
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    container = str(statuses[0].get("containerID", "")).rpartition("/")[2]
    if not container:
        return None
    found = shell(
        f"for p in $(grep -ls {container} /proc/[0-9]*/cgroup | cut -d/ -f3); do"
        r" sed -n 's/^NSpid:.*\t//p;s/^State:.\([^ZX]\).*/lives/p' /proc/$p/status 2>/dev/null"
        r" | tr '\n' ' ' | grep -q '^lives 1 ' && echo $p; done; true"
    ).split()
    assert len(found) <= 1, f"container {container} has {found} as PID 1"
    return int(found[0]) if found else None


def send(pod: Json, number: signal.Signals) -> int:
    """A signal to the pod's PID 1, from the node; its process number there."""
    pid = container_pid(pod)
    shell(f"kill -{number.value} {pid}")
    return pid


def wait_ended(pid: int, *, seconds: float = 180) -> None:
    """Return once a process does nothing any more; a zombie has ended too."""
    alive = f"grep -qs '^State:.[^ZX]' /proc/{pid}/status && echo alive || true"
    until(
        lambda: not shell(alive),
        seconds=seconds,
        what=f"process {pid} to end",
        pause_seconds=0.05,
    )


def limit_memory(pid: int) -> None:
    """Lower the memory limit of a container's cgroup to what its processes hold."""
    shell(
        f"""
        below() {{ sed -n "s/^$1//p" /proc/{pid}/cgroup | head -1; }}
        used=$(awk '/^RssAnon/ {{print $2 * 1024}}' /proc/{pid}/status)
        v1=/sys/fs/cgroup/memory$(below '[0-9]*:memory:')
        v2=/sys/fs/cgroup$(below '0::')
        if [ -e "$v1/memory.limit_in_bytes" ]; then set -- "$v1/memory.limit_in_bytes"
        else set -- "$v2/memory.max"; fi
        # What the kernel holds for it is not known: as near as it lets itself be brought.
        for spare in 8 12 16 24 32; do
            echo $((used + spare * 1048576)) 2>/dev/null >"$1" && exit 0
        done
        cat "$1"; exit 1
        """
    )


@contextlib.contextmanager
def kubelet_stopped(*, at_most_seconds: int) -> Iterator[None]:
    """The kubelet stands still; pods run on. It is let go at the latest after that time, whatever
    becomes of this process."""
    pids = " ".join(_kubelet_pids())
    shell(
        f"kill -STOP {pids};"
        f" (sleep {at_most_seconds}; kill -CONT {pids}) >/dev/null 2>&1 </dev/null &"
    )
    try:
        yield
    finally:
        shell(f"kill -CONT {pids}")


def _kubelet_pids() -> list[str]:
    if script.provider() == "localkube":
        return [(_state() / "pids" / "kubelet").read_text().strip()]
    found = shell("pidof kubelet").split()
    assert found, "there is no kubelet where the node's shell leads"
    return found


def volume_folder(api: Api, namespace: str, claim: str) -> Path:
    """Where the node keeps the files of a bound claim."""
    bound = api.get("persistentvolumeclaims", claim, namespace)
    volume = str(bound["spec"]["volumeName"])
    if script.provider() == "localkube":
        return _state() / "volumes" / volume
    spec = api.get("persistentvolumes", volume)["spec"]
    path = (spec.get("hostPath") or spec.get("local") or {}).get("path")
    assert path, f"volume {volume} is no folder of the node: {sorted(spec)}"
    return Path(path)


def restart_api_server(api: Api, *, away_seconds: int = 0) -> None:
    """Kill the API server, leave it away for a while, start it again, and see it answer."""
    if script.provider() == "localkube":
        script.run("kube-apiserver", str(away_seconds), program=_LOCALKUBE / "restart")
    elif script.provider() == "kind":
        # The kubelet starts its static pods again by itself, after a back-off of its own.
        shell("pkill -KILL kube-apiserver")
    else:
        pytest.skip("the API server of a cluster that was not made here is left alone")
    until(lambda: _answers(api), seconds=90, what="the API server to answer", pause_seconds=0.2)


def _answers(api: Api) -> bool:
    try:
        # The paths of custom resources are installed last.
        return bool(api.all("namespaces")) and api.all("examdeliveries") is not None
    except Exception:  # noqa: BLE001 - whatever a server says that is coming up
        return False


def _entrance() -> list[str]:
    """How to get onto the node."""
    match script.provider():
        case "localkube":
            return []
        case "kind":
            return ["docker", "exec", _KIND_NODE]
        case _:
            named = os.environ.get("MEDXAMION_E2E_NODE_SHELL")
            assert named, (
                "these tests send signals from the node: set MEDXAMION_E2E_NODE_SHELL to a command"
                " that runs its arguments there as root, such as `ssh root@node`"
            )
            return shlex.split(named)


def _state() -> Path:
    return Path(os.environ.get("LOCALKUBE_STATE", "/var/lib/localkube"))
