"""What an API server does to its clients, one fault at a time: each heals, and nothing runs twice.

That no second exam-client ran, no epoch was given twice and no blank volume stood in for answers is
looked at by the rig at the end of every test.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from exam_contract.delivery import ExamDeliveryStatus, Phase
from tests.support.cluster_rig import ClusterRig, cluster_rig
from tests.support.endings import sockets_left_behind

pytestmark = sockets_left_behind
PAUSE_SECONDS = 2


def runs(status: ExamDeliveryStatus) -> bool:
    return status.phase is Phase.RUNNING


def pods_made(rig: ClusterRig) -> int:
    return len([one for one in rig.calls("create", "pods") if one.status == 201])


def watch_is_dropped(rig: ClusterRig) -> None:
    rig.api.drop_watches()


def history_is_gone(rig: ClusterRig) -> None:
    """The version that the watch would resume from is 410 Gone."""
    rig.api.drop_watches()
    rig.store.forget_history()


@pytest.mark.parametrize("fault", [watch_is_dropped, history_is_gone])
async def test_an_edit_behind_a_broken_watch_is_carried_out(
    tmp_path: Path, fault: Callable[[ClusterRig], None]
) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        fault(rig)
        await rig.edit(desiredState="Finalised")
        await rig.until(lambda s: s.phase is Phase.CLEANED_UP, "CleanedUp")
        assert pods_made(rig) == 1


async def test_an_overloaded_api_server_has_its_pause(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        refused = {"reason": "TooManyRequests", "retry_after": PAUSE_SECONDS}
        rig.api.fail("create", "pods", 429, **refused)
        await rig.create()
        status = await rig.until(runs, "Running")
        first, second = rig.calls("create", "pods")
        assert second.at - first.at >= PAUSE_SECONDS
        assert status.epoch == 1, "nobody got the epoch that was refused"


async def test_a_pause_is_kept_whatever_watches_tell_meanwhile(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        refused = {"reason": "TooManyRequests", "retry_after": PAUSE_SECONDS}
        rig.api.fail("create", "pods", 429, **refused)
        await rig.create()

        async def was_refused() -> bool:
            return bool(rig.calls("create", "pods"))

        await rig.wait(was_refused, "the refusal")
        await rig.annotate(note="somebody edits")
        rig.pass_time(seconds=1)
        await rig.until(runs, "Running")
        first, second = rig.calls("create", "pods")
        assert second.at - first.at >= PAUSE_SECONDS


async def test_a_status_that_somebody_else_was_quicker_to_write_is_written_anew(
    tmp_path: Path,
) -> None:
    """And until it is written, the epoch in it is used for nothing."""
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        rig.api.fail("update", "examdeliveries/status", 409, times=5, reason="Conflict")
        await rig.crash()
        status = await rig.until(lambda s: runs(s) and s.epoch > 1, "a successor")
        assert (status.epoch, pods_made(rig)) == (2, 2)


async def test_a_person_who_edits_behind_a_stale_cache_is_not_overwritten(tmp_path: Path) -> None:
    """The watch tells nothing; the API refuses the write of who has not seen the edit."""
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        rig.api.hold("examdeliveries")
        await rig.edit(desiredState="Finalised")
        await rig.sit(1, 0)  # the first attempt is written at once, on top of an old version
        status = await rig.until(lambda s: s.phase is Phase.CLEANED_UP, "CleanedUp")
        assert status.counts.started == 1


async def test_what_caches_tell_late_undoes_nothing(tmp_path: Path) -> None:
    """Objects older than the operator's own writes arrive after them."""
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(lambda s: s.phase is not Phase.ASSIGNED, "its first look")
        for plural in ("examdeliveries", "pods", "persistentvolumeclaims", "services"):
            rig.api.hold(plural)
        await rig.until(runs, "Running")
        await rig.crash()
        await rig.until(lambda s: runs(s) and s.epoch == 2, "a successor")
        for plural in tuple(rig.api.held):
            rig.api.release(plural)
        await rig.looks(20)
        status = await rig.status()
        assert (status.epoch, status.restarts.count, pods_made(rig)) == (2, 1, 2)
        assert runs(status)


async def test_an_exam_goes_on_while_the_api_server_is_away(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        client = await rig.exam_client()
        await turned_away(rig)
        await rig.sit(2, 1)
        rig.api.come_back()
        await rig.until(lambda s: s.counts.started > 0, "what happened meanwhile")
        assert (await rig.exam_client(), pods_made(rig)) == (client, 1)
        assert rig.calls("delete", "pods") == []


async def test_one_that_died_while_the_api_server_was_away_has_one_successor(
    tmp_path: Path,
) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        await turned_away(rig)
        await rig.crash()
        rig.api.come_back()
        status = await rig.until(lambda s: runs(s) and s.epoch > 1, "a successor")
        assert (status.epoch, status.restarts.count, pods_made(rig)) == (2, 1, 2)


async def turned_away(rig: ClusterRig) -> None:
    """Away for so long that the operator has tried several times."""
    rig.api.go_away()
    rig.pass_time(seconds=11)  # the keys are to be looked at again

    async def tried() -> bool:
        rig.pass_time(seconds=1)
        return rig.api.turned_away >= 8

    await rig.wait(tried, "vain attempts")
