"""ExamDelivery objects in the cluster: apply the example, wait for phases and conditions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from exam_contract.delivery import DISCARD_ANNOTATION, ExamDelivery, Phase
from examctl.demonstration.objects import fill_example, utc_now
from tests.support.cluster import kubectl
from tests.support.cluster.api import Api, Json

PLURAL = "examdeliveries"
_ENDS = (Phase.VALIDATED, Phase.CLEANED_UP, Phase.ABORTED, Phase.FAILED)


@dataclass(frozen=True)
class Delivery:
    """One object by its name; every look is a fresh one."""

    api: Api
    namespace: str
    name: str

    def read(self) -> ExamDelivery:
        """The object as the API server has it now."""
        return ExamDelivery.model_validate(self.raw())

    def raw(self) -> Json:
        return self.api.get(PLURAL, self.name, self.namespace)

    @property
    def uid(self) -> str:
        return str(self.raw()["metadata"]["uid"])

    @property
    def children(self) -> str:
        """The name of its pod, claim, Secret and Service."""
        return f"exam-{self.uid}"

    def pod(self) -> Json:
        return self.api.get("pods", self.children, self.namespace)

    def running(self) -> tuple[str, int]:
        """What stays the same for as long as nobody touches its pod: uid and restarts in place."""
        pod = self.pod()
        return pod["metadata"]["uid"], container_of(pod)["restartCount"]

    def wait_phase(self, *phases: Phase, seconds: float = 120) -> ExamDelivery:
        """The object once it is in one of the phases; ends at once in an end of another kind."""
        wanted = {str(phase) for phase in phases}

        def holds(found: Json) -> bool:
            phase = found.get("status", {}).get("phase")
            dead_end = phase in (Phase.ABORTED, Phase.FAILED) and phase not in wanted
            assert not dead_end, f"{self.name} ended in {phase}: {found['status']}"
            return phase in wanted

        return self._wait(holds, seconds, f"{self.name} to be {' or '.join(sorted(wanted))}")

    def wait_condition(
        self,
        kind: str,
        status: str = "True",
        *,
        reason: str | None = None,
        words: str = "",
        seconds: float = 60,
    ) -> ExamDelivery:
        """The object once a condition has that status (and reason, and words in its message)."""

        def is_wanted(one: Json) -> bool:
            same = one["type"] == kind and one["status"] == status
            return same and reason in (None, one["reason"]) and words in one["message"]

        def holds(found: Json) -> bool:
            return any(is_wanted(one) for one in found.get("status", {}).get("conditions", []))

        return self._wait(holds, seconds, f"{kind}={status} {reason or words} of {self.name}")

    def wait_epoch(self, epoch: int, *, seconds: float = 120) -> ExamDelivery:
        """The object once a pod of that epoch serves."""

        def holds(found: Json) -> bool:
            status = found.get("status", {})
            ready = any(
                one["type"] == "Ready" and one["status"] == "True"
                for one in status.get("conditions", [])
            )
            return bool(status.get("epoch") == epoch and ready)

        return self._wait(holds, seconds, f"epoch {epoch} of {self.name} to be ready")

    def change(self, spec: Json) -> None:
        """A merge patch of the spec."""
        self.api.merge(PLURAL, self.name, {"spec": spec}, self.namespace)

    def annotate(self, **annotations: str | None) -> None:
        """Annotations of our group, named as ``restart_requested_at``; None removes."""
        named = {
            f"exams.medxamion.io/{name.replace('_', '-')}": value
            for name, value in annotations.items()
        }
        change = {"metadata": {"annotations": named}}
        self.api.merge(PLURAL, self.name, change, self.namespace)

    def _wait(self, holds: Any, seconds: float, what: str) -> ExamDelivery:
        found = self.api.wait(PLURAL, self.name, self.namespace, holds, seconds=seconds, what=what)
        return ExamDelivery.model_validate(found)


def instant(moment: datetime) -> str:
    """As objects have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def container_of(pod: Json) -> Json:
    """The status of the pod's container; empty while there is none."""
    found = pod.get("status", {}).get("containerStatuses") or [{}]
    return dict(found[0])


def apply_example(
    api: Api,
    namespace: str,
    name: str,
    *,
    exam: dict[str, str],
    roster: str,
    participants: int,
    opens_in: timedelta = timedelta(seconds=-5),
    closes_in: timedelta = timedelta(hours=2),
    spec: Json | None = None,
) -> Delivery:
    """``kubectl apply`` of examples/delivery.yaml with a window around now."""
    now = utc_now()
    document = fill_example(exam, roster, participants, now)
    document["metadata"] = {"name": name, "namespace": namespace}
    wanted = document["spec"]
    wanted["window"] |= {
        "opensAt": instant(now + opens_in),
        "closesAt": instant(now + closes_in),
        "graceSeconds": 0,
    }
    wanted["storage"] = {"size": "64Mi"}
    wanted |= spec or {}
    kubectl.apply(document)
    return Delivery(api, namespace, name)


def discard_all(api: Api, namespaces: Iterable[str]) -> None:
    """Give up whatever a test left behind, the way a person would."""
    for namespace in namespaces:
        for left in api.all(PLURAL, namespace):
            meta = left["metadata"]
            if left.get("status", {}).get("phase") not in _ENDS:
                note = {"metadata": {"annotations": {DISCARD_ANNOTATION: meta["uid"]}}}
                api.merge(PLURAL, meta["name"], note, namespace)
            api.delete(PLURAL, meta["name"], namespace)
    for namespace in namespaces:
        for left in api.all(PLURAL, namespace):
            api.wait_gone(PLURAL, left["metadata"]["name"], namespace, seconds=90)
