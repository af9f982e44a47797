"""A coordinator on a port of its own with two deliveries, for its pages in a real browser.

One delivery runs against a simulated exam-client, the other is over and its results are stored.
The coordinator, its database, sign-in and socket are the real ones.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from starlette.types import ASGIApp

from tests.support import exams
from tests.support.coordinator_rig import Delivery, Rig, coordinator_rig
from tests.support.final_results import hand_over
from tests.support.simulated_client import SimulatedClient
from tests.support.waiting import PATIENCE_SECONDS

T = TypeVar("T")
Json = dict[str, Any]
RUNNING_SIZE, COMPLETE_SIZE = 40, 24
PASSWORD = "correct horse battery"


@dataclass
class World:
    """``call`` runs a coroutine where the coordinator lives."""

    loop: asyncio.AbstractEventLoop
    url: str
    rig: Rig
    running: Delivery
    complete: Delivery
    client: SimulatedClient

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_SECONDS)

    def account(self, username: str, *grants: tuple[str, str | None]) -> None:
        """A staff account with the one password of these tests."""
        body = {
            "username": username,
            "display_name": username.title(),
            "password": PASSWORD,
            "grants": [{"role": role, "exam_id": exam} for role, exam in grants],
        }
        reply = self.call(self.rig.admin.post("/api/staff", json=body))
        assert reply.status_code == 201, reply.text

    def sign_in(self, username: str) -> Json:
        """A browser's storage with the cookie of a new session."""
        name = f"mx_staff_{self.rig.runtime.settings.instance}"
        body = {"username": username, "password": PASSWORD}
        reply = self.call(self.rig.client().post("/api/sign-in", json=body))
        assert reply.status_code == 200, reply.text
        return {"cookies": [{"name": name, "value": reply.cookies[name], "url": self.url}]}

    def answer(self, participant: int, answered: int) -> None:
        """One answer arrives from the exam-client, as an event."""
        row = self.client.start(participant, answered)
        event = self.running.event(
            event_type="answer_submitted",
            participant_id=participant,
            attempt_id=participant,
            question_id=1,
            revision=1,
            progress=row["progress"],
        )
        reply = self.call(self.running.send(event))
        assert reply.is_success, reply.text


@contextmanager
def dashboard_world(dsn: str, folder: Path) -> Iterator[World]:
    """Serves from a thread with a loop of its own, since playwright's loop holds the test's."""
    started: threading.Event = threading.Event()
    stopped: list[asyncio.Event] = []
    worlds: list[World | BaseException] = []

    async def serve() -> None:
        stop = asyncio.Event()
        stopped.append(stop)
        async with _opened(dsn, folder) as world:
            worlds.append(world)
            started.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 -- told by the test's own thread
            worlds.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(PATIENCE_SECONDS), "the coordinator did not start"
    world = worlds[0]
    if isinstance(world, BaseException):
        raise world
    yield world
    world.loop.call_soon_threadsafe(stopped[0].set)
    thread.join(PATIENCE_SECONDS)
    failed = [outcome for outcome in worlds if isinstance(outcome, BaseException)]
    assert failed == []


@asynccontextmanager
async def _opened(dsn: str, folder: Path) -> AsyncIterator[World]:
    door, client_door = _listen(), _listen()
    url, client_url = _url(door), _url(client_door)
    async with AsyncExitStack() as stack:
        # Anything that is asked for in these tests must be as fresh as the screen it is shown on.
        rig = await stack.enter_async_context(
            coordinator_rig(dsn, folder, public_url=url, probe_seconds=0.2, live_cache_seconds=0.05)
        )
        running, complete = await _deliveries(rig, client_url)
        client = SimulatedClient(running.id, running.uid, running.participants)
        await stack.enter_async_context(_served(client.app(), client_door))
        await stack.enter_async_context(_served(rig.public_app, door))
        yield World(asyncio.get_running_loop(), url, rig, running, complete, client)


async def _deliveries(rig: Rig, client_url: str) -> tuple[Delivery, Delivery]:
    document = exams.document(
        *(exams.single_best(number, stem=f"Question {number}?") for number in range(1, 4)),
        _essay(4),
        id="cardiology",
        title="Cardiology finals",
    )
    reply = await rig.admin.post("/api/exams", json=document)
    assert reply.status_code == 201, reply.text
    running = Delivery(rig, dict(reply.json()), await rig.import_roster(RUNNING_SIZE, "spring"))
    await running.register(endpoint_internal=client_url)
    assert (await running.incarnate()).is_success
    complete = Delivery(rig, running.exam, await rig.import_roster(COMPLETE_SIZE, "autumn"))
    await complete.register()
    await hand_over(complete, [_given(number) for number in range(COMPLETE_SIZE)])
    await complete.register(phase="CleanedUp", endpoint_public=None)
    return running, complete


def _essay(number: int) -> tuple[Json, Json]:
    item = {
        "id": number,
        "type": "essay",
        "stem": "Describe the first ten minutes.",
        "max_points": "4",
    }
    return item, {"item_id": number, "type": "essay", "rubric": "One point per step, at most four."}


def _given(number: int) -> list[Json]:
    """Participants differ: every second, third and fifth answer is right."""
    rules = [
        {
            "question_id": question,
            "answer": "A" if number % step else "B",
            "points": "1" if number % step else "0",
        }
        for question, step in ((1, 2), (2, 3), (3, 5))
    ]
    essay = {"question_id": 4, "answer": f"Call for help, then oxygen ({number}).", "points": "0"}
    return [
        *({**answer, "max_points": "1", "scoring": "auto"} for answer in rules),
        {**essay, "max_points": "4", "scoring": "manual"},
    ]


@asynccontextmanager
async def _served(app: ASGIApp, door: socket.socket) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[door]))
        yield
        server.should_exit = True


def _listen() -> socket.socket:
    door = socket.socket()
    door.bind(("127.0.0.1", 0))
    door.listen()
    return door


def _url(door: socket.socket) -> str:
    return f"http://127.0.0.1:{door.getsockname()[1]}"
