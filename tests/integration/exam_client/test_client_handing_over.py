"""Finalise, transfer, erase: cut anywhere, it goes on; without a receipt nothing is erased."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from exam_contract.control import Mode
from exam_contract.problems import ProblemCode
from tests.support import loopback
from tests.support.client_process import Rig, Sitter
from tests.support.waiting import until

MakeRig = Callable[..., Rig]
ESSAY = "an essay that must not survive the erase"


def _sat(rig: Rig) -> Sitter:
    """A delivery with one participant who answered, and is still sitting."""
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    sitter.begin()
    for question, answer in ((1, "A"), (2, "B"), (901, "7.36"), (903, ESSAY)):
        assert sitter.answer(question, answer).status_code == 200
    return sitter


def _state(rig: Rig) -> str:
    return rig.client.status().transfer.state


def test_the_whole_hand_over_leaves_nothing_behind(make_rig: MakeRig) -> None:
    rig = make_rig()
    sitter = _sat(rig)
    refused = rig.client.desire(Mode.ERASE, rig.bundle)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    rig.client.desire(Mode.FINALISE, rig.bundle)
    until(lambda: _state(rig) == "frozen", what="the freeze")
    assert sitter.answer(1, "C").json()["code"] == "delivery_frozen"
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: _state(rig) == "receipted", what="the receipt")
    rows = rig.coordinator.rows
    assert [row["status"] for row in rows["participants"]] == ["force_submitted"] + ["absent"] * 4
    assert rows["attempts"][0]["final_score"] == round(200 / 13)
    assert rows["attempts"][0]["manual_pending"] == 1
    assert {row["scoring"] for row in rows["answers"]} == {"auto", "manual"}
    assert rig.client.desire(Mode.RUN, rig.bundle).json()["code"] == "receipt_held"
    rig.client.desire(Mode.ERASE, rig.bundle)
    until(lambda: _state(rig) == "erased", what="the erase")
    _assert_nothing_is_left(rig)
    # Told before /status says erased: the operator ends the process then.
    assert [sent["erased"] for sent in rig.coordinator.confirmations] == [False, True]
    assert rig.client.status().transfer.receipt == rig.coordinator.receipt
    gone = sitter.get("/exam/progress")
    assert (gone.status_code, gone.json()["code"]) == (409, "delivery_frozen")
    rig.client.kill()
    rig.client.start()  # a successor makes no new file, and tells again that all is gone
    until(lambda: _state(rig) == "erased", what="the successor's word")
    _assert_nothing_is_left(rig)


def test_lost_replies_have_one_effect(make_rig: MakeRig) -> None:
    rig = make_rig()
    _sat(rig)
    rig.coordinator.cut = {"chunk": 1, "commit": 2, "confirm": 1, "receipt": 1, "event": 2}
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: _state(rig) == "receipted", what="the receipt")
    assert rig.coordinator.cut["commit"] == 0
    last_seq = rig.client.status().counts.last_seq
    until(lambda: rig.coordinator.accepted == last_seq, what="the outbox")


@pytest.mark.parametrize("moment", ["chunk", "commit", "receipt", "confirm"])
def test_killed_at_any_moment_of_the_transfer_it_goes_on(make_rig: MakeRig, moment: str) -> None:
    rig = make_rig()
    _sat(rig)
    rig.coordinator.hold[moment] = threading.Event()
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: moment in rig.coordinator.requests, what=f"the {moment} request")
    rig.client.kill()
    rig.coordinator.hold.pop(moment).set()
    rig.client.start()
    until(lambda: _state(rig) == "receipted", what="the receipt")
    assert rig.client.status().mode is Mode.TRANSFER
    assert len(rig.coordinator.rows["answers"]) == 4


def test_killed_while_erasing_it_goes_on_erasing(make_rig: MakeRig) -> None:
    rig = make_rig()
    _sat(rig)
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: _state(rig) == "receipted", what="the receipt")
    volume = rig.client.volume_dir
    kept = {path.name: path.read_bytes() for path in volume.iterdir() if "lock" not in path.name}
    rig.client.desire(Mode.ERASE, rig.bundle)
    until(lambda: (volume / "erased.json").exists(), what="the marker")
    rig.client.kill()
    for name, data in kept.items():  # as if it had died right after the marker
        (volume / name).write_bytes(data)
    rig.client.start()
    until(lambda: _state(rig) == "erased", what="the erase")
    _assert_nothing_is_left(rig)


@pytest.mark.parametrize("member", ["tables", "manifest_digest", "delivery_uid", "last_seq"])
def test_a_receipt_for_something_else_erases_nothing(make_rig: MakeRig, member: str) -> None:
    rig = make_rig()
    _sat(rig)

    def spoil(receipt: dict[str, Any]) -> dict[str, Any]:
        spoilt = {
            "manifest_digest": "sha256:" + "0" * 64,
            "delivery_uid": "another",
            "last_seq": 1,
            "tables": receipt["tables"] | {"answers": receipt["tables"]["answers"] | {"count": 99}},
        }
        return receipt | {member: spoilt[member]}

    rig.coordinator.spoil_receipt = spoil
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(
        lambda: member in (rig.client.status().transfer.error or ""),
        what=f"{member} as the trouble",
    )
    assert rig.client.desire(Mode.ERASE, rig.bundle).json()["code"] == "conflict"
    assert list(rig.client.volume_dir.glob("*.db"))


def test_a_frozen_delivery_is_rolled_back_and_runs_on(make_rig: MakeRig) -> None:
    rig = make_rig()
    sitter = _sat(rig)
    before = sitter.get("/exam/progress").json()
    rig.client.desire(Mode.FINALISE, rig.bundle)
    until(lambda: _state(rig) == "frozen", what="the freeze")
    assert rig.client.desire(Mode.RUN, rig.bundle).status_code == 200
    after = sitter.get("/exam/progress").json()
    assert after["state"] == "in_progress"
    assert after["deadline"] >= before["deadline"]
    assert sitter.answer(1, "C").json()["revision"] == 2
    assert rig.sitter(2).begin()["state"] == "in_progress"
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: _state(rig) == "receipted", what="the receipt")
    assert len(rig.coordinator.rows["answer_revisions"]) == 5


def test_a_rollback_asks_when_the_uploads_outcome_is_unknown(make_rig: MakeRig) -> None:
    rig = make_rig()
    sitter = _sat(rig)
    rig.coordinator.refuse["commit"] = (ProblemCode.DATABASE_UNAVAILABLE, 10_000)
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: _state(rig) == "uploading", what="the upload")
    rig.coordinator.stop()
    unknown = rig.client.desire(Mode.RUN, rig.bundle)
    assert (unknown.status_code, unknown.json()["code"]) == (409, "conflict")
    rig.coordinator.start()
    until(
        lambda: rig.client.desire(Mode.RUN, rig.bundle).status_code == 200,
        what="the rollback",
    )
    assert sitter.answer(1, "C").status_code == 200


def test_an_aborted_delivery_says_so_in_its_manifest(make_rig: MakeRig) -> None:
    rig = make_rig()
    _sat(rig)
    rig.client.desire(Mode.TRANSFER, rig.bundle, aborted=True)
    until(lambda: _state(rig) == "receipted", what="the receipt")
    assert rig.coordinator.manifest is not None
    assert rig.coordinator.manifest.aborted


def test_a_fenced_exam_client_acknowledges_nothing(make_rig: MakeRig) -> None:
    rig = make_rig()
    sitter = _sat(rig)
    rig.client.desire(Mode.RUN, rig.bundle, fenced=True)
    refused = sitter.answer(1, "C")
    assert (refused.status_code, refused.json()["code"]) == (409, "fenced")
    assert loopback.get(f"{rig.client.control_url}/healthz/ready").status_code == 503
    rig.client.kill()
    rig.client.start()  # the fence outlives a crash, and keeps nobody from coming back
    assert sitter.answer(1, "C").json()["code"] == "fenced"
    assert sitter.get("/exam/progress").json()["answers"]["1"]["answer"] == "A"
    rig.client.desire(Mode.RUN, rig.bundle)
    assert sitter.answer(1, "C").status_code == 200


def _assert_nothing_is_left(rig: Rig) -> None:
    left = sorted(path.name for path in rig.client.volume_dir.iterdir())
    assert left == ["erased.json", "exam-client.lock"]
    needles = [ESSAY, "Stem number", "Person Number", "adrenaline"]
    for path in rig.client.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert [needle for needle in needles if needle.encode() in data] == []
