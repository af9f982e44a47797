"""The demo's parts by themselves: people, delivery, crashes, the lying proxy, the verdict."""

import asyncio
import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from exam_contract.delivery import ExamDelivery
from exam_contract.delivery_rules import spec_violations
from examctl.commands.demo import load_exam, sample_files
from examctl.demonstration.drill import Load, kill_coordinator_once, kill_exam_client_twice
from examctl.demonstration.objects import EXAMPLES, fill_example
from examctl.demonstration.people import invent_roster
from examctl.demonstration.report import Course, Drill, make_report
from examctl.demonstration.sabotage import early_acknowledging_proxy
from examctl.demonstration.show import show_summary
from examctl.errors import UnreadableInputError
from examctl.simulation import crowd
from examctl.simulation.ledger import Ledger
from examctl.simulation.sitting import Behaviour, Credentials, Venue
from examctl.simulation.tally import Tally
from examctl.verification.checks import verify
from tests.support.exam_service_stub import exam_service
from tests.support.transferred import make_transferred
from tests.support.waiting import PATIENCE_SECONDS

NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
COURSE = Course(
    "small", "Small", 4, 7, "CleanedUp", True, {"sitting": 1.0}, {"0-5": 0, "95-100": 3}
)
REPLY_SECONDS = 0.25
"""Between an answer and its acknowledgement: no recovery is shorter, however fast the machine."""


def test_invented_people_are_distinct_and_the_same_for_a_seed() -> None:
    roster = invent_roster(200, seed=1)
    assert len({one.identifier for one in roster}) == 200
    assert roster == invent_roster(200, seed=1)
    assert [one.name for one in roster] != [one.name for one in invent_roster(200, seed=2)]
    assert sum(one.accommodation.extra_seconds > 0 for one in roster) == 8


def test_the_filled_example_is_a_delivery_that_is_open_now() -> None:
    exam = {"id": "small", "version": "1", "contentDigest": "sha256:" + "0" * 64}
    delivery = ExamDelivery.model_validate(fill_example(exam, "r1", 20, NOW))
    assert delivery.spec.window.opens_at < NOW < delivery.spec.window.closes_at
    assert (delivery.spec.participants.roster_ref, delivery.spec.participants.max_count) == (
        "r1",
        20,
    )
    assert spec_violations(delivery.spec) == []


@pytest.mark.parametrize("count", [1, 5, 30, 10_000])
def test_a_cut_exam_is_sound_and_has_so_many_items(count: int) -> None:
    whole = load_exam(EXAMPLES / "exam.json", None)
    cut = load_exam(EXAMPLES / "exam.json", count)
    assert len(cut.exam.items) == len(cut.key) == min(count, len(whole.exam.items))


def test_a_folder_without_samples_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="no folder"):
        sample_files(tmp_path / "missing")
    with pytest.raises(UnreadableInputError, match="no CSV"):
        sample_files(tmp_path)
    (tmp_path / "a.csv").touch()
    assert sample_files(tmp_path) == [tmp_path / "a.csv"]


class Sleepers:
    """Processes to be killed: sleeping ones."""

    def __init__(self) -> None:
        self.spawned: list[subprocess.Popen[bytes]] = []

    def exam_client_pid(self) -> int:
        return self._spawn()

    def coordinator_pid(self) -> int:
        return self._spawn()

    def _spawn(self) -> int:
        code = "import signal; signal.pause()"
        self.spawned.append(subprocess.Popen([sys.executable, "-c", code]))
        return self.spawned[-1].pid


@contextmanager
def sleepers() -> Iterator[Sleepers]:
    spawned = Sleepers()
    try:
        yield spawned
    finally:
        for process in spawned.spawned:
            process.kill()
            process.wait()


async def test_the_exam_client_is_killed_twice_with_answers_in_flight() -> None:
    tally, drill = Tally(10), Drill()
    with sleepers() as processes:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(kill_exam_client_twice(Load(tally, 100), processes, drill))
            for kill, acknowledged in enumerate((30, 65), start=1):
                tally.acknowledged = acknowledged
                tally.in_flight = 4
                await pretend_answers(tally, lambda kill=kill: len(drill.recovery_seconds) == kill)
        assert [process.wait(PATIENCE_SECONDS) for process in processes.spawned] == [-9, -9]
    assert drill.inflight_at_kill == [4, 4]
    assert all(seconds >= REPLY_SECONDS for seconds in drill.recovery_seconds)


