"""One machine for real: PostgreSQL, coordinator, exam-clients, and an `up` that dies repeatedly."""

import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from exam_contract.delivery import Phase
from exam_operator.local.kernel import identify
from tests.support import loopback
from tests.support.one_machine import OneMachine, one_machine
from tests.support.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.serial, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def machine() -> Iterator[OneMachine]:
    """One installation for all: each test has a delivery of its own."""
    folder = Path(tempfile.mkdtemp(prefix="medxamion-"))
    folder.chmod(0o711)
    with one_machine(folder / "home") as made:
        made.up()
        yield made
    shutil.rmtree(folder)


class Answering:
    """A participant who answers without a pause; every reply is kept."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self.acknowledged = 0
        self.failed: list[str] = []
        self._revision = 0

    def __enter__(self) -> "Answering":
        self._thread.start()
        until(lambda: self.acknowledged > 0 or self.failed, what="the first answer")
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_SECONDS)

    def more(self) -> None:
        """Wait until more answers were acknowledged from now on."""
        goal = self.acknowledged + 5
        until(lambda: self.acknowledged >= goal or self.failed, what="more answers")

    def _answer(self) -> None:
        while not self._stop.wait(0.01):
            try:
                self._one()
            except httpx.HTTPError as error:
                self.failed.append(type(error).__name__)

    def _one(self) -> None:
        body = {
            "question_id": 1,
            "answer": "AB"[self._revision % 2],
            "command_id": f"command-of-this-test-{self._revision:06}",
            "base_revision": self._revision,
        }
        reply = self._http.post("/exam/answer", json=body)
        if reply.status_code == 200:
            self._revision = reply.json()["revision"]
            self.acknowledged += 1
        else:
            self.failed.append(f"{reply.status_code} {reply.text}")


def test_an_exam_never_stops_while_up_is_killed_and_started_again(machine: OneMachine) -> None:
    stored = machine.assign("killed-up")
    before = machine.client(stored)
    with machine.participant(stored) as http, Answering(http) as answering:
        for _ in range(3):
            machine.kill_up()
            answering.more()
            machine.up()
            answering.more()
        assert answering.failed == []
    after = machine.client(stored)
    assert (after.pid, after.epoch) == (before.pid, before.epoch)
    assert machine.stored("killed-up").status.restarts.count == 0


def test_a_killed_exam_client_is_back_with_its_answers(machine: OneMachine) -> None:
    stored = machine.assign("killed-client")
    with machine.participant(stored) as http:
        with Answering(http) as answering:
            answering.more()
        pid = machine.client(stored).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        back = machine.wait_for(Phase.RUNNING, "killed-client", stored.status.epoch)
        assert back.status.endpoint == stored.status.endpoint, "browsers find it where it was"
        assert _revision(http) == answering.acknowledged


def test_a_killed_coordinator_is_started_again(machine: OneMachine) -> None:
    record = machine.home / "coordinator.json"
    before = record.read_text()
    os.kill(json.loads(before)["pid"], signal.SIGKILL)
    until(lambda: record.read_text() != before, what="another coordinator")
    health = f"{machine.runtime.internal_url}/healthz"
    until(lambda: _answers(health), what="its health")


def test_a_second_up_on_the_same_home_is_refused_in_words(machine: OneMachine) -> None:
    done = machine.run("up", *machine.ports())
    assert done.code == 3
    assert f"process {machine.runtime.pid}" in done.err
    assert "examctl down" in done.err


def test_a_delivery_with_answers_is_deleted_only_when_its_data_is_given_up(
    machine: OneMachine,
) -> None:
    stored = machine.assign("deleted")
    with machine.participant(stored) as http, Answering(http) as answering:
        answering.more()
    refused = machine.run("delete", "deleted")
    assert refused.code == 3
    assert "discard-untransferred-data" in refused.err
    machine.ok("delete", "deleted", "--discard-untransferred-data")
    folder = machine.home / "deliveries" / str(stored.metadata.uid)
    until(lambda: not folder.exists(), what="the end of its folder")


def test_finalising_transfers_validates_and_erases(machine: OneMachine) -> None:
    stored = machine.assign("finalised")
    with machine.participant(stored) as http, Answering(http) as answering:
        answering.more()
    machine.ok("delivery", "finalise", "finalised", "--reason", "the test is over")
    ended = machine.wait_for(Phase.CLEANED_UP, "finalised")
    assert ended.status.transfer.receipt_id is not None
    folder = machine.home / "deliveries" / str(stored.metadata.uid)
    assert not (folder / "volume").exists()
    assert not (folder / "secret").exists()


def test_down_keeps_untransferred_data_and_up_goes_on_with_it(machine: OneMachine) -> None:
    stored = machine.assign("kept")
    with machine.participant(stored) as http:
        with Answering(http) as answering:
            answering.more()
        pid = machine.client(stored).pid
        said = machine.ok("down")
        assert "not transferred yet" in said
        assert "kept" in said
        assert pid is not None
        assert identify(pid) is None
        machine.up()
        machine.wait_for(Phase.RUNNING, "kept", stored.status.epoch)
        assert _revision(http) == answering.acknowledged


def _revision(http: httpx.Client) -> int:
    """Of the stored answer, as the participant is shown it."""
    answers = http.get("/exam/progress").raise_for_status().json()["answers"]
    revision: int = answers["1"]["revision"]
    return revision


def _answers(url: str) -> bool:
    try:
        return loopback.get(url).is_success
    except httpx.HTTPError:
        return False
