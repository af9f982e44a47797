"""What is done to an exam-client's pod, and the moments in which its service was cut."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.cluster import kubectl, node
from tests.support.cluster.hall import Cut
from tests.support.cluster.objects import Delivery
from tests.support.waiting import until

_PAUSE_SECONDS = 0.05
_GONE_SECONDS = 120.0


def kill(delivery: Delivery) -> Cut:
    """SIGKILL for its process, from the node."""
    pid = running_pid(delivery)
    began = time.monotonic()
    node.shell(f"kill -KILL {pid}")
    node.wait_ended(pid)
    return Cut(began, time.monotonic())


def delete_pod(delivery: Delivery) -> Cut:
    """Delete the pod as `kubectl delete pod` does, and see it gone."""
    uid = delivery.pod()["metadata"]["uid"]
    began = time.monotonic()
    delivery.api.delete("pods", delivery.children, delivery.namespace)
    wait_pod_gone(delivery, uid)
    return Cut(began, time.monotonic())


def hang(delivery: Delivery) -> Cut:
    """SIGSTOP: it holds its ports and its files, and answers nobody."""
    pid = running_pid(delivery)
    began = time.monotonic()
    node.shell(f"kill -STOP {pid}")
    return Cut(began, time.monotonic())


def run_out_of_memory(delivery: Delivery) -> Cut:
    """The container's limit is lowered to what it uses, and somebody in it wants more: the kernel
    ends the largest process, which is the exam-client."""
    pid = running_pid(delivery)
    node.limit_memory(pid)
    with _hog(delivery):
        node.wait_ended(pid)
        ended = time.monotonic()
    return Cut(ended, ended)


def running_pid(delivery: Delivery) -> int:
    """The node's number of its process, once the API server tells of one that runs."""

    def running() -> int | None:
        pod = delivery.api.find("pods", delivery.children, delivery.namespace)
        return None if pod is None else node.find_pid(pod)

    found = until(
        running,
        seconds=60,
        what=f"a process of {delivery.name}",
        pause_seconds=_PAUSE_SECONDS,
    )
    assert found is not None
    return found


def wait_pod_gone(delivery: Delivery, uid: str) -> None:
    """Return once the pod of that uid is no object any more."""

    def gone() -> bool:
        found = delivery.api.find("pods", delivery.children, delivery.namespace)
        return found is None or found["metadata"]["uid"] != uid

    until(gone, seconds=_GONE_SECONDS, what=f"pod {uid} to be gone", pause_seconds=_PAUSE_SECONDS)


@contextmanager
def _hog(delivery: Delivery) -> Iterator[None]:
    """A process of its own in the container that takes 48 MiB and keeps it."""
    program = "held = b'x' * (48 << 20); input()"
    with kubectl.executing(
        delivery.namespace, delivery.children, "python", "-I", "-S", "-c", program
    ):
        yield
