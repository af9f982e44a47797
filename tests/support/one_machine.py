"""A whole installation of examctl in a folder of its own, on ports of its own, for one test."""

import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import yaml

from exam_contract.delivery import ExamDelivery, Phase
from exam_operator.local.kernel import identify
from exam_operator.local.records import ClientRecord
from examctl import main
from examctl.runtime import Runtime
from tests.support import authority, deliveries, loopback, ports
from tests.support.waiting import until


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@dataclass
class OneMachine:
    """``examctl`` as its users run it: as commands."""

    home: Path
    base: int
    environment: dict[str, str]

    def run(self, *arguments: str, stdin: str = "") -> Done:
        """One command, to its end; in this process, since starting one costs a second."""
        out, err = io.StringIO(), io.StringIO()
        given = io.TextIOWrapper(io.BytesIO(stdin.encode()))
        with (
            mock.patch.dict(os.environ, self.environment, clear=True),
            mock.patch.object(sys, "stdin", given),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main.run([*arguments])
        return Done(code, out.getvalue(), err.getvalue())

    def ok(self, *arguments: str, stdin: str = "") -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.code == 0, done.err + done.out
        return done.out

    def ports(self) -> list[str]:
        """The flags that keep this installation apart from every other one."""
        base = self.base
        return [
            *("--port", str(base), "--internal-port", str(base + 1)),
            *("--metrics-port", str(base + 2), "--edge-port", str(base + 3)),
            *("--client-ports", f"{base + ports.CLIENTS.start}-{base + ports.CLIENTS[-1]}"),
        ]

    def up(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.ok("up", "--detach", "-o", "json", *self.ports()))
        return said

    def kill_up(self) -> None:
        """As a power cut of the terminal would: everything else goes on."""
        pid = self.runtime.pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: identify(pid) is None, what="the end of `up`")

    @property
    def runtime(self) -> Runtime:
        return Runtime.load(self.home)

    def assign(self, name: str = "morning", **changes: Any) -> ExamDelivery:
        """A delivery of a small exam that is open now, once it runs."""
        folder = self.home / "input"
        if not folder.exists():
            self._import(folder)
        self.ok("apply", "-f", "-", stdin=yaml.safe_dump(self._document(name, folder, changes)))
        return self.wait_for(Phase.RUNNING, name)

    def stored(self, name: str = "morning") -> ExamDelivery:
        return ExamDelivery.model_validate_json(self.ok("get", name, "-o", "json"))

    def wait_for(self, phase: Phase, name: str = "morning", above_epoch: int = 0) -> ExamDelivery:
        """Asks the edge itself: a command per look would be slow."""
        runtime = self.runtime
        url = f"{runtime.edge_url}/apis/exams.medxamion.io/v1/namespaces/default/examdeliveries"
        headers = {"Authorization": f"Bearer {runtime.edge_token}"}

        def look() -> ExamDelivery | None:
            reply = loopback.get(f"{url}/{name}", headers=headers)
            stored = ExamDelivery.model_validate(reply.json())
            there = stored.status.phase is phase and stored.status.epoch > above_epoch
            return stored if there else None

        found = until(look, what=f"{name} to be {phase}")
        assert found is not None
        return found

    def client(self, stored: ExamDelivery) -> ClientRecord:
        """The record of the exam-client's process."""
        folder = self.home / "deliveries" / str(stored.metadata.uid)
        return ClientRecord.model_validate_json((folder / "client.json").read_text())

    @contextlib.contextmanager
    def participant(self, stored: ExamDelivery) -> Iterator[httpx.Client]:
        """The one participant, signed in and begun, as an API client of the exam-client."""
        with (self.home / "input" / "people.codes.csv").open() as file:
            names = file.readline().strip().split(",")
            row = dict(zip(names, file.readline().strip().split(","), strict=False))
        token = (
            loopback.post(
                f"{self.runtime.coordinator_url}/api/participant/sign-in",
                json={
                    "delivery_id": stored.status.delivery_id,
                    "identifier": row["identifier"],
                    "access_code": row["access_code"],
                },
            )
            .raise_for_status()
            .json()["token"]
        )
        public = stored.status.endpoint.public
        assert public is not None
        with loopback.Client(base_url=public) as http:
            reply = http.get(
                "/exam/start",
                params={"device_id": "device-of-this-test"},
                headers={"Authorization": f"Bearer {token}", "X-Session-Transport": "bearer"},
            ).raise_for_status()
            http.headers["Authorization"] = f"Bearer {reply.json()['session']}"
            http.post("/exam/start", json={}).raise_for_status()
            yield http

    def _import(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "exam.json").write_text(authority.exam_document(5).model_dump_json())
        (folder / "people.csv").write_text("identifier,name,email\np1,Ada,ada@example.org\n")
        self.ok("exam", "import", str(folder / "exam.json"))
        self.ok("roster", "import", str(folder / "people.csv"))

    def _document(self, name: str, folder: Path, changes: dict[str, Any]) -> dict[str, Any]:
        checked = json.loads(self.ok("exam", "validate", str(folder / "exam.json"), "-o", "json"))
        now = datetime.now(UTC)
        window = {
            "opens_at": now - timedelta(seconds=5),
            "closes_at": now + timedelta(hours=1),
        }
        document = deliveries.document(name, **window)
        digest = checked["content_digest"]
        document["spec"] |= {
            "exam": {"id": "sample", "version": "1", "contentDigest": digest},
            "participants": {"rosterRef": "people"},
            **changes,
        }
        return document


@contextlib.contextmanager
def one_machine(home: Path) -> Iterator[OneMachine]:
    """Whatever the test started has ended afterwards."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "MEDXAMION_URL")
    }
    with ports.block() as base:
        machine = OneMachine(home, base, {**environment, "MEDXAMION_HOME": str(home)})
        try:
            yield machine
        finally:
            if home.is_dir():
                machine.ok("down")
