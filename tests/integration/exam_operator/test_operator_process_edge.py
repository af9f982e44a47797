"""What only the process edge can get wrong: adoption, locks, ports, keys, its API and its files."""

import asyncio
import os
import signal
from pathlib import Path
from typing import cast

import pytest

from exam_contract.delivery import ExamDeliveryStatus, Phase
from exam_operator.core import pacing
from exam_operator.local.kernel import identify
from exam_operator.local.records import ClientRecord
from tests.support import deliveries
from tests.support.operator_rigs import ProcessRig, process_rig
from tests.support.pretend_client import wish
from tests.support.waiting import until_async


def runs(status: ExamDeliveryStatus) -> bool:
    return status.phase is Phase.RUNNING


def degraded(status: ExamDeliveryStatus) -> str:
    """Why it is degraded; empty when it is not."""
    for condition in status.conditions:
        if condition.type == "Degraded" and condition.status == "True":
            return condition.reason
    return ""


async def test_an_exam_client_is_adopted_when_its_record_is_lost(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        before = await rig.record()
        (await rig.folder() / "client.json").unlink()
        await rig.restart_operator()
        await rig.until(runs, "Running")
        await until_async(lambda: record_is_back(rig), what="its record")
        after = await rig.record()
        assert (after.pid, after.epoch, after.port) == (before.pid, before.epoch, before.port)


async def test_a_reused_pid_is_no_exam_client(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create()
        first = (await rig.until(runs, "Running")).epoch
        record = await rig.record()
        await rig.crash()
        await rig.restart_operator()
        await rig.until(lambda s: runs(s) and s.epoch > first, "a successor")
        # Now the record claims the pid of a stranger: us.
        second = await rig.record()
        await rig.crash()
        stranger = second.model_copy(update={"pid": os.getpid()})
        (await rig.folder() / "client.json").write_text(stranger.model_dump_json())
        await rig.restart_operator()
        await rig.until(lambda s: runs(s) and s.epoch > second.epoch, "another successor")
        assert record.port == (await rig.record()).port, "the port is kept"


async def test_two_deliveries_run_side_by_side_on_ports_of_their_own(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create("morning")
        await rig.create("evening")
        await rig.until(runs, "Running")

        async def both() -> bool:
            return (await rig.stored("evening")).status.phase is Phase.RUNNING

        await until_async(both, what="the other one")
        ports = [(await rig.stored(name)).status.endpoint.public for name in ("morning", "evening")]
        assert len(set(ports)) == 2


async def test_keys_are_files_for_nobody_else(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        folder = await rig.folder()
        kept = [*folder.glob("secret/*"), folder / "client.json", folder / "exam-client.log"]
        assert {oct(path.stat().st_mode & 0o777) for path in kept} == {"0o600"}
        assert len((folder / "secret" / "storage.key").read_bytes()) == 32


async def test_a_key_that_was_brought_is_used_and_a_missing_one_told(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create(encryption={"keySecretRef": {"name": "mine"}})
        await rig.until(lambda s: degraded(s) == "SecretNotReady", "the missing key to be told")
        own = tmp_path / "key-secrets" / "mine"
        own.mkdir(parents=True)
        (own / "storage.key").write_bytes(b"k" * 32)
        await rig.until(runs, "Running")
        assert (await rig.folder() / "secret" / "storage.key").read_bytes() == b"k" * 32


async def test_a_refused_registration_is_told_in_the_coordinators_words(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        rig.fake.refusal = "exam sample version 1 is not imported"
        await rig.create()
        status = await rig.until(lambda s: degraded(s) == "RegistrationRefused", "the refusal")
        messages = [c.message for c in status.conditions if c.type == "Degraded"]
        assert messages == ["exam sample version 1 is not imported"]
        rig.fake.refusal = None
        await rig.until(runs, "Running")


async def test_an_exam_client_that_can_not_start_is_tried_again_and_again(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        volume = await rig.folder() / "volume"
        wish(volume, refuse_to_start=True)
        await rig.crash()
        await rig.until(lambda s: s.restarts.count >= 3, "three vain starts")
        assert (await rig.status()).phase is Phase.RECOVERING
        wish(volume)
        await rig.until(runs, "Running")


async def test_the_end_of_an_exam_client_is_noticed_without_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seldom = cast("dict[Phase, float]", pacing.ONE_MACHINE.poll_seconds)
    monkeypatch.setitem(seldom, Phase.RUNNING, 3600.0)
    async with process_rig(tmp_path) as rig:
        await rig.create()
        first = (await rig.until(runs, "Running")).epoch
        await rig.crash()

        async def followed() -> bool:
            return (await rig.record()).epoch > first

        await until_async(followed, what="the successor's start")


async def test_a_spare_that_waits_becomes_the_successor(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create()
        first = (await rig.until(runs, "Running")).epoch
        spare = await until_async(lambda: waiting_spare(rig), what="a spare")
        await rig.crash()
        await rig.until(lambda s: runs(s) and s.epoch > first, "a successor")
        assert (await rig.record()).pid == spare
        await rig.restart_operator()
        await rig.until(runs, "Running")
        assert (await rig.record()).pid == spare, "adopted like any other"


async def test_a_spare_that_died_is_no_obstacle(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create()
        first = (await rig.until(runs, "Running")).epoch
        spare = await until_async(lambda: waiting_spare(rig), what="a spare")
        assert spare is not None
        os.kill(spare, signal.SIGKILL)
        await rig.crash()
        await rig.until(lambda s: runs(s) and s.epoch > first, "a successor")
        assert (await rig.record()).pid != spare


async def test_a_spare_ends_with_its_operator(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        spare = await until_async(lambda: waiting_spare(rig), what="a spare")
        assert spare is not None
        await rig.restart_operator()
        await until_async(lambda: ended(spare), what="its end")


async def test_a_volume_of_somebody_else_is_never_adopted(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create(desiredState="Assigned")
        await rig.until(lambda s: s.delivery_id is not None, "its registration")
        volume = await rig.folder() / "volume"
        volume.mkdir(parents=True)
        (volume / ".volume.json").write_text('{"uid": "another"}')
        await rig.edit(desiredState="Running")
        await rig.until(lambda s: degraded(s) == "StorageNotReady", "the foreign volume")
        assert (volume / ".volume.json").exists()
        assert await rig.exam_client_or_none() is None


async def test_the_api_asks_for_its_bearer_and_speaks_problems(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        assert (await rig.call("GET", token="wrong")).status_code == 401
        assert (await rig.call("GET", "/nothing")).status_code == 404
        assert (await rig.call("PATCH")).status_code == 405
        await rig.create()
        again = await rig.call("POST", "", deliveries.document())
        assert (again.status_code, again.json()["code"]) == (409, "conflict")
        wrong = await rig.call("POST", "", deliveries.document("other", replicas=2))
        assert wrong.status_code == 422
        assert wrong.headers["content-type"] == "application/problem+json"
        assert wrong.json()["errors"][0]["path"] == "spec.replicas"


async def test_a_stale_resource_version_is_a_conflict(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        stored = await rig.create(desiredState="Assigned")
        document = stored.to_dict()
        document["metadata"]["resourceVersion"] = "0"
        reply = await rig.call("PUT", "/morning", document)
        assert (reply.status_code, reply.json()["code"]) == (409, "conflict")


async def test_a_large_or_broken_body_is_refused(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        big = deliveries.document()
        big["metadata"]["annotations"] = {"note": "x" * 70_000}
        assert (await rig.call("POST", "", big)).status_code == 413
        assert (await rig.call("POST", "", content=b'{"spec": ')).status_code == 400


async def test_the_metrics_tell_phases_and_restarts(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create()
        first = (await rig.until(runs, "Running")).epoch
        await rig.crash()
        await rig.until(lambda s: runs(s) and s.epoch > first, "a successor")
        assert rig.operator is not None
        text = rig.operator.metrics.text().decode()
        assert 'medxamion_operator_deliveries{phase="Running"} 1.0' in text
        assert "medxamion_operator_client_restarts_total 1.0" in text
        assert "medxamion_operator_recovery_seconds_count 1.0" in text


async def test_a_full_disk_does_not_stop_a_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create()
        first = (await rig.until(runs, "Running")).epoch
        objects = tmp_path / "objects" / "default"
        objects.rename(tmp_path / "aside")
        objects.write_text("no folder: every write below fails")
        await rig.crash()
        await rig.until(lambda s: runs(s) and s.epoch > first, "a successor")


async def test_stopping_is_asked_once_and_never_a_kill(tmp_path: Path) -> None:
    async with process_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        wish(await rig.folder() / "volume", deaf_to_sigterm=True)
        await rig.annotate(restart_requested_at="now")

        async def asked() -> ClientRecord | None:
            record = await rig.record()
            return record if record.stopping_since else None

        record = await until_async(asked, what="the request to stop")
        assert record is not None
        await asyncio.to_thread(os.kill, record.pid or 0, signal.SIGCONT)
        assert await rig.exam_client() == record.pod_uid


async def record_is_back(rig: ProcessRig) -> bool:
    return (await rig.folder() / "client.json").exists()


async def waiting_spare(rig: ProcessRig) -> int | None:
    assert rig.operator is not None
    return rig.operator.processes.spare_pid()


async def ended(pid: int) -> bool:
    return identify(pid) is None
