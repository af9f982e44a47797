"""A real ``python -m exam_client`` with keys, trust and bundle in a folder, for tests and bench."""

import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from exam_contract.bundle import Bundle
from exam_contract.control import ClientStatus, Mode
from tests.support import authority as authorities
from tests.support import loopback, ports
from tests.support.authority import Authority
from tests.support.certificates import Issuer
from tests.support.fake_coordinator import FakeCoordinator
from tests.support.waiting import PATIENCE_SECONDS, until

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]


@dataclass
class ClientProcess:
    """One exam-client: its folders, its environment, and the process while it runs."""

    folder: Path
    authority: Authority
    coordinator_url: str
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    delivery_id: int = 1
    epoch: int = 0
    extra: dict[str, str] = field(default_factory=dict)
    issuer: Issuer | None = None
    """With one, both ports speak https with its certificate."""
    verify: ssl.SSLContext = loopback.NO_AUTHORITIES
    prefix: list[str] = field(default_factory=list)
    """Put before the command, for example ``taskset -c 0``."""
    process: subprocess.Popen[bytes] | None = None
    port: int = field(default_factory=ports.one)
    control_port: int = field(default_factory=ports.one)

    def __post_init__(self) -> None:
        self.control_key = secrets.token_hex(16)
        self.secret_dir, self.volume_dir = self.folder / "secret", self.folder / "volume"
        self.secret_dir.mkdir(parents=True)
        self.volume_dir.mkdir(exist_ok=True)
        (self.secret_dir / "storage.key").write_bytes(os.urandom(32))
        (self.secret_dir / "service.key").write_text(secrets.token_hex(16))
        (self.secret_dir / "control.key").write_text(self.control_key)
        (self.secret_dir / "trust.json").write_text(self.authority.trust.model_dump_json())
        if self.issuer is not None:
            self.issuer.folder(self.tls_dir)
            self.verify = self.issuer.trusting()
            self.extra |= {"TLS_DIR": str(self.tls_dir), "TLS_POLL_SECONDS": "0.1"}

    @property
    def tls_dir(self) -> Path:
        return self.folder / "tls"

    @property
    def url(self) -> str:
        return f"{'https' if self.issuer else 'http'}://127.0.0.1:{self.port}"

    @property
    def control_url(self) -> str:
        return f"{'https' if self.issuer else 'http'}://127.0.0.1:{self.control_port}"

    @property
    def log_path(self) -> Path:
        return self.folder / "exam-client.log"

    def dial(self) -> socket.socket:
        """A bare connection to the participants' port."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)

    def environment(self) -> dict[str, str]:
        settings = {
            "DELIVERY_ID": str(self.delivery_id),
            "DELIVERY_UID": self.uid,
            "POD_UID": f"pod-{self.epoch}",
            "EPOCH": str(self.epoch),
            "VOLUME_DIR": str(self.volume_dir),
            "SECRET_DIR": str(self.secret_dir),
            "COORDINATOR_URL": self.coordinator_url,
            "PORT": str(self.port),
            "CONTROL_PORT": str(self.control_port),
        } | self.extra
        prefixed = {f"MEDXAMION_CLIENT_{name}": value for name, value in settings.items()}
        return os.environ | prefixed | {"PYTHONPATH": str(ROOT)}

    def launch(self) -> "ClientProcess":
        """Start a successor without waiting for it."""
        self.epoch += 1
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "exam_client"],
                env=self.environment(),
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        return self

    def start(self) -> "ClientProcess":
        """Start, and wait until it serves."""
        self.launch()
        serving = until(self._serving, what=f"the exam-client ({self.log_path})")
        assert serving is not None
        assert (serving["port"], serving["control_port"]) == (self.port, self.control_port)
        return self

    def start_ready(self, *, mode: Mode | None = Mode.RUN, bundle: Bundle) -> "ClientProcess":
        """Start, wait for the bundle, and put a desired document in force."""
        self.start()
        until(self.is_ready, what="the exam-client to be ready")
        if mode is not None:
            self.desire(mode, bundle)
        return self

    def is_ready(self) -> bool:
        return self.probe("ready").status_code == 200

    def probe(self, name: str) -> httpx.Response:
        return loopback.get(f"{self.control_url}/healthz/{name}", verify=self.verify)

    def log_text(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode()

    def status(self) -> ClientStatus:
        reply = loopback.get(
            f"{self.control_url}/status", headers=self.control_headers, verify=self.verify
        )
        assert reply.status_code == 200, reply.text
        return ClientStatus.model_validate_json(reply.content)

    @property
    def control_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.control_key}"}

    def desire(self, mode: Mode, bundle: Bundle, **members: Any) -> httpx.Response:
        """``PUT /desired`` with the next generation."""
        body: Json = {
            "generation": self.status().generation + 1,
            "mode": mode,
            "window": bundle.window.model_dump(mode="json"),
            "time_limit_seconds": bundle.time_limit_seconds,
        }
        return loopback.put(
            f"{self.control_url}/desired",
            json=body | members,
            headers=self.control_headers,
            verify=self.verify,
        )

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=PATIENCE_SECONDS)

    def terminate(self, *, seconds: float = PATIENCE_SECONDS) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)

    def ended(self) -> int:
        assert self.process is not None
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def _serving(self) -> Json | None:
        assert self.process is not None
        for line in self.log_text().splitlines():
            if '"serving"' in line:
                found: Json = json.loads(line)
                return found
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}: {self.log_text()}")
        return None


@dataclass
class Sitter:
    """A participant over HTTP, with a bearer session."""

    client: ClientProcess
    participant_id: int
    device_id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    session: str = ""
    revisions: dict[int, int] = field(default_factory=dict)

    def sign_in(self, token: str | None = None) -> httpx.Response:
        uid = self.client.uid
        token = token or self.client.authority.participant_token(uid, self.participant_id)
        reply = loopback.get(
            f"{self.client.url}/exam/start",
            params={"device_id": self.device_id},
            headers={"Authorization": f"Bearer {token}", "X-Session-Transport": "bearer"},
            verify=self.client.verify,
        )
        if reply.status_code == 200:
            self.session = reply.json().get("session", self.session)
        return reply

    def begin(self) -> Json:
        """Sign in and start the clock; the StartReply."""
        reply = self.sign_in()
        assert reply.status_code == 200, reply.text
        reply = self.post("/exam/start", {})
        assert reply.status_code == 200, reply.text
        started: Json = reply.json()
        return started

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.session}"}

    def get(self, path: str) -> httpx.Response:
        return loopback.get(
            f"{self.client.url}{path}", headers=self.headers, verify=self.client.verify
        )

    def post(self, path: str, body: Any) -> httpx.Response:
        return loopback.post(
            f"{self.client.url}{path}",
            json=body,
            headers=self.headers,
            verify=self.client.verify,
        )

    def command(self, question_id: int, answer: Any, **members: Any) -> Json:
        return {
            "question_id": question_id,
            "answer": answer,
            "command_id": secrets.token_urlsafe(16),
            "base_revision": self.revisions.get(question_id, 0),
        } | members

    def answer(self, question_id: int, answer: Any, **members: Any) -> httpx.Response:
        reply = self.post("/exam/answer", self.command(question_id, answer, **members))
        if reply.status_code == 200:
            self.revisions[question_id] = reply.json()["revision"]
        return reply


@dataclass
class Rig:
    """A fake coordinator, a bundle and an exam-client that belong together."""

    coordinator: FakeCoordinator
    client: ClientProcess
    bundle: Bundle

    def sitter(self, participant_id: int = 1) -> Sitter:
        return Sitter(self.client, participant_id)

    def close(self) -> None:
        self.client.close()
        for event in self.coordinator.hold.values():
            event.set()
        self.coordinator.stop()


def rig(folder: Path, issuer: Issuer | None = None, **bundle_members: Any) -> Rig:
    """Everything for one delivery below ``folder``; only the coordinator is started.

    With an ``issuer`` all of it speaks https, as in a cluster.
    """
    authority = Authority()
    coordinator = FakeCoordinator(authority)
    if issuer is not None:
        coordinator.tls = folder / "coordinator-tls"
        issuer.folder(coordinator.tls)
    coordinator.start()
    client = ClientProcess(folder, authority, coordinator.url, issuer=issuer)
    if issuer is not None:
        client.extra["COORDINATOR_CA_FILE"] = str(client.tls_dir / "ca.crt")
    made = authorities.bundle(uid=client.uid, delivery_id=client.delivery_id, **bundle_members)
    coordinator.bundle = authorities.signed_bundle(authority, made)
    return Rig(coordinator, client, made)


def utc_now() -> datetime:
    return datetime.now(UTC)
