"""A pod is about to end: nothing new, everything accepted is in the file, and 503 in words."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exam_client.core import instants
from tests.support.certificates import Issuer
from tests.support.client_process import ROOT, Rig
from tests.support.ledger import Load
from tests.support.waiting import PATIENCE_SECONDS, until

MakeRig = Callable[..., Rig]
HEAVY = ("asyncio", "httpx", "pydantic", "ssl", "structlog", "exam_client.settings")


def _environment(rig: Rig) -> dict[str, str]:
    return rig.client.environment() | {"PYTHONPATH": str(ROOT)}


def _quiesce(rig: Rig, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """What a pod's preStop runs."""
    process = rig.client.process
    assert process is not None
    return subprocess.run(
        [sys.executable, "-m", "exam_client.quiesce", *(arguments or (str(process.pid),))],
        env=_environment(rig),
        cwd=rig.client.folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def _ignores(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line for line in status.splitlines() if line.startswith("SigIgn"))
    return bool(int(mask.split()[1], 16) >> number - 1 & 1)


def _log_size(rig: Rig) -> int:
    return sum(path.stat().st_size for path in rig.client.volume_dir.glob("*-wal"))


def test_under_load_all_that_was_accepted_is_sent_and_in_the_file(
    make_rig: MakeRig, issuer: Issuer
) -> None:
    rig = make_rig(issuer=issuer, participants=8)
    rig.client.start_ready(bundle=rig.bundle)
    sitters = [rig.sitter(number) for number in range(1, 9)]
    for sitter in sitters:
        sitter.begin()
    load = Load(rig, sitters, list(range(1, 11))).start()
    until(lambda: load.count >= 60, what="answers")
    rested = _quiesce(rig)
    assert (rested.returncode, rested.stderr) == (0, "")
    until(lambda: load.ledger.refused["stopping"] >= 8, what="refusals")
    ledger = load.stop()
    assert set(ledger.refused) == {"stopping"}
    status = rig.client.status()
    assert (status.ready, status.counts.revisions) == (False, len(ledger.acknowledged))
    assert rig.coordinator.accepted == status.counts.last_seq
    assert _log_size(rig) == 0
    assert _quiesce(rig).returncode == 0
    assert rig.client.terminate() == 0
    rig.client.start()
    assert rig.client.status().counts.revisions == len(ledger.acknowledged)


def test_it_says_in_words_that_it_is_stopping(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    sitter.begin()
    assert rig.client.probe("quiesced").text == "serving"
    assert _quiesce(rig).returncode == 0
    for reply in (sitter.answer(1, "A"), sitter.get("/exam/progress"), sitter.sign_in()):
        assert (reply.status_code, reply.json()["code"]) == (503, "stopping")
        assert reply.headers["Retry-After"] == "1"
    ready = rig.client.probe("ready")
    assert (ready.status_code, ready.text) == (503, "stopping")
    assert rig.client.probe("live").status_code == 200
    assert rig.client.probe("quiesced").status_code == 200


def test_it_does_not_wait_for_a_coordinator_that_is_away(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    sitter.begin()
    rig.coordinator.stop()
    assert sitter.answer(1, "A").status_code == 200
    started = time.monotonic()
    assert _quiesce(rig).returncode == 0
    assert time.monotonic() - started < 15
    assert _log_size(rig) == 0
    rig.coordinator.start()
    last_seq = rig.client.status().counts.last_seq
    until(lambda: rig.coordinator.accepted >= last_seq, what="what was left to send")


def test_when_no_end_follows_nothing_is_lost_and_the_time_is_credited(make_rig: MakeRig) -> None:
    rig = make_rig(time_limit_seconds=600)
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    started = sitter.begin()
    assert sitter.answer(1, "A").status_code == 200
    assert _quiesce(rig).returncode == 0
    rested_at = time.monotonic()
    until(lambda: time.monotonic() - rested_at > 3, what="time to pass")
    rig.client.kill()
    rig.client.start()
    progress = sitter.get("/exam/progress").json()
    assert progress["answers"]["1"]["answer"] == "A"
    gained = instants.parse(progress["deadline"]) - instants.parse(started["deadline"])
    assert gained > 3 * instants.SECOND
    assert sitter.answer(2, "A").status_code == 200


def test_one_that_still_starts_is_asked_again(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    rig.client.kill()
    rig.client.launch()
    process = rig.client.process
    assert process is not None
    until(lambda: _ignores(process.pid, signal.SIGUSR1), what="its first line")
    assert _quiesce(rig).returncode == 0
    assert rig.client.terminate() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((str(os.getpid()),), "is no exam-client"),
        (("999999999",), "is no exam-client"),
        (("one",), "are numbers"),
    ],
)
def test_only_an_exam_client_is_signalled(
    make_rig: MakeRig, arguments: tuple[str, ...], words: str
) -> None:
    rig = make_rig()
    rig.client.start()
    refused = _quiesce(rig, *arguments)
    assert refused.returncode == 1
    assert words in refused.stderr
    assert rig.client.probe("quiesced").text == "serving"


def test_an_end_during_the_rest_is_clean(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    process = rig.client.process
    assert process is not None
    process.send_signal(signal.SIGUSR1)
    process.send_signal(signal.SIGUSR1)
    assert rig.client.terminate() == 0
    assert "Traceback" not in rig.client.log_text()


def test_it_loads_nothing_that_takes_time() -> None:
    script = f"import exam_client.quiesce, sys; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
