"""The exam-client dies and comes back: nothing acknowledged is lost, nothing happens twice."""

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from exam_contract.control import Mode
from tests.support.client_process import Rig, Sitter, utc_now
from tests.support.ledger import Ledger, Load
from tests.support.waiting import PATIENCE_SECONDS, until

MakeRig = Callable[..., Rig]
QUESTIONS = list(range(1, 11))


def _sitters(rig: Rig, count: int) -> list[Sitter]:
    sitters = [rig.sitter(number) for number in range(1, count + 1)]
    for sitter in sitters:
        sitter.begin()
    return sitters


def _assert_all_kept(rig: Rig, ledger: Ledger) -> None:
    """Hand over, and compare what arrived with what was promised."""
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: rig.client.status().transfer.receipt, what="the receipt")
    owners = {row["id"]: row["participant_id"] for row in rig.coordinator.rows["attempts"]}
    lost, doubled = ledger.compare(rig.coordinator.rows["answer_revisions"], owners)
    assert lost == []
    assert doubled == []
    assert ledger.acknowledged


def test_nothing_acknowledged_is_lost_to_sigkill_under_load(make_rig: MakeRig) -> None:
    rig = make_rig(participants=8)
    rig.client.start_ready(bundle=rig.bundle)
    load = Load(rig, _sitters(rig, 8), QUESTIONS).start()
    for round_number in range(1, 5):
        reached = load.count + 60
        until(lambda reached=reached: load.count >= reached, what="answers")  # type: ignore[misc]
        rig.client.kill()
        rig.client.start()
        assert rig.client.status().incarnation == round_number + 1
    ledger = load.stop()
    last_seq = rig.client.status().counts.last_seq
    until(lambda: rig.coordinator.accepted >= last_seq, what="the outbox to drain")
    _assert_all_kept(rig, ledger)


def test_sigterm_finishes_what_was_accepted_and_exits_clean(make_rig: MakeRig) -> None:
    rig = make_rig(participants=8)
    rig.client.start_ready(bundle=rig.bundle)
    load = Load(rig, _sitters(rig, 8), QUESTIONS).start()
    until(lambda: load.count >= 60, what="answers")
    assert rig.client.terminate() == 0
    assert [path.name for path in rig.client.volume_dir.glob("*-wal")] == []
    rig.client.start()
    reached = load.count + 30
    until(lambda: load.count >= reached, what="answers of the successor")
    ledger = load.stop()
    assert set(ledger.refused) <= {"stopping"}
    _assert_all_kept(rig, ledger)


