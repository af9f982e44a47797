"""The real exam-client process under measurement, opened and with its participants signed in."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench import machine
from bench.assignment import Assignment
from bench.machine import BenchError, Cores, Process

SIGNING_IN = 16
"""Participants who sign in at the same time."""


@dataclass(slots=True)
class ExamClient:
    """``sessions``: bearer of each participant, by their order."""

    assignment: Assignment
    process: Process
    url: str
    control_url: str
    arguments: list[str]
    environment: dict[str, str]
    core: int
    sessions: list[str] = field(default_factory=list)

    def restart(self) -> None:
        """Start a successor on the same volume, as a supervisor would."""
        self.process = machine.start(
            self.arguments, self.core, self.process.log, self._next_epoch()
        )

    def _next_epoch(self) -> dict[str, str]:
        epoch = int(self.environment["MEDXAMION_CLIENT_EPOCH"]) + 1
        self.environment["MEDXAMION_CLIENT_EPOCH"] = str(epoch)
        return self.environment

    def is_ready(self) -> bool:
        try:
            reply = httpx.get(f"{self.control_url}/healthz/ready", timeout=1)
        except httpx.HTTPError:
            return False
        return reply.status_code == httpx.codes.OK

    def desire_running(self) -> None:
        """What the operator would say: attempts may start."""
        desired = {
            "generation": 1,
            "mode": "run",
            "window": self.assignment.window.model_dump(mode="json"),
            "time_limit_seconds": 7200,
        }
        bearer = {"Authorization": f"Bearer {self.assignment.control_key}"}
        reply = httpx.put(f"{self.control_url}/desired", json=desired, headers=bearer)
        if reply.status_code >= httpx.codes.BAD_REQUEST:
            raise BenchError(f"PUT /desired was refused: {reply.text}")

    def items(self) -> list[int]:
        """The single-best items: each answer is scored, and none waits for a scorer."""
        return [
            item.id for item in self.assignment.document.exam.items if item.type == "single_best"
        ]


@contextmanager
def running(
    cores: Cores, folder: Path, participants: int, *, module: str = "exam_client"
) -> Iterator[ExamClient]:
    """An exam-client on the server's core, its coordinator's stub on the load's."""
    folder.mkdir()
    assignment = Assignment(participants)
    assignment.write_secrets(folder / "secret")
    (folder / "volume").mkdir(mode=0o700)
    bundle = folder / "bundle.json"
    bundle.write_text(assignment.signed_bundle().model_dump_json(), encoding="utf-8")
    stub_port, port, control_port = machine.free_ports(3)
    stub = machine.python("-m", "bench.coordinator_stub", str(stub_port), str(bundle))
    with machine.started(stub, cores.load, folder / "stub.log"):
        environment = _environment(assignment, folder, stub_port, port, control_port)
        arguments = machine.python("-m", module)
        process = machine.start(arguments, cores.server, folder / "client.log", environment)
        client = ExamClient(
            assignment, process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{control_port}",
            arguments, environment, cores.server,
        )  # fmt: skip
        try:
            process.wait_until(client.is_ready, f"python -m {module}")
            client.desire_running()
            client.sessions = asyncio.run(_sign_all_in(client))
            yield client
        finally:
            client.process.kill()


def _environment(
    assignment: Assignment, folder: Path, stub_port: int, port: int, control_port: int
) -> dict[str, str]:
    settings = {
        "DELIVERY_ID": assignment.delivery_id,
        "DELIVERY_UID": assignment.uid,
        "POD_UID": "bench",
        "EPOCH": 1,
        "VOLUME_DIR": folder / "volume",
        "SECRET_DIR": folder / "secret",
        "COORDINATOR_URL": f"http://127.0.0.1:{stub_port}",
        "PORT": port,
        "CONTROL_PORT": control_port,
        "LOG_LEVEL": "warning",
    }
    return {f"MEDXAMION_CLIENT_{name}": str(value) for name, value in settings.items()}


async def _sign_all_in(client: ExamClient) -> list[str]:
    limit = asyncio.Semaphore(SIGNING_IN)
    async with httpx.AsyncClient(base_url=client.url, timeout=30) as http:

        async def sign_in(participant_id: int) -> str:
            async with limit:
                return await _begin(http, client.assignment.participant_token(participant_id))

        everyone = range(1, client.assignment.participants + 1)
        return await asyncio.gather(*(sign_in(participant_id) for participant_id in everyone))


async def _begin(http: httpx.AsyncClient, token: str) -> str:
    """Check in, and begin the attempt."""
    headers = {"Authorization": f"Bearer {token}", "X-Session-Transport": "bearer"}
    reply = await http.get(
        "/exam/start", params={"device_id": secrets.token_hex(16)}, headers=headers
    )
    if reply.status_code != httpx.codes.OK:
        raise BenchError(f"GET /exam/start was refused: {reply.text}")
    session = str(json.loads(reply.content)["session"])
    begun = await http.post("/exam/start", json={}, headers={"Authorization": f"Bearer {session}"})
    if begun.status_code != httpx.codes.OK:
        raise BenchError(f"POST /exam/start was refused: {begun.text}")
    return session
