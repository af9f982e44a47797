"""Whose turn it is when more deliveries wait than can be worked on at once."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from exam_operator.adapters.metrics import OperatorMetrics
from exam_operator.adapters.reconciling import Reconciler
from exam_operator.core.commands import Command
from exam_operator.core.world import Key, Observed
from tests.support.deliveries import delivery
from tests.support.waiting import until_async

MANY = 60


class AlwaysSomethingToDo:
    """Every look finds what must be done at once; ``looked``: at whom, in order."""

    def __init__(self) -> None:
        self.looked: list[Key] = []

    def all_keys(self) -> Iterable[Key]:
        return ()

    async def observe(self, key: Key) -> Observed:
        self.looked.append(key)
        await asyncio.sleep(0.001)
        return Observed(delivery(), protected=False)

    async def apply(self, key: Key, command: Command) -> None:
        return


async def test_what_is_begun_goes_on_before_everything_else_is_begun_and_nobody_starves() -> None:
    edge = AlwaysSomethingToDo()
    reconciler = Reconciler(edge, lambda: datetime.now(UTC), OperatorMetrics(), workers=1)
    keys = [Key("exams", f"one-{number}") for number in range(MANY)]
    for key in keys:
        reconciler.enqueue(key)

    async def all_were_begun() -> bool:
        return set(edge.looked) == set(keys)

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reconciler.run())
        await until_async(all_were_begun, seconds=20, what="everybody's first look")
        running.cancel()
    assert edge.looked.index(keys[-1]) > MANY, "some went on before the last was begun"
