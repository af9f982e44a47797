"""The volume goes away, runs full, or is read by a thief: what is promised holds all the same."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from exam_contract.control import Mode
from tests.support import client_process, loopback
from tests.support.client_process import Rig
from tests.support.waiting import until

MakeRig = Callable[..., Rig]


@pytest.mark.parametrize("what", ["file", "log", "replaced"])
def test_deleted_files_end_acknowledgement_at_once(make_rig: MakeRig, what: str) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    sitter.begin()
    assert sitter.answer(1, "A").status_code == 200
    path = next(rig.client.volume_dir.glob("*.db"))
    if what == "log":
        Path(f"{path}-wal").unlink()
    elif what == "file":
        path.unlink()
    else:
        twin = path.with_suffix(".twin")
        twin.write_bytes(path.read_bytes())
        twin.replace(path)
    reply = sitter.answer(2, "A")
    assert (reply.status_code, reply.json()["code"]) == (503, "storage_lost")
    assert sitter.answer(3, "A").json()["code"] == "storage_lost"
    status = rig.client.status()
    assert (status.storage.state, status.ready) == ("lost", False)
    assert loopback.get(f"{rig.client.control_url}/healthz/ready").status_code == 503
    assert sitter.get("/exam/progress").json()["answers"].keys() == {"1"}


def test_the_loss_is_seen_without_any_participant(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    next(rig.client.volume_dir.glob("*.db")).unlink()
    until(lambda: rig.client.status().storage.state == "lost", what="the alarm")


def test_a_full_volume_turns_read_only_and_resumes(small_volume: Path) -> None:
    rig = client_process.rig(small_volume.parent)
    rig.client.extra["BALLAST_BYTES"] = str(2**20)
    try:
        rig.client.start_ready(bundle=rig.bundle)
        sitter = rig.sitter(1)
        sitter.begin()
        assert sitter.answer(1, "A").status_code == 200
        filler = small_volume / "filler"
        _fill(filler)
        number = 0

        def refused() -> bool:
            nonlocal number
            number += 1
            reply = sitter.answer(903, f"{number} " + "essay " * 1600)
            assert reply.status_code in (200, 507), reply.text
            return reply.status_code == 507

        until(refused, what="the volume to be full")
        assert rig.client.status().storage.state == "full"
        kept = sitter.get("/exam/progress").json()["answers"]["1"]
        assert kept["answer"] == "A"
        assert not (small_volume / "ballast").exists()
        until(lambda: _changed(rig, "storage_full"), what="the alarm's event")
        rig.client.kill()
        rig.client.start()  # also its successor shows what it holds, and takes nothing
        assert rig.client.status().storage.state == "full"
        assert sitter.get("/exam/progress").json()["answers"]["1"]["answer"] == "A"
        assert sitter.answer(2, "A").status_code == 507
        filler.unlink()
        until(lambda: sitter.answer(2, "A").status_code == 200, what="answers to be taken again")
        assert rig.client.status().storage.state == "ok"
        assert (small_volume / "ballast").exists()
        until(lambda: _changed(rig, "storage_ok"), what="the end of the alarm")
    finally:
        rig.close()


def test_nothing_of_the_exam_is_readable_on_the_volume(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    sitter.begin()
    secret = "a sentence that nobody may read on the disk"
    assert sitter.answer(903, secret).status_code == 200
    needles = [secret.encode(), b"Stem number 1", b"Person Number 1", b"p1@example.org"]
    assert found_on(rig.client.volume_dir, needles) == []
    assert found_on(rig.client.folder, needles) == []  # the log too
    rig.client.terminate()
    assert found_on(rig.client.folder, needles) == []


def test_a_process_whose_commit_failed_ends_and_its_successor_recovers(
    make_rig: MakeRig,
) -> None:
    rig = make_rig()
    # The kernel refuses writes beyond this size: SQLite reports an input/output error.
    rig.client.prefix = ["prlimit", "--fsize=1600000", "--"]
    rig.client.extra["BALLAST_BYTES"] = "0"
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    sitter.begin()
    acknowledged = 0

    def broke() -> bool:
        nonlocal acknowledged
        try:
            reply = sitter.answer(903, f"{acknowledged} " + "essay " * 1600)
        except httpx.HTTPError:
            return True
        acknowledged += reply.status_code == 200
        return reply.status_code == 503

    until(broke, what="the failing commit")
    assert rig.client.ended() == 1
    rig.client.prefix = []
    rig.client.start()
    held = sitter.get("/exam/progress").json()["answers"]["903"]
    assert held["revision"] >= acknowledged
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: rig.client.status().transfer.receipt, what="the receipt")
    assert len(rig.coordinator.rows["answer_revisions"]) == held["revision"]


def found_on(folder: Path, needles: list[bytes]) -> list[tuple[str, bytes]]:
    """Which needle is found in which file below a folder."""
    return [
        (path.name, needle)
        for path in folder.rglob("*")
        if path.is_file()
        for needle in needles
        if needle in path.read_bytes()
    ]


def _fill(path: Path) -> None:
    """Take every block that is free."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    for size in (65_536, 4096):
        with contextlib.suppress(OSError):
            while True:
                os.write(descriptor, bytes(size))
    os.close(descriptor)


def _changed(rig: Rig, change: str) -> bool:
    return any(event.get("change") == change for event in rig.coordinator.events)
