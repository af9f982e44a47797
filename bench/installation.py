"""A whole MedXamion on this machine, by ``examctl up``, with a delivery of the example exam."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.assignment import EXAM
from bench.machine import BenchError, Process
from exam_contract.delivery import ExamDelivery, Phase
from exam_contract.keys import ExamDocument, content_digest
from examctl.commands.exam import upload
from examctl.commands.roster import import_with_codes
from examctl.coordinator_api import Coordinator
from examctl.demonstration.objects import Objects, fill_example, utc_now
from examctl.demonstration.people import invent_roster
from examctl.errors import ExamctlError
from examctl.machine.stopping import stop_everything
from examctl.runtime import Runtime
from examctl.simulation.people import read_codes
from examctl.simulation.sitting import Credentials, Venue

NAME = "bench"
_WAIT_SECONDS = 120.0


@dataclass(slots=True)
class Installation:
    """``process`` is ``examctl up``; ``command`` starts it again in the same home."""

    home: Path
    command: list[str]
    process: Process

    @property
    def runtime(self) -> Runtime:
        return Runtime.load(self.home)

    def start_again(self) -> None:
        """Another ``examctl up`` in the same home; returns when it says that it is ready."""
        self.process = machine.start(self.command, None, self.process.log)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Ready, and said so by this very process."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline and self.process.popen.poll() is None:
            with contextlib.suppress(ExamctlError):
                runtime = self.runtime
                if runtime.state == "ready" and runtime.pid == self.process.pid:
                    return
            time.sleep(0.01)
        raise BenchError(f"`examctl up` did not get ready:\n{machine.tail(self.process.log)}")


@contextlib.contextmanager
def installed() -> Iterator[Installation]:
    """Everything up; at the end everything ended and removed."""
    with tempfile.TemporaryDirectory(prefix="medxamion-bench-") as folder:
        Path(folder).chmod(0o711)
        home = Path(folder) / "home"
        command = [*machine.python("-m", "examctl", "up", "--home", str(home)), *_ports()]
        process = machine.start(command, None, Path(folder) / "up.log")
        installation = Installation(home, command, process)
        try:
            installation.wait_ready()
            yield installation
        finally:
            with contextlib.suppress(ExamctlError):
                stop_everything(home, lambda step: None)
            installation.process.kill()


def assign(
    installation: Installation, participants: int
) -> tuple[ExamDelivery, Venue, list[Credentials]]:
    """Import the example exam and a roster, apply the object, and wait until it runs."""
    document = ExamDocument.model_validate_json(EXAM.read_bytes())
    runtime = installation.runtime
    codes = installation.home / "codes.csv"
    with Coordinator(runtime.coordinator_url, runtime.cli_token) as coordinator:
        upload(coordinator, document)
        roster = import_with_codes(coordinator, NAME, invent_roster(participants, 1), codes)
    exam = document.exam
    named = {"id": exam.id, "version": exam.version, "contentDigest": content_digest(exam)}
    wanted = fill_example(named, roster, participants, utc_now())
    wanted["metadata"]["name"] = NAME
    objects = Objects(runtime)
    objects.create(wanted)
    delivery = _await_running(objects)
    keys = {entry.item_id: entry for entry in document.key}
    venue = Venue(runtime.coordinator_url, delivery.status.delivery_id or 0, keys)
    return delivery, venue, read_codes(codes.read_bytes(), codes.name)


def _await_running(objects: Objects) -> ExamDelivery:
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        found = objects.read(NAME)
        if found.status.phase is Phase.RUNNING and found.status.endpoint.public:
            return found
        time.sleep(0.05)
    raise BenchError(f"the delivery is {found.status.phase} and not Running")


def _ports() -> list[str]:
    """Free ones: a bench never disturbs what runs already."""
    main, internal, metrics, edge = machine.free_ports(4)
    first = _client_port()
    return [
        "--port", str(main), "--internal-port", str(internal), "--metrics-port", str(metrics),
        "--edge-port", str(edge), "--client-ports", f"{first}-{first}",
    ]  # fmt: skip


def _client_port() -> int:
    for port in range(8600, 8990):
        if machine.is_free(port) and machine.is_free(port + 1000):
            return port
    raise BenchError("no port from 8600 to 8989 is free")
