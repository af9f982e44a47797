"""The whole system while 200 participants sit: how fast others see what they do, and its memory.

Times are taken where they pass: the exam-client's stamp of an event, the moment at which the
coordinator's transaction for it began (``events.received_at``), and the arrival of its WebSocket
frame here. All clocks are this machine's.
"""

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median

import httpx
import psycopg
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bench import installation, machine
from bench.installation import Installation
from bench.machine import BenchError, Cores
from bench.report import Measure, percentile
from exam_contract.delivery import ExamDelivery
from exam_operator.local.places import Place
from examctl.simulation import crowd
from examctl.simulation.ledger import Ledger
from examctl.simulation.sitting import Behaviour, Credentials, Venue
from examctl.simulation.tally import Tally

PEOPLE = 200
CALM = Behaviour(
    think_seconds=2.0, arrival_seconds=8.0, item_limit=12, reconnect_share=0.0, cut_share=0.0,
    device_change_share=0.0,
)  # fmt: skip
POLL_SECONDS = 0.2
LINGER_SECONDS = 1.0


@dataclass(slots=True)
class Seen:
    """What the observers saw. ``frames``: seq to the wall-clock time of its frame."""

    frames: dict[int, float] = field(default_factory=dict)
    polls: list[float] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)
    memory: dict[str, float] = field(default_factory=dict)


def live(cores: Cores, options: argparse.Namespace) -> list[Measure]:
    """A sitting with a committee that watches."""
    with installation.installed() as installed:
        delivery, venue, people = installation.assign(installed, PEOPLE)
        seen, tally = Seen(), Tally(PEOPLE)
        asyncio.run(_watch_sitting(installed, delivery, venue, people, seen, tally))
        stamps = _stamps(installed, venue.delivery_id)
    if tally.gave_up:
        raise BenchError(f"participants gave up: {dict(tally.gave_up)}")
    return _measures(seen, tally, stamps)


async def _watch_sitting(
    installed: Installation,
    delivery: ExamDelivery,
    venue: Venue,
    people: list[Credentials],
    seen: Seen,
    tally: Tally,
) -> None:
    with Ledger(installed.home / "ledger.jsonl") as ledger:
        async with asyncio.TaskGroup() as tasks:
            watching = [
                tasks.create_task(_read_frames(installed, venue.delivery_id, seen)),
                tasks.create_task(_poll(installed, venue.delivery_id, seen)),
                tasks.create_task(_weigh(installed, seen)),
            ]
            await crowd.sit(venue, people, CALM, 1, ledger, tally)
            await asyncio.sleep(LINGER_SECONDS)
            for task in watching:
                task.cancel()


async def _read_frames(installed: Installation, delivery_id: int, seen: Seen) -> None:
    runtime = installed.runtime
    url = runtime.coordinator_url.replace("http", "ws", 1) + "/api/ws"
    bearer = {"Authorization": f"Bearer {runtime.cli_token}"}
    try:
        async with connect(url, additional_headers=bearer, max_size=None) as socket:
            await socket.send(json.dumps({"type": "subscribe", "delivery_id": delivery_id}))
            async for text in socket:
                arrived = time.time()
                message = json.loads(text)
                if message["type"] == "ping":
                    await socket.send('{"type": "pong"}')
                for entry in message.get("events", []):
                    seen.frames.setdefault(entry["event"]["seq"], arrived)
    except ConnectionClosed as error:
        raise BenchError(f"the WebSocket was closed: {error}") from error


async def _poll(installed: Installation, delivery_id: int, seen: Seen) -> None:
    runtime = installed.runtime
    bearer = {"Authorization": f"Bearer {runtime.cli_token}"}
    async with httpx.AsyncClient(base_url=runtime.coordinator_url, headers=bearer) as http:
        while True:
            begun = time.perf_counter()
            reply = await http.get(f"/api/deliveries/{delivery_id}/live-progress")
            seen.polls.append(time.perf_counter() - begun)
            seen.sources.add(reply.json()["source"])
            await asyncio.sleep(POLL_SECONDS)


async def _weigh(installed: Installation, seen: Seen) -> None:
    """The largest RSS of each service."""
    while True:
        for name, pid in service_pids(installed.home).items():
            seen.memory[name] = max(seen.memory.get(name, 0.0), machine.rss_mb(pid))
        await asyncio.sleep(1)


def service_pids(home: Path) -> dict[str, int]:
    """The coordinator and the exam-client of an installation with one delivery."""
    uid = next((home / "deliveries").iterdir()).name
    records = {
        "coordinator": home / "coordinator.json",
        "exam-client": Place(home / "deliveries" / uid, uid).record,
    }
    return {name: int(json.loads(path.read_bytes())["pid"]) for name, path in records.items()}


def _stamps(installed: Installation, delivery_id: int) -> dict[int, tuple[float, float]]:
    """seq to when the exam-client stamped it and when the coordinator's transaction began."""
    with psycopg.connect(installed.runtime.postgres_dsn) as connection:
        rows = connection.execute(
            "SELECT seq, body::json->>'timestamp', received_at FROM events"
            " WHERE delivery_id = %s AND event_type = 'answer_submitted'",
            (delivery_id,),
        ).fetchall()
    return {
        seq: (datetime.fromisoformat(stamped).timestamp(), received.timestamp())
        for seq, stamped, received in rows
    }


def _measures(seen: Seen, tally: Tally, stamps: dict[int, tuple[float, float]]) -> list[Measure]:
    watched = {seq: times for seq, times in stamps.items() if seq in seen.frames}
    outbox = [(received - stamped) * 1000 for stamped, received in watched.values()]
    frame = [(seen.frames[seq] - received) * 1000 for seq, (_, received) in watched.items()]
    whole = [(seen.frames[seq] - stamped) * 1000 for seq, (stamped, _) in watched.items()]
    polls = [seconds * 1000 for seconds in seen.polls]
    answers = tally.latencies.summary()
    coalesced = f"{len(watched):,} of {len(stamps):,} events seen as frames"
    told = f"{len(polls)} polls, {'/'.join(sorted(seen.sources))}"
    return [
        *_spread("live progress", polls, 100.0, told),
        *_spread("event arrival to WebSocket frame", frame, 50.0, coalesced),
        *_spread("outbox to coordinator", outbox, 100.0, ""),
        *_spread("answer saved to WebSocket frame", whole, None, ""),
        Measure("live", "answer, p99", answers.p99_ms, "ms", note="with the crowd's own ledger"),
        Measure("live", "coordinator, RSS", seen.memory["coordinator"], "MB", 250.0),
        Measure("live", "exam-client, RSS", seen.memory["exam-client"], "MB", 120.0),
    ]  # fmt: skip


def _spread(what: str, values: list[float], target: float | None, note: str) -> list[Measure]:
    if not values:
        raise BenchError(f"{what}: nothing was seen")
    return [
        Measure("live", f"{what}, p50", median(values), "ms"),
        Measure("live", f"{what}, p99", percentile(values, 99), "ms", target, note=note),
    ]
