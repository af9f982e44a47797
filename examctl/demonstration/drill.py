"""Crashes on purpose: SIGKILL for the exam-client under load and for the coordinator at sign-in.

A crash hits a moment that matters: answers are in flight, or sign-ins still arrive. Recovery is
measured by what participants see, never by what a process says of itself.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from examctl.demonstration.report import Drill
from examctl.errors import ExamctlError
from examctl.simulation.tally import Tally

CLIENT_KILLS_AT = (0.30, 0.65)
"""Shares of the expected answers after which the exam-client is killed."""
COORDINATOR_KILL_AT = 0.4
"""Share of the participants that have signed in when the coordinator is killed."""
_RECOVERY_LIMIT_SECONDS = 90.0
_DEATH_LIMIT_SECONDS = 10.0
_DRAIN_SECONDS = 0.05
Found = TypeVar("Found")


class Processes(Protocol):
    """Where the processes under test are found; asked anew each time, since successors come."""

    def exam_client_pid(self) -> int: ...

    def coordinator_pid(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Load:
    """What the drill aims at."""

    tally: Tally
    expected_answers: int


async def kill_exam_client_twice(load: Load, processes: Processes, drill: Drill) -> None:
    """Kill, measure, let it work on, kill again."""
    for share in CLIENT_KILLS_AT:
        wanted = int(load.expected_answers * share)
        await _until(lambda wanted=wanted: load.tally.acknowledged >= wanted, load.tally)  # type: ignore[misc]
        pid = await asyncio.to_thread(processes.exam_client_pid)
        await _until(lambda: load.tally.in_flight > 0, load.tally)
        if load.tally.finished == load.tally.participants:
            return
        await _kill_exam_client(load.tally, pid, drill)


async def kill_coordinator_once(load: Load, processes: Processes, drill: Drill) -> None:
    """Kill the coordinator while people sign in, and wait until the next one could."""
    wanted = int(load.tally.participants * COORDINATOR_KILL_AT)
    pid = await asyncio.to_thread(processes.coordinator_pid)
    await _until(lambda: load.tally.signed_in >= wanted, load.tally)
    if load.tally.signed_in == load.tally.participants:
        return
    began = asyncio.get_running_loop().time()
    drill.coordinator_kills += 1
    await _kill(pid)
    # Replies of the dead one that had reached us already are read meanwhile.
    await asyncio.sleep(_DRAIN_SECONDS)
    before = load.tally.admitted
    await _limited(_until(lambda: load.tally.admitted > before, load.tally), "coordinator")
    drill.coordinator_recovery_seconds.append(_since(began))


async def _kill_exam_client(tally: Tally, pid: int, drill: Drill) -> None:
    began = asyncio.get_running_loop().time()
    drill.inflight_at_kill.append(tally.in_flight)
    await _kill(pid)
    first = tally.first_accepted(sent_after=asyncio.get_running_loop().time())
    received = await _limited(first, "exam-client")
    drill.recovery_seconds.append(round(received - began, 3))


async def _kill(pid: int) -> None:
    """SIGKILL and see it dead: a reply after this moment comes from a successor."""
    loop = asyncio.get_running_loop()
    dead = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    try:
        loop.add_reader(descriptor, dead.set)
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        async with asyncio.timeout(_DEATH_LIMIT_SECONDS):
            await dead.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _until(holds: Callable[[], bool], tally: Tally) -> None:
    """Wait for a condition, or until nobody is left who could make it true."""
    await tally.until(lambda: holds() or tally.finished >= tally.participants)


async def _limited(waiting: Awaitable[Found], who: str) -> Found:
    try:
        async with asyncio.timeout(_RECOVERY_LIMIT_SECONDS):
            return await waiting
    except TimeoutError as error:
        told = f"the {who} did not come back within {_RECOVERY_LIMIT_SECONDS:.0f} s"
        raise ExamctlError(told, "look into the logs that --keep leaves in the home") from error


def _since(began: float) -> float:
    return round(asyncio.get_running_loop().time() - began, 3)
