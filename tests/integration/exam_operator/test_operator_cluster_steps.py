"""A whole life whose operators die again and again, and what a quiet life costs the API server.

Every one of them dies between the change that it made and the answer that would have told it so.
"""

from pathlib import Path

import pytest

from exam_contract.delivery import END_PHASES, ExamDeliveryStatus, Phase
from tests.support.cluster_rig import ClusterRig, cluster_rig
from tests.support.endings import sockets_left_behind

pytestmark = sockets_left_behind
ATTEMPTS = 3


def runs(status: ExamDeliveryStatus) -> bool:
    return status.phase is Phase.RUNNING


@pytest.mark.parametrize(
    ("first", "following"), [(1, 2), (2, 2), (1, 3), (2, 3), (3, 3)], ids=lambda count: str(count)
)
async def test_a_life_whose_operators_die_after_every_few_changes(
    tmp_path: Path, first: int, following: int
) -> None:
    """Together the cuts stand after every single change of a life."""
    async with cluster_rig(tmp_path) as rig:
        deaths, changes = 0, first
        rig.api.go_away_after(changes)
        await rig.create()
        while await dies_or_is_done(rig):
            deaths, changes = deaths + 1, following
            await rig.stop_operator()
            rig.api.come_back()
            rig.api.go_away_after(changes)
            await rig.start_operator()
        assert deaths >= 20 // following
        await ends_in_the_same_place(rig)


async def dies_or_is_done(rig: ClusterRig) -> bool:
    """Until the operator is cut off; everybody sits meanwhile. False: there is nothing left."""

    async def happened() -> bool:
        running = rig.kubelet.running(rig.uid())
        if running is not None and rig.stored().status.phase is Phase.RUNNING:
            running.mounted.disk.wishes = (ATTEMPTS, ATTEMPTS)
        return rig.api.away or is_done(rig)

    await rig.wait(happened, "the operator's death, or the end")
    return rig.api.away


def is_done(rig: ClusterRig) -> bool:
    """Ended, and let go."""
    raw = rig.raw()
    ended = rig.stored().status.phase in END_PHASES
    return ended and rig.child("pods") is None and not raw["metadata"].get("finalizers")


async def ends_in_the_same_place(rig: ClusterRig) -> None:
    status = await rig.status()
    assert status.phase is Phase.CLEANED_UP
    assert (status.counts.started, status.counts.closed) == (ATTEMPTS, ATTEMPTS)
    assert status.transfer.receipt_id is not None
    assert status.restarts.last_requested_at is None
    assert await rig.is_erased()
    made = [one for one in rig.calls("create", "pods") if one.status == 201]
    assert len(made) == 1, "an operator's death started another exam-client"


async def test_a_quiet_delivery_costs_no_write_at_all(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        await rig.looks(5)
        before = rig.writes()
        for _ in range(6):
            rig.pass_time(seconds=60)
            await rig.looks(5)
        assert rig.writes() == before


async def test_a_busy_delivery_costs_one_write_in_half_a_minute(tmp_path: Path) -> None:
    """The first attempt is told at once, since doors read it; the others wait for their turn."""
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        await rig.sit(1, 0)
        await rig.until(lambda s: s.counts.started == 1, "the first attempt")
        for begun, submitted in ((2, 0), (2, 1), (3, 1)):
            before = len(rig.writes())
            await rig.sit(begun, submitted)
            await rig.looks(10)
            assert len(rig.writes()) == before, "before half a minute was over"
            rig.pass_time(seconds=31)
            await rig.until(lambda s, n=submitted: s.counts.closed == n, "the counts")  # type: ignore[misc]
            await rig.looks(10)
            assert len(rig.writes()) == before + 1


async def test_what_an_exam_client_tells_reaches_the_object_and_the_coordinator(
    tmp_path: Path,
) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        await rig.sit(2, 1)
        rig.pass_time(seconds=31)
        counts = (await rig.until(lambda s: s.counts.closed == 1, "its counts")).counts
        assert (counts.enrolled, counts.started, counts.open) == (3, 2, 1)
        rig.container().mounted.disk.storage = "full"
        await rig.until(lambda s: reason(s, "StorageReady") == "StorageFull", "its full volume")
        rig.container().silent = True
        await rig.until(lambda s: reason(s, "ClientHealthy") == "NoAnswer", "its silence")
        rig.pass_time(seconds=11)
        await rig.until(lambda s: reason(s, "ClientHealthy") == "NotAnswering", "that it lasts")
        status = await rig.status()
        assert reason(status, "StorageReady") == "StorageFull", (
            "its last word on what it alone knows"
        )
        assert status.counts == counts

        async def coordinator_knows() -> bool:
            told = rig.fake.registrations[-1]
            unwell = told.health is not None and not told.health.healthy
            return unwell and told.pod_uid == status.pod.uid

        await rig.wait(coordinator_knows, "the coordinator to hear of it")


def reason(status: ExamDeliveryStatus, type_: str) -> str:
    return next((c.reason for c in status.conditions if c.type == type_), "")