async def pretend_answers(tally: Tally, done: Any) -> None:
    """Answers go on being acknowledged, as those of a successor are."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not done():
            tally.accepted(loop.time(), loop.time() + REPLY_SECONDS)
            await asyncio.sleep(0.005)


async def test_the_coordinator_is_killed_while_people_sign_in() -> None:
    tally, drill = Tally(100_000), Drill()
    tally.signed_in = 40_000
    with sleepers() as processes:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(kill_coordinator_once(Load(tally, 100), processes, drill))
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not drill.coordinator_recovery_seconds:
                    tally.signed_in += 1
                    tally.admitted += 1
                    tally.moved()
                    await asyncio.sleep(0.005)
        assert processes.spawned[0].wait(PATIENCE_SECONDS) == -9
    assert drill.coordinator_kills == 1


async def test_nobody_is_killed_when_everybody_is_done() -> None:
    tally, drill = Tally(0), Drill()
    with sleepers() as processes:
        await kill_exam_client_twice(Load(tally, 100), processes, drill)
        await kill_coordinator_once(Load(tally, 100), processes, drill)
    assert (drill.inflight_at_kill, drill.coordinator_kills) == ([], 0)


async def test_the_lying_proxy_acknowledges_more_than_is_stored(tmp_path: Path) -> None:
    people = [Credentials(str(one), f"code-{one}") for one in range(1, 9)]
    calm = Behaviour(
        think_seconds=0, arrival_seconds=0, skip_share=0, cut_share=0, patience_seconds=90
    )
    tally = Tally(8)
    async with (
        exam_service() as stub,
        early_acknowledging_proxy(stub.url, seed=1) as proxy,
    ):
        with Ledger(tmp_path / "ledger.jsonl") as ledger:
            venue = Venue(stub.url, 1, exam_url=proxy)
            await crowd.sit(venue, people, calm, 1, ledger, tally)
    assert tally.completed == 8
    assert 0 < len(stub.stored) < tally.acknowledged


def report(course: Course = COURSE, **changes: Any) -> dict[str, Any]:
    made = make_transferred()
    tally = Tally(3, completed=3)
    for name, value in changes.items():
        setattr(tally, name, value)
    drill = Drill([2, 3], [0.5, 0.6], 1, [0.9])
    return make_report(course, tally, drill, verify(made.history, made.stored), 1, None)


def test_a_report_holds_what_was_promised() -> None:
    found = report()
    assert found["ok"]
    promised = (
        "acknowledged", "stored", "lost", "duplicated", "revisions", "reconnects", "kills",
        "inflight_at_kill", "recovery_seconds", "deliveries", "phase", "receipt_verified",
        "audit_verified",
    )  # fmt: skip
    assert [found[name] for name in promised] == [
        15, 15, 0, 0, 15, 0, 2, [2, 3], [0.5, 0.6], 1, "CleanedUp", True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("course", "changes"),
    [
        (replace(COURSE, phase="Validated"), {}),
        (replace(COURSE, erased=False), {}),
        (COURSE, {"completed": 2}),
    ],
)
def test_a_demo_that_did_not_end_well_is_not_ok(course: Course, changes: dict[str, Any]) -> None:
    assert not report(course, **changes)["ok"]


def test_damage_is_not_ok_and_is_shown() -> None:
    made = make_transferred()
    made.stored.tables["answer_revisions"].pop()
    verdict = verify(made.history, made.stored)
    found = make_report(COURSE, Tally(3, completed=3), Drill(), verdict, 1, "lose")
    assert not found["ok"]
    assert found["lost"] == 1
    shown = shown_on_a_terminal(found)
    assert "Something does not hold" in shown
    assert "acknowledged are stored" in shown


def test_a_good_summary_says_so() -> None:
    shown = shown_on_a_terminal(report())
    assert "Everything holds" in shown
    assert "0.50 s" in shown


def shown_on_a_terminal(found: dict[str, Any]) -> str:
    file = io.StringIO()
    show_summary(found, Console(file=file, width=100))
    return file.getvalue()