def test_sessions_tokens_and_commands_outlive_a_restart(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    token = rig.client.authority.participant_token(rig.client.uid, 1)
    sitter = rig.sitter(1)
    sitter.sign_in(token)
    started = sitter.post("/exam/start", {}).json()
    command = sitter.command(1, "A")
    first = sitter.post("/exam/answer", command).json()
    rig.client.kill()
    rig.coordinator.stop()  # a successor needs nobody
    rig.client.start()
    again = sitter.post("/exam/answer", command).json()
    assert (again["revision"], again["seq"]) == (first["revision"], first["seq"])
    thief = rig.sitter(1)
    assert thief.sign_in(token).json()["code"] == "token_replayed"
    back = sitter.sign_in(token)
    assert back.json()["attempt_id"] == started["attempt_id"]
    held = sitter.get("/exam/progress").json()["answers"]["1"]
    assert (held["answer"], held["revision"]) == ("A", 1)


def test_an_outage_is_credited_before_anything_expires(make_rig: MakeRig) -> None:
    rig = make_rig(time_limit_seconds=3)
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    started = sitter.begin()
    until(lambda: rig.client.status().counts.last_seq >= 3, what="the attempt")
    rig.client.kill()
    last = datetime.fromisoformat(started["deadline"]) + timedelta(
        seconds=rig.bundle.window.grace_seconds
    )
    until(lambda: utc_now() > last, what="the end of the time and its grace")
    rig.client.start()
    progress = sitter.get("/exam/progress").json()
    assert progress["state"] == "in_progress"
    assert progress["deadline"] > started["deadline"]
    assert progress["deadline_version"] == started["deadline_version"] + 1
    assert sitter.answer(1, "A").status_code == 200
    until(
        lambda: any(event.get("reason") == "outage_credit" for event in rig.coordinator.events),
        what="the credit's event",
    )
    changes = [event.get("change") for event in rig.coordinator.events]
    assert "recovered" in changes


def test_a_second_exam_client_on_the_volume_is_refused_in_words(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    environment = rig.client.environment() | {
        "MEDXAMION_CLIENT_PORT": "0",
        "MEDXAMION_CLIENT_CONTROL_PORT": "0",
    }
    second = _run(rig, environment)
    assert second.returncode == 4
    assert f"process {rig.client.process.pid}" in second.stderr  # type: ignore[union-attr]
    assert "Traceback" not in second.stderr
    sitter = rig.sitter(1)
    sitter.begin()
    assert sitter.answer(1, "A").status_code == 200


@pytest.mark.parametrize("half", ["secret/storage.key", "volume/volume.key"])
def test_a_wrong_or_missing_key_is_refused_and_leaves_the_file(
    make_rig: MakeRig, half: str
) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    rig.client.terminate()
    path = rig.client.folder / half
    right = path.read_bytes()
    path.write_bytes(bytes(32))
    wrong = _run(rig, rig.client.environment())
    assert wrong.returncode == 6
    assert "does not open with this key" in wrong.stderr
    path.unlink()
    missing = _run(rig, rig.client.environment())
    assert missing.returncode in (2, 6)
    assert path.name in missing.stderr
    assert "Traceback" not in wrong.stderr + missing.stderr
    path.write_bytes(right)
    rig.client.start()
    assert rig.client.is_ready()


def test_a_damaged_file_is_refused_and_left_as_it_is(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    rig.client.terminate()
    path = next(rig.client.volume_dir.glob("*.db"))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    path.write_bytes(damaged)
    refused = _run(rig, rig.client.environment())
    assert refused.returncode == 7
    assert "damaged" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert path.read_bytes() == bytes(damaged)


def test_two_living_files_are_refused(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    rig.client.kill()
    path = next(rig.client.volume_dir.glob("*.db"))
    for suffix in ("", "-wal"):
        copy = Path(f"{rig.client.volume_dir}/delivery_1_20990101T000000000000Z.db{suffix}")
        copy.write_bytes(Path(f"{path}{suffix}").read_bytes())
    refused = _run(rig, rig.client.environment())
    assert refused.returncode == 5
    assert "more than one living file" in refused.stderr


def test_settings_and_ports_are_refused_in_words(make_rig: MakeRig) -> None:
    rig = make_rig()
    bare = {name: value for name, value in rig.client.environment().items() if "MEDX" not in name}
    unset = _run(rig, bare)
    assert unset.returncode == 2
    assert "MEDXAMION_CLIENT_DELIVERY_ID" in unset.stderr
    rig.client.start()
    taken = _run(rig, rig.client.environment() | {"MEDXAMION_CLIENT_CONTROL_PORT": "0"})
    assert taken.returncode == 2
    assert f"port {rig.client.port}" in taken.stderr
    elsewhere = rig.client.environment() | {
        "MEDXAMION_CLIENT_VOLUME_DIR": "/proc/nowhere",
        "MEDXAMION_CLIENT_PORT": "0",
        "MEDXAMION_CLIENT_CONTROL_PORT": "0",
    }
    unwritable = _run(rig, elsewhere)
    assert unwritable.returncode == 5
    assert "cannot be written" in unwritable.stderr
    assert "Traceback" not in unset.stderr + taken.stderr + unwritable.stderr


def _run(rig: Rig, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "exam_client"],
        env=environment,
        cwd=rig.client.folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
