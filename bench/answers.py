"""Durable answers per second through the real exam-client, pinned to one core, and their latency.

``wrk`` (compiled, from Debian) loads it from the other core with a new command per request. The
same load goes to the same service without its COMMIT, in turns, so the price of durability shows.
"""

import argparse
import json
import secrets
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import client, machine
from bench.client import ExamClient
from bench.machine import BenchError, Cores
from bench.report import Measure

LUA = Path(__file__).with_name("answers.lua")
PEOPLE = 100
"""Participants per turn: each turn has its own, since wrk leaves requests unanswered at its end."""
CONNECTIONS = (1, 32, 128)
MODULES = {"durable": "exam_client", "without commit": "bench.uncommitted"}
RATE_TARGET = {128: 8000.0}
P50_TARGET = {1: 1.5}
P99_TARGET = {1: 10.0, 128: 40.0}


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of wrk. Latencies in milliseconds; ``cpu_rate``: answers per second of CPU time."""

    rate: float
    cpu_rate: float
    p50: float
    p99: float


def run(cores: Cores, options: argparse.Namespace) -> list[Measure]:
    """Both services side by side, one loaded at a time."""
    people = PEOPLE * len(CONNECTIONS) * options.turns
    turns: dict[tuple[str, int], list[Turn]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medxamion-bench-")))
        clients = {
            name: stack.enter_context(
                client.running(cores, folder / name.replace(" ", "-"), people, module=module)
            )
            for name, module in MODULES.items()
        }
        for number, connections in enumerate(CONNECTIONS * options.turns):
            for name, loaded in clients.items():
                first = number * PEOPLE
                turn = _load(cores, folder, loaded, first, connections, options.seconds)
                turns.setdefault((name, connections), []).append(turn)
        memory = clients["durable"].process.rss_mb()
    measures = [found for connections in CONNECTIONS for found in _measures(turns, connections)]
    note = f"{people} participants, after the load"
    return [*measures, Measure("answers", "exam-client, RSS", memory, "MB", note=note)]


def _load(
    cores: Cores, folder: Path, loaded: ExamClient, first: int, connections: int, seconds: int
) -> Turn:
    sessions, items = folder / "sessions", folder / "items"
    sessions.write_text("\n".join(loaded.sessions[first : first + PEOPLE]), encoding="utf-8")
    items.write_text("\n".join(map(str, loaded.items())), encoding="utf-8")
    command = [
        machine.program("taskset", "util-linux"), "-c", str(cores.load),
        machine.program("wrk", "wrk"), "-t1", f"-c{connections}", f"-d{seconds}s",
        "--timeout", "10s", "-s", str(LUA), loaded.url,
        "--", str(sessions), str(items), secrets.token_hex(4),
    ]  # fmt: skip
    used = loaded.process.cpu_seconds()
    ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    line = next((line for line in ran.stdout.splitlines() if line.startswith("FOUND ")), None)
    if line is None:
        raise BenchError(f"wrk said nothing:\n{ran.stdout}\n{ran.stderr}")
    found = json.loads(line.removeprefix("FOUND "))
    if found["refused"] or found["broken"]:
        raise BenchError(f"answers were refused, so the figures would be wrong: {found}")
    used = loaded.process.cpu_seconds() - used
    rate = found["requests"] / found["microseconds"] * 1e6
    return Turn(rate, found["requests"] / used, found["p50"] / 1000, found["p99"] / 1000)


def _measures(turns: dict[tuple[str, int], list[Turn]], connections: int) -> list[Measure]:
    durable = turns["durable", connections]
    rate = median(turn.rate for turn in durable)
    bare = median(turn.rate for turn in turns["without commit", connections])
    at = f"at {connections} connection{'s' if connections > 1 else ''}"
    p50, p99 = median(turn.p50 for turn in durable), median(turn.p99 for turn in durable)
    spread = (
        f"{min(turn.rate for turn in durable):,.0f} to {max(turn.rate for turn in durable):,.0f}"
    )
    target = RATE_TARGET.get(connections)
    return [
        Measure("answers", f"durable answers {at}", rate, "/s", target, "more", spread),
        Measure(
            "answers",
            f"per second of CPU {at}",
            median(turn.cpu_rate for turn in durable),
            "",
            note="what a core of its own would do",
        ),
        Measure("answers", f"p50 {at}", p50, "ms", P50_TARGET.get(connections)),
        Measure("answers", f"p99 {at}", p99, "ms", P99_TARGET.get(connections)),
        Measure(
            "answers", f"without commit {at}", bare, "/s", note=f"durable is {rate / bare:.0%}"
        ),
    ]
