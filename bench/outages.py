"""How long an exam stands still when a process is killed, and whether it stands still at all."""

import argparse
import asyncio
import secrets
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx

from bench import client, installation, system
from bench.client import ExamClient
from bench.installation import Installation
from bench.machine import BenchError, Cores
from bench.report import Measure, percentile
from examctl.simulation import crowd
from examctl.simulation.ledger import Ledger
from examctl.simulation.sitting import Behaviour, Credentials, Venue
from examctl.simulation.tally import Tally

KILLS = 15
PEOPLE = 200


def recovery(cores: Cores, options: argparse.Namespace) -> list[Measure]:
    """SIGKILL, a successor at once, and the first answer it accepts over HTTP."""
    with (
        tempfile.TemporaryDirectory(prefix="medxamion-bench-") as folder,
        client.running(cores, Path(folder) / "client", PEOPLE) as loaded,
    ):
        _fill(loaded)
        seconds = [_kill_and_answer(loaded, number) for number in range(KILLS)]
    note = f"{KILLS} kills, {PEOPLE} participants with {PEOPLE * 10:,} answers stored"
    return [
        Measure(
            "recovery", "SIGKILL to first answer, median", median(seconds), "s", 3.0, note=note
        ),
        Measure("recovery", "SIGKILL to first answer, worst", percentile(seconds, 100), "s"),
    ]


def _fill(loaded: ExamClient) -> None:
    """Ten answers of each participant, so that there is something to recover."""
    with httpx.Client(base_url=loaded.url, timeout=30) as http:
        for session in loaded.sessions:
            commands = [_command(item, 0) for item in loaded.items()[:10]]
            _accepted(http, "/exam/answers", session, {"commands": commands})


def _kill_and_answer(loaded: ExamClient, number: int) -> float:
    item = loaded.items()[10]
    loaded.process.kill()
    begun = time.perf_counter()
    loaded.restart()
    deadline = begun + 30
    with httpx.Client(base_url=loaded.url, timeout=5) as http:
        while time.perf_counter() < deadline:
            try:
                _accepted(http, "/exam/answer", loaded.sessions[number], _command(item, 0))
            except (httpx.HTTPError, BenchError):
                time.sleep(0.005)
                continue
            return time.perf_counter() - begun
    raise BenchError("the successor accepted no answer within 30 s")


def _accepted(http: httpx.Client, path: str, session: str, body: object) -> None:
    reply = http.post(path, json=body, headers={"Authorization": f"Bearer {session}"})
    if reply.status_code != httpx.codes.OK or b"problem:" in reply.content:
        raise BenchError(f"POST {path} was refused: {reply.text[:200]}")


def _command(item: int, base_revision: int) -> dict[str, object]:
    return {
        "question_id": item,
        "answer": "A",
        "command_id": secrets.token_hex(12),
        "base_revision": base_revision,
    }


SITTERS = 60
SECONDS_A_KILL = 8
"""The sitting is made long enough for this."""
ANSWERS_BETWEEN = 10
"""Answers that are acknowledged while ``examctl up`` is dead, each time, before it comes back."""
DEAD_SECONDS = 20.0


@dataclass(slots=True)
class Deaths:
    """``standstills``: the longest time without an answer around each kill, in seconds."""

    standstills: list[float] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)


def survival(cores: Cores, options: argparse.Namespace) -> list[Measure]:
    """The exam goes on while nobody looks after it, and the next ``up`` takes it over."""
    deaths = Deaths()
    with installation.installed() as installed:
        _, venue, people = installation.assign(installed, SITTERS)
        asyncio.run(_sit_and_kill(installed, venue, people, deaths, options.kills))
    note = f"{ANSWERS_BETWEEN} answers accepted while it was dead, each time"
    kills = len(deaths.returns)
    return [
        Measure("survival", "kills survived", kills, "", options.kills, "more", note),
        Measure("survival", "longest time without an answer", max(deaths.standstills), "s"),
        Measure("survival", "`examctl up` to ready, median", median(deaths.returns), "s"),
    ]


def _steady(kills: int, items: int) -> Behaviour:
    """Nobody leaves or reconnects, so a gap between answers is the system's."""
    return Behaviour(
        think_seconds=max(1.0, kills * SECONDS_A_KILL / items), arrival_seconds=1.0,
        reconnect_share=0.0, cut_share=0.0, device_change_share=0.0, patience_seconds=30.0,
    )  # fmt: skip


async def _sit_and_kill(
    installed: Installation, venue: Venue, people: list[Credentials], deaths: Deaths, kills: int
) -> None:
    tally, steady = Tally(SITTERS), _steady(kills, len(venue.keys))
    with Ledger(installed.home / "ledger.jsonl") as ledger:
        async with asyncio.TaskGroup() as tasks:
            sitting = tasks.create_task(crowd.sit(venue, people, steady, 1, ledger, tally))
            await tally.until(lambda: tally.started == SITTERS)
            while len(deaths.returns) < kills:
                await _kill_once(installed, tally, deaths)
            sitting.cancel()
    if tally.gave_up:
        raise BenchError(f"the exam stopped for participants: {dict(tally.gave_up)}")


async def _kill_once(installed: Installation, tally: Tally, deaths: Deaths) -> None:
    """Answers must flow while it is dead, from the same process as before."""
    serving = system.service_pids(installed.home)["exam-client"]
    installed.process.kill()
    longest, last = 0.0, time.perf_counter()
    for _ in range(ANSWERS_BETWEEN):
        wanted = tally.acknowledged + 1
        try:
            async with asyncio.timeout(DEAD_SECONDS):
                await tally.until(lambda wanted=wanted: tally.acknowledged >= wanted)  # type: ignore[misc]
        except TimeoutError:
            raise BenchError(f"no answer for {DEAD_SECONDS:.0f} s after the kill") from None
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    begun = time.perf_counter()
    await asyncio.to_thread(installed.start_again)
    deaths.returns.append(time.perf_counter() - begun)
    deaths.standstills.append(longest)
    if system.service_pids(installed.home)["exam-client"] != serving:
        raise BenchError("the exam-client was replaced although only `examctl up` was killed")
