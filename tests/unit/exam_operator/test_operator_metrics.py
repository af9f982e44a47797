"""What the operator counts, by value: a figure that nobody sets is a lie on a dashboard."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exam_contract.delivery import (
    Condition,
    ExamDelivery,
    Phase,
    RestartsStatus,
    TransferStatus,
)
from exam_operator.adapters.metrics import OperatorMetrics
from exam_operator.adapters.reconciling import Reconciler
from exam_operator.cluster.api import ClusterApi, Kind
from exam_operator.cluster.canary import Canary
from exam_operator.core.commands import Command
from exam_operator.core.lingering import entered_at
from exam_operator.core.world import Key, Observed
from exam_operator.errors import EdgeError
from tests.support import deliveries
from tests.support.waiting import until_async

KEY = Key("exams", "morning")
NOON = deliveries.NOON
OPENS = deliveries.delivery().spec.window.opens_at


def value(metrics: OperatorMetrics, name: str, **labels: str) -> float:
    """Of one sample; nothing was set where it is not there."""
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            if sample.name == f"medxamion_operator_{name}" and sample.labels == labels:
                return float(sample.value)
    raise AssertionError(f"there is no {name} {labels}")


def standing(phase: Phase, **status: Any) -> ExamDelivery:
    stored = deliveries.delivery()
    meta = stored.metadata.model_copy(update={"creation_timestamp": NOON})
    changed = stored.status.model_copy(update={"phase": phase, **status})
    return stored.model_copy(update={"metadata": meta, "status": changed})


def condition(kind: str, status: str, minutes: int, reason: str = "Because") -> Condition:
    at = NOON + timedelta(minutes=minutes)
    return Condition.model_validate(
        {"type": kind, "status": status, "reason": reason, "last_transition_time": at}
    )


SERVING = [condition("ContentReady", "True", 1), condition("Recovering", "False", 2)]
ROLLED_BACK = condition("TransferComplete", "False", 3, "RolledBack")


@pytest.mark.parametrize(
    ("stored", "began"),
    [
        (standing(Phase.ASSIGNED), NOON),
        (standing(Phase.PREPARING), None),
        (standing(Phase.PREPARED, conditions=SERVING), NOON + timedelta(minutes=2)),
        (standing(Phase.PREPARED), None),
        (
            standing(Phase.RUNNING, conditions=SERVING),
            max(OPENS, NOON + timedelta(minutes=2)),
        ),
        (standing(Phase.RUNNING, conditions=[*SERVING, ROLLED_BACK]), None),
        (standing(Phase.RECOVERING, restarts=RestartsStatus(recovery_started_at=NOON)), NOON),
        (standing(Phase.FINALISING, transfer=TransferStatus(started_at=NOON)), NOON),
        (standing(Phase.TRANSFERRING, transfer=TransferStatus(started_at=NOON)), None),
        (standing(Phase.VALIDATED, transfer=TransferStatus(validated_at=NOON)), NOON),
        (standing(Phase.CLEANED_UP), None),
    ],
    ids=lambda case: str(case.status.phase) if isinstance(case, ExamDelivery) else "",
)
def test_when_a_phase_began_is_read_from_the_object(stored: ExamDelivery, began: object) -> None:
    assert entered_at(stored) == began


def test_the_first_phase_and_the_next_are_observed_from_their_beginnings() -> None:
    metrics = OperatorMetrics()
    assigned, preparing = standing(Phase.ASSIGNED), standing(Phase.PREPARING)

    metrics.changed(KEY, assigned, preparing.status, NOON + timedelta(seconds=4))
    metrics.changed(KEY, preparing, standing(Phase.PREPARED).status, NOON + timedelta(seconds=11))

    assert value(metrics, "phase_seconds_sum", phase="Assigned") == 4
    assert value(metrics, "phase_seconds_sum", phase="Preparing") == 7
    assert value(metrics, "phase_seconds_count", phase="Preparing") == 1
    assert value(metrics, "deliveries", phase="Prepared") == 1


def test_a_phase_that_an_operators_predecessor_began_is_observed_whole() -> None:
    metrics = OperatorMetrics()
    validated = standing(Phase.VALIDATED, transfer=TransferStatus(validated_at=NOON))

    metrics.changed(KEY, validated, standing(Phase.CLEANED_UP).status, NOON + timedelta(hours=1))

    assert value(metrics, "phase_seconds_sum", phase="Validated") == 3600


class Once:
    """An edge that is looked at, and finds nothing there."""

    def __init__(self) -> None:
        self.looked = asyncio.Event()

    def all_keys(self) -> Iterable[Key]:
        return ()

    async def observe(self, key: Key) -> Observed | None:
        self.looked.set()
        return None

    async def apply(self, key: Key, command: Command) -> None:
        return


async def test_the_queue_tells_its_depth_and_how_late_it_is() -> None:
    metrics, edge = OperatorMetrics(), Once()
    reconciler = Reconciler(edge, lambda: NOON, metrics)
    reconciler.enqueue(KEY, after_seconds=-3.0)
    reconciler.enqueue(Key("exams", "later"), after_seconds=3600)
    assert value(metrics, "queue_depth") == 2

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reconciler.run())
        await edge.looked.wait()
        running.cancel()

    assert value(metrics, "queue_depth") == 1
    assert value(metrics, "queue_lag_seconds_count") == 1
    assert value(metrics, "queue_lag_seconds_sum") >= 3.0
    assert value(metrics, "reconcile_seconds_count") == 1


class Answers:
    """As much of the Kubernetes client as a call takes. ``status``: None for no answer."""

    def __init__(self, status: int | None) -> None:
        self.status = status
        self.headers: dict[str, str] = {}

    async def param_serialize(self, *args: Any, **options: Any) -> tuple[Any, ...]:
        return args

    async def call_api(self, *args: Any, **options: Any) -> "Answers":
        if self.status is None:
            raise aiohttp.ClientConnectionError
        return self

    async def read(self) -> bytes:
        return b"{}"


@pytest.mark.parametrize(("status", "code"), [(200, "200"), (429, "429"), (None, "none")])
async def test_calls_are_counted_by_verb_and_code(status: int | None, code: str) -> None:
    metrics = OperatorMetrics()
    answers: Any = Answers(status)
    api = ClusterApi(answers, metrics)

    for _ in range(2):
        try:
            await api.get(Kind.POD, "exams", "one")
        except EdgeError:
            assert status != 200

    assert value(metrics, "api_calls_total", verb="get", code=code) == 2


class Writes:
    async def merge(self, *args: Any) -> dict[str, Any]:
        return {}


async def test_the_age_of_the_watch_is_told_by_namespace() -> None:
    metrics, clock = OperatorMetrics(), [1000.0]
    api: Any = Writes()
    canary = Canary(api, ["exams"], metrics, lambda: clock[0], "me")
    clock[0] += 42

    async def told() -> bool:
        return "medxamion_operator_watch_age_seconds{" in metrics.text().decode()

    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(canary.run())
        await until_async(told, what="the age of the watch")
        beating.cancel()

    assert value(metrics, "watch_age_seconds", namespace="exams") == 42
