"""The demo from curtain to curtain: import, sit with crashes, transfer, verify."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import uvloop

from exam_contract.delivery import ExamDelivery, Phase
from exam_contract.keys import ExamDocument, content_digest
from examctl.commands.exam import upload
from examctl.commands.roster import import_with_codes
from examctl.commands.verify import load_history, load_stored, load_trust
from examctl.coordinator_api import Coordinator
from examctl.demonstration import drill as drills
from examctl.demonstration.objects import Objects, fill_example, utc_now
from examctl.demonstration.people import invent_roster
from examctl.demonstration.report import Course, Drill, make_report
from examctl.demonstration.sabotage import Sabotage, damage_rows, early_acknowledging_proxy
from examctl.demonstration.stage import Stage
from examctl.errors import ExamctlError, RefusedError
from examctl.files import read_file
from examctl.simulation import crowd
from examctl.simulation.ledger import Ledger
from examctl.simulation.people import read_codes
from examctl.simulation.sitting import Behaviour, Venue
from examctl.simulation.tally import Tally
from examctl.verification.checks import Verdict, verify

OBJECT_NAME = "demo"
_PHASE_SECONDS = 120.0
_POLL_SECONDS = 0.1
_REASON = "demo: everybody has submitted"


@dataclass(frozen=True, slots=True)
class Script:
    """What to perform. ``sitting_seconds``: about how long the crowd should take, at least."""

    document: ExamDocument
    participants: int
    seed: int
    sabotage: Sabotage | None
    sitting_seconds: float


@dataclass(slots=True)
class Performance:
    """State of a run, for whoever draws it."""

    tally: Tally
    drill: Drill = field(default_factory=Drill)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)


def perform(
    script: Script, stage: Stage, show: Callable[[str], None], draw: Callable[[Tally], Any]
) -> dict[str, Any]:
    """Run the whole demo and return its report. ``draw`` is a coroutine function for progress."""
    performance = Performance(Tally(script.participants))
    runtime, ledger = stage.runtime, stage.home / "ledger.jsonl"
    with Coordinator(runtime.coordinator_url, runtime.cli_token) as coordinator:
        codes = stage.home / "codes.csv"
        with performance.step("import"):
            show("importing the exam and the roster")
            roster_id = _import(coordinator, script, codes)
        with performance.step("assign"):
            show("assigning the delivery")
            delivery = _assign(stage, script, roster_id)
            keys = load_trust(stage.trust_file())
        with performance.step("sitting"):
            show(f"{script.participants} participants sit the exam")
            with Ledger(ledger) as book, _event_loop() as runner, _first_error():
                runner.run(_sit(script, stage, delivery, codes, book, performance, draw))
        with performance.step("transfer"):
            show("closing, transferring, cleaning up")
            ended = _finish(coordinator, stage, delivery)
        bins = _score_bins(coordinator, _delivery_id(delivery))
    with performance.step("verify"):
        show("verifying what PostgreSQL holds")
        verdict = _verify(script, runtime.postgres_dsn, delivery, ledger, keys)
    course = _course(script, ended, performance.seconds, bins)
    return make_report(
        course, performance.tally, performance.drill, verdict, script.seed, script.sabotage
    )


def _verify(
    script: Script, dsn: str, delivery: ExamDelivery, ledger: Path, keys: dict[str, str]
) -> Verdict:
    """The verdict, after the damage that was asked for. ``keys`` were kept from before the exam."""
    delivery_id = _delivery_id(delivery)
    if script.sabotage in (Sabotage.LOSE, Sabotage.DUPLICATE):
        damage_rows(dsn, delivery_id, script.sabotage)
    stored = replace(load_stored(dsn, delivery_id), signing_keys=keys)
    return verify(load_history(ledger), stored)


def _course(
    script: Script, ended: ExamDelivery, seconds: dict[str, float], bins: dict[str, int]
) -> Course:
    exam = script.document.exam
    return Course(
        exam.id,
        exam.title,
        len(exam.items),
        _delivery_id(ended),
        str(ended.status.phase),
        erased=_condition(ended, "CleanupComplete"),
        seconds=seconds,
        score_bins=bins,
    )


def _import(coordinator: Coordinator, script: Script, codes: Path) -> str:
    upload(coordinator, script.document)
    entries = invent_roster(script.participants, script.seed)
    return import_with_codes(coordinator, "demo", entries, codes)


def _assign(stage: Stage, script: Script, roster_id: str) -> ExamDelivery:
    """Apply the object and wait until people may begin."""
    exam = script.document.exam
    named = {
        "id": exam.id, "version": exam.version, "contentDigest": content_digest(exam),
    }  # fmt: skip
    document = fill_example(named, roster_id, script.participants, utc_now())
    document["metadata"]["name"] = OBJECT_NAME
    stage.object_name = OBJECT_NAME
    Objects(stage.runtime).create(document)
    return _await_phase(stage, Phase.RUNNING)


async def _sit(
    script: Script,
    stage: Stage,
    delivery: ExamDelivery,
    codes: Path,
    book: Ledger,
    performance: Performance,
    draw: Callable[[Tally], Any],
) -> None:
    """The crowd sits while the drill crashes what it can."""
    people = read_codes(read_file(codes), codes.name)
    exam_url = delivery.status.endpoint.public or ""
    keys = {entry.item_id: entry for entry in script.document.key}
    load = drills.Load(performance.tally, script.participants * len(script.document.exam.items))
    async with _front(script, exam_url) as front:
        venue = Venue(stage.runtime.coordinator_url, _delivery_id(delivery), keys, front)
        async with asyncio.TaskGroup() as tasks:
            drawing = tasks.create_task(draw(performance.tally))
            tasks.create_task(drills.kill_exam_client_twice(load, stage, performance.drill))
            tasks.create_task(drills.kill_coordinator_once(load, stage, performance.drill))
            await crowd.sit(venue, people, _behaviour(script), script.seed, book, performance.tally)
            drawing.cancel()


@contextlib.asynccontextmanager
async def _front(script: Script, exam_url: str) -> AsyncIterator[str | None]:
    """What stands before the exam-client: nothing, or the proxy that lies."""
    if script.sabotage is not Sabotage.ACK_EARLY:
        yield None
        return
    async with early_acknowledging_proxy(exam_url, script.seed) as url:
        yield url


def _behaviour(script: Script) -> Behaviour:
    """Arrivals take a third of the time; thinking fills the rest."""
    steps = len(script.document.exam.items) * 1.12
    return Behaviour(
        think_seconds=script.sitting_seconds * 0.6 / steps,
        arrival_seconds=script.sitting_seconds / 3,
        patience_seconds=300.0,
    )


def _finish(coordinator: Coordinator, stage: Stage, delivery: ExamDelivery) -> ExamDelivery:
    """Close on purpose; when all have sat the operator may already have closed by itself."""
    with contextlib.suppress(RefusedError):
        coordinator.post(f"/api/deliveries/{_delivery_id(delivery)}/finalise", {"reason": _REASON})
    return _await_phase(stage, Phase.CLEANED_UP)


def _await_phase(stage: Stage, phase: Phase) -> ExamDelivery:
    objects = Objects(stage.runtime)
    deadline = time.monotonic() + _PHASE_SECONDS
    while True:
        found = objects.read(stage.object_name)
        if found.status.phase is phase:
            return found
        if time.monotonic() > deadline or found.status.phase in (Phase.FAILED, Phase.ABORTED):
            raise ExamctlError(
                f"the delivery is {found.status.phase} and not {phase}: {_reasons(found)}",
                "run the demo with --keep and look into the logs of its home",
            )
        time.sleep(_POLL_SECONDS)


def _reasons(found: ExamDelivery) -> str:
    told = [
        f"{condition.type} {condition.reason} {condition.message}"
        for condition in found.status.conditions
        if condition.status != "True" or condition.type == "Degraded"
    ]
    return "; ".join(told)[:600] or "no condition says why"


def _condition(found: ExamDelivery, kind: str) -> bool:
    return any(one.type == kind and one.status == "True" for one in found.status.conditions)


def _score_bins(coordinator: Coordinator, delivery_id: int) -> dict[str, int]:
    found = coordinator.get(f"/api/deliveries/{delivery_id}/results/histogram")
    return {f"{one['from']}-{one['to']}": int(one["count"]) for one in found["bins"]}


def _delivery_id(delivery: ExamDelivery) -> int:
    if delivery.status.delivery_id is None:
        raise ExamctlError("the delivery has no number yet")
    return delivery.status.delivery_id


@contextlib.contextmanager
def _first_error() -> Iterator[None]:
    """The words of an error that ended a group of tasks."""
    try:
        yield
    except* ExamctlError as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def _event_loop() -> asyncio.Runner:
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
