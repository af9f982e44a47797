"""A rig of the operator's scenarios: the real kopf and edge over a pretended cluster."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from exam_contract.delivery import ExamDelivery, ExamDeliveryStatus
from exam_operator.settings import ClusterSettings
from tests.support import cluster_admission, deliveries
from tests.support.certificate_folder import make_authority
from tests.support.chart_rights import allowed
from tests.support.fake_controllers import FakeControllers
from tests.support.fake_kubelet import NODE, FakeKubelet
from tests.support.fake_kubernetes import Call, FakeKubernetes
from tests.support.fake_store import Store
from tests.support.operator_scenarios import Check
from tests.support.operator_thread import OperatorThread
from tests.support.pretend_coordinator import PretendCoordinator
from tests.support.pretend_pod import Container
from tests.support.receipts import signer
from tests.support.waiting import until_async

Json = dict[str, Any]
NAMESPACE = "exams"
WATCHED = {"examdeliveries", "pods", "persistentvolumeclaims", "services", "configmaps"}


class ClusterRig:
    """``pass_time`` moves the clocks of the cluster and of the operator."""

    def __init__(self, home: Path, coordinator: PretendCoordinator, settings: Json) -> None:
        self.home, self.fake = home, coordinator
        self.ahead = timedelta(0)
        self.store = Store(self.now)
        self.api = FakeKubernetes(self.store, allowed)
        self.kubelet = FakeKubelet(self.store, home)
        self.controllers = FakeControllers(self.store)
        self.operator: OperatorThread | None = None
        self._settings = settings
        cluster_admission.install(self.store)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    # the cluster

    async def run(self) -> None:
        """Everything that happens by itself, until cancelled."""
        self.store.create("namespaces", "", {"metadata": {"name": NAMESPACE}})
        self.kubelet.add_node(NODE)
        self.kubelet.sign = signer(self.fake.authority)
        while True:
            self.controllers.turn()
            await self.kubelet.turn()
            await asyncio.sleep(0.01)

    def settings(self) -> ClusterSettings:
        make_authority(self.home / "ca") if not (self.home / "ca").exists() else None
        (self.home / "token").write_text(self.fake.key)
        (self.home / "kubeconfig").write_text(yaml.safe_dump(kubeconfig(self.api.url)))
        wanted: Json = {
            "namespaces": (NAMESPACE,),
            "coordinator_url": self.fake.url,
            "coordinator_ca_file": self.home / "ca" / "ca.crt",
            "token_file": self.home / "token",
            "client_image": "exam-client:1",
            "ca_dir": self.home / "ca",
            "host": "127.0.0.1",
            "port": 0,
            "kubeconfig": str(self.home / "kubeconfig"),
        }
        return ClusterSettings(**{**wanted, **self._settings})

    def change_settings(self, **settings: Any) -> None:
        """As an upgrade of the chart does it; the next operator is started with them."""
        self._settings |= settings

    async def start_operator(self) -> None:
        self.operator = OperatorThread(self.settings(), self.now)
        await asyncio.to_thread(self.operator.start)
        await until_async(self._watches, seconds=30, what="the operator's watches")

    async def stop_operator(self) -> None:
        if self.operator is not None:
            await asyncio.to_thread(self.operator.stop)
            self.operator = None

    async def restart_operator(self) -> None:
        await self.stop_operator()
        await self.start_operator()

    def pass_time(self, **duration: float) -> None:
        """As if so much time went by; whatever looks at clocks looks again."""
        self.ahead += timedelta(**duration)
        if self.operator is not None:
            self.operator.nudge()

    # the delivery

    async def create(self, name: str = "morning", **spec: Any) -> ExamDelivery:
        window = {
            "opens_at": self.now() - timedelta(seconds=5),
            "closes_at": self.now() + timedelta(hours=1),
        }
        wanted = deliveries.document(name, **{**window, **spec})
        return ExamDelivery.model_validate(self.store.create("examdeliveries", NAMESPACE, wanted))

    def stored(self, name: str = "morning") -> ExamDelivery:
        return ExamDelivery.model_validate(self.raw(name))

    def raw(self, name: str = "morning") -> Json:
        return self.store.get("examdeliveries", NAMESPACE, name)

    def uid(self, name: str = "morning") -> str:
        return str(self.raw(name)["metadata"]["uid"])

    def child(self, plural: str, suffix: str = "") -> Json | None:
        """Pod, claim, Secret and so on of the delivery."""
        return self.store.find(plural, NAMESPACE, f"exam-{self.uid()}{suffix}")

    def container(self) -> Container:
        found = self.kubelet.running(self.uid())
        assert found is not None, "no exam-client runs"
        return found

    async def status(self) -> ExamDeliveryStatus:
        return self.stored().status

    async def until(self, check: Check, what: str) -> ExamDeliveryStatus:
        async def checked() -> ExamDeliveryStatus | None:
            status = await self.status()
            return status if check(status) else None

        found: ExamDeliveryStatus = await self.wait(checked, what)
        return found

    async def wait(self, condition: Callable[[], Awaitable[Any]], what: str) -> Any:
        """Like ``until_async``; what the operator died of is told instead of a vain wait."""
        try:
            return await until_async(condition, seconds=20, what=what)
        except AssertionError as error:
            if self.operator is not None and self.operator.failure is not None:
                raise AssertionError(f"{error}; the operator died") from self.operator.failure
            raise

    async def edit(self, **spec: object) -> None:
        raw = self.raw()
        del raw["metadata"]["resourceVersion"]
        raw["spec"] |= spec
        self.store.replace("examdeliveries", NAMESPACE, "morning", raw)

    async def annotate(self, **annotations: str) -> None:
        named = {
            f"exams.medxamion.io/{name.replace('_', '-')}": value
            for name, value in annotations.items()
        }
        change = {"metadata": {"annotations": named}}
        self.store.merge("examdeliveries", NAMESPACE, "morning", change)

    async def sit(self, begun: int, submitted: int) -> None:
        self.container().mounted.disk.wishes = (begun, submitted)

    async def crash(self) -> None:
        """The pod is killed and gone, as ``kubectl delete pod --force`` does it."""
        self.kubelet.kill(self.uid())
        name = f"exam-{self.uid()}"
        self.store.delete("pods", NAMESPACE, name, {"gracePeriodSeconds": 0})

    async def coordinator(self, *, up: bool) -> None:
        self.kubelet.sign = signer(self.fake.authority) if up else None
        await asyncio.to_thread(self.fake.start if up else self.fake.stop)

    async def exam_client(self) -> str | None:
        found = self.kubelet.running(self.uid())
        return None if found is None else found.mounted.pod_uid

    async def is_erased(self) -> bool:
        return self.child("persistentvolumeclaims") is None and self.child("secrets") is None

    async def looks(self, times: int) -> None:
        """Until the operator has looked at the exam-client so often."""
        container = self.container()
        until = container.looks + times

        async def looked() -> bool:
            return container.looks >= until

        await self.wait(looked, "looks of the operator")

    # what was asked of the API

    def writes(self) -> list[Call]:
        """Whatever changes objects, beside the canary and what is only told."""
        reading, besides = ("get", "list", "watch"), ("configmaps", "events")
        return [
            one
            for one in self.api.calls
            if one.verb not in reading and one.plural not in besides and one.status < 300
        ]

    def calls(self, verb: str, resource: str) -> list[Call]:
        return [one for one in self.api.calls if (one.verb, one.resource) == (verb, resource)]

    async def _watches(self) -> bool:
        return self.api.away or self.api.watched() >= WATCHED


@contextlib.asynccontextmanager
async def cluster_rig(home: Path, **settings: Any) -> AsyncIterator[ClusterRig]:
    """A rig whose operator runs; at the end nothing that must never happen may have happened."""
    coordinator = await asyncio.to_thread(PretendCoordinator().start)
    rig = ClusterRig(home, coordinator, settings)
    try:
        async with rig.api.serving(), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(rig.run())
            try:
                await rig.start_operator()
                yield rig
            finally:
                await rig.stop_operator()
                running.cancel()
                await rig.kubelet.close()
        assert rig.kubelet.violations == []
    finally:
        await asyncio.to_thread(coordinator.stop)
        gc.collect()  # what an ended operator left is complained of here, and not in another test


def kubeconfig(url: str) -> Json:
    """How to reach it."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "operator"}}],
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "operator", "user": {"token": "a-token"}}],
    }
