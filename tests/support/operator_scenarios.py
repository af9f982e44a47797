"""What the operator must do over every edge: scenarios told to a rig, which knows one edge.

A rig brings a world with one delivery whose window is open; the scenarios see only its status.
"""

from collections.abc import Callable
from typing import Protocol

from exam_contract.delivery import ExamDeliveryStatus, Phase

Check = Callable[[ExamDeliveryStatus], bool]


class Rig(Protocol):
    """One delivery over one edge."""

    async def status(self) -> ExamDeliveryStatus: ...

    async def until(self, check: Check, what: str) -> ExamDeliveryStatus:
        """Let things happen until the status is so; fails after a limit."""

    async def edit(self, **spec: object) -> None:
        """Change members of the spec, through the edge's own door."""

    async def annotate(self, **annotations: str) -> None: ...

    async def sit(self, begun: int, submitted: int) -> None:
        """In all, so many participants have begun and submitted by now."""

    async def crash(self) -> None:
        """SIGKILL, or what does as much."""

    async def coordinator(self, *, up: bool) -> None: ...

    async def restart_operator(self) -> None:
        """Killed and started again; everything else goes on."""

    async def exam_client(self) -> str | None:
        """Which exam-client runs, by its pod uid."""

    async def is_erased(self) -> bool:
        """Whether volume and keys are gone."""


async def goes_through_its_life(rig: Rig) -> None:
    await _running(rig)
    await rig.sit(3, 3)
    status = await rig.until(lambda s: s.phase is Phase.CLEANED_UP, "CleanedUp")
    assert _condition(status, "DataValidated") == ("True", "ReceiptVerified")
    assert status.transfer.receipt_id is not None
    assert await rig.is_erased()


async def survives_a_crash(rig: Rig) -> None:
    first = (await _running(rig)).epoch
    await rig.sit(2, 1)
    await rig.crash()
    status = await rig.until(
        lambda s: s.phase is Phase.RUNNING and s.epoch > first, "a successor that runs"
    )
    assert status.restarts.count == 1
    await rig.until(lambda s: s.counts.started == 2, "the attempts of before")


async def survives_a_crash_without_coordinator(rig: Rig) -> None:
    first = (await _running(rig)).epoch
    await rig.coordinator(up=False)
    await rig.crash()
    await rig.until(lambda s: s.phase is Phase.RUNNING and s.epoch > first, "a successor")
    await rig.coordinator(up=True)


async def operator_restarts_touch_nothing(rig: Rig) -> None:
    await _running(rig)
    before = await rig.exam_client()
    for _ in range(3):
        await rig.restart_operator()
        await rig.until(lambda s: s.phase is Phase.RUNNING, "Running")
        assert await rig.exam_client() == before
    assert (await rig.status()).restarts.count == 0


async def operator_and_client_die_together(rig: Rig) -> None:
    first = (await _running(rig)).epoch
    await rig.crash()
    await rig.restart_operator()
    await rig.until(lambda s: s.phase is Phase.RUNNING and s.epoch > first, "a successor")


async def restarts_on_request_once(rig: Rig) -> None:
    first = (await _running(rig)).epoch
    await rig.annotate(restart_requested_at="now")
    status = await rig.until(
        lambda s: s.phase is Phase.RUNNING and s.epoch == first + 1, "the restart"
    )
    assert status.restarts.last_reason == "RestartRequested"
    assert status.restarts.last_requested_at == "now"
    await rig.restart_operator()
    await rig.until(lambda s: s.phase is Phase.RUNNING, "Running")
    assert (await rig.status()).epoch == first + 1


async def rolls_back_a_frozen_delivery(rig: Rig) -> None:
    await _running(rig)
    await rig.sit(1, 0)
    await rig.coordinator(up=False)
    await rig.edit(desiredState="Finalised")
    await rig.until(lambda s: s.phase is Phase.TRANSFERRING, "Transferring")
    await rig.edit(desiredState="Running")
    await rig.until(lambda s: s.phase is Phase.RUNNING, "Running again")
    await rig.coordinator(up=True)
    await rig.edit(desiredState="Finalised")
    await rig.until(lambda s: s.phase is Phase.CLEANED_UP, "CleanedUp")


async def aborts(rig: Rig) -> None:
    await _running(rig)
    await rig.sit(1, 0)
    await rig.edit(desiredState="Aborted")
    await rig.until(lambda s: s.phase is Phase.ABORTED, "Aborted")
    assert await rig.is_erased()


async def writes_nothing_while_paused(rig: Rig) -> None:
    await _running(rig)
    await rig.edit(paused=True)
    await rig.crash()
    before = await rig.status()
    await rig.restart_operator()
    assert await rig.status() == before
    assert await rig.exam_client() is None
    await rig.edit(paused=False)
    await rig.until(lambda s: s.phase is Phase.RUNNING and s.epoch > before.epoch, "a successor")


SCENARIOS = (
    goes_through_its_life,
    survives_a_crash,
    survives_a_crash_without_coordinator,
    operator_restarts_touch_nothing,
    operator_and_client_die_together,
    restarts_on_request_once,
    rolls_back_a_frozen_delivery,
    aborts,
    writes_nothing_while_paused,
)


async def _running(rig: Rig) -> ExamDeliveryStatus:
    return await rig.until(lambda s: s.phase is Phase.RUNNING, "Running")


def _condition(status: ExamDeliveryStatus, type_: str) -> tuple[str, str]:
    return next((c.status, c.reason) for c in status.conditions if c.type == type_)
