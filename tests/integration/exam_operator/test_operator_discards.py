"""Data that a person gives up by name: carried out, and told by an Event and to the coordinator."""

from pathlib import Path

from exam_contract.delivery import ExamDeliveryStatus, Phase
from tests.support.cluster_rig import NAMESPACE, ClusterRig, cluster_rig
from tests.support.endings import sockets_left_behind

pytestmark = sockets_left_behind


async def test_a_discard_is_told_by_an_event_and_to_the_coordinator(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await _give_up(rig)
        assert "1 attempts begun" in await _event(rig)
        last = rig.fake.registrations[-1]
        assert (last.phase, last.discarded and last.discarded.started) == (Phase.FAILED, 1)


async def test_without_the_coordinator_the_event_is_what_is_left(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await _give_up(rig, coordinator=False)
        assert "discarded on request" in await _event(rig)


async def test_an_older_coordinator_hears_of_the_end_all_the_same(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        rig.fake.unknown = frozenset({"discarded"})
        await _give_up(rig)
        last = rig.fake.registrations[-1]
        assert (last.phase, last.discarded) == (Phase.FAILED, None)


async def test_a_new_operator_tells_what_its_predecessor_began(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await _begun(rig)
        await rig.stop_operator()
        await _ask(rig)
        rig.fake.registrations.clear()
        await rig.start_operator()
        await rig.wait(lambda: _is_gone(rig), "the object to be gone")
        assert rig.fake.registrations[-1].discarded is not None


async def _give_up(rig: ClusterRig, *, coordinator: bool = True) -> None:
    await _begun(rig)
    if not coordinator:
        await rig.coordinator(up=False)
    await _ask(rig)
    await rig.wait(lambda: _is_gone(rig), "the object to be gone")


async def _begun(rig: ClusterRig) -> None:
    def runs(status: ExamDeliveryStatus) -> bool:
        return status.phase is Phase.RUNNING

    await rig.create()
    await rig.until(runs, "Running")
    await rig.sit(1, 0)
    await rig.until(lambda status: status.counts.started == 1, "an attempt")


async def _ask(rig: ClusterRig) -> None:
    await rig.annotate(discard_untransferred_data=rig.uid())
    rig.store.delete("examdeliveries", NAMESPACE, "morning")


async def _is_gone(rig: ClusterRig) -> bool:
    return rig.store.find("examdeliveries", NAMESPACE, "morning") is None


async def _event(rig: ClusterRig) -> str:
    async def told() -> str | None:
        found = rig.store.listed("events", NAMESPACE)
        return next((str(one["message"]) for one in found if _is_discard(one)), None)

    return str(await rig.wait(told, "the Event"))


def _is_discard(event: dict[str, object]) -> bool:
    return (event["type"], event["reason"]) == ("Warning", "DataDiscarded")
