"""A coordinator in the test's own process over a real PostgreSQL, its doors as HTTP clients.

``Rig`` plays the operator and the exam-client by the wire; nothing of the coordinator is replaced
but the port to ExamDelivery objects, which is a dictionary here.
"""

import hashlib
import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import event

from coordinator.app import create_internal_app, create_metrics_app, create_public_app
from coordinator.errors import Conflict, NotFound, RuleViolated
from coordinator.services.runtime import Runtime, open_runtime
from coordinator.settings import Settings
from coordinator.store import deliveries
from exam_contract.base import rfc3339
from exam_contract.canonical import digest_bytes
from exam_contract.delivery import ExamDelivery
from exam_contract.delivery_rules import spec_violations, update_violations
from exam_contract.events import event_digest
from tests.support import exams

Json = dict[str, Any]


class MemoryObjects:
    """ExamDelivery objects as the process edge keeps them: rules, conflicts and all."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], ExamDelivery] = {}

    async def create(self, wanted: ExamDelivery) -> ExamDelivery:
        key = (wanted.metadata.namespace, wanted.metadata.name)
        if key in self.objects:
            raise Conflict("an object of that name exists")
        _refuse(spec_violations(wanted.spec))
        self.objects[key] = _versioned(wanted, uid=str(uuid.uuid4()))
        return self.objects[key]

    async def edit(
        self,
        namespace: str,
        name: str,
        uid: str,
        change: Callable[[ExamDelivery], ExamDelivery],
    ) -> ExamDelivery:
        stored = self._stored(namespace, name, uid)
        wanted = change(stored)
        _refuse(update_violations(stored, wanted.spec))
        self.objects[namespace, name] = _versioned(wanted)
        return self.objects[namespace, name]

    def _stored(self, namespace: str, name: str, uid: str) -> ExamDelivery:
        stored = self.objects.get((namespace, name))
        if stored is None or stored.metadata.uid != uid:
            raise NotFound("the delivery's object does not exist any more")
        return stored

    def report(self, **status: Any) -> None:
        """What the operator writes into every object's status."""
        for key, stored in self.objects.items():
            after = stored.status.model_copy(update=status)
            self.objects[key] = stored.model_copy(update={"status": after})

    async def delete(self, namespace: str, name: str, uid: str) -> None:
        self._stored(namespace, name, uid)
        del self.objects[namespace, name]


def _refuse(broken: list[Any]) -> None:
    if broken:
        errors = [{"path": rule.path, "message": rule.message} for rule in broken]
        raise RuleViolated(broken[0].message, errors=errors)


def _versioned(wanted: ExamDelivery, **members: Any) -> ExamDelivery:
    version = {"generation": wanted.metadata.generation + 1, "resource_version": uuid.uuid4().hex}
    metadata = wanted.metadata.model_copy(update={**version, **members})
    return wanted.model_copy(update={"metadata": metadata})


@dataclass
class Rig:
    """``public`` signs nobody in by itself; ``admin`` is a client with an admin's API token."""

    runtime: Runtime
    public: httpx.AsyncClient
    internal: httpx.AsyncClient
    metrics: httpx.AsyncClient
    admin: httpx.AsyncClient
    objects: MemoryObjects
    public_app: FastAPI
    operator_key: str
    admin_token: str
    first_admin_token: str

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        """Another person's client, without cookies of others."""
        return _client(self.public_app, self.runtime, token)

    async def staff(self, *grants: tuple[str, str | None]) -> httpx.AsyncClient:
        """A new account's client, signed in by password and with its CSRF token."""
        name, password = f"s{secrets.token_hex(6)}", secrets.token_urlsafe(12)
        body = {
            "username": name,
            "display_name": "Somebody",
            "password": password,
            "grants": [{"role": role, "exam_id": exam} for role, exam in grants],
        }
        reply = await self.admin.post("/api/staff", json=body)
        assert reply.status_code == 201, reply.text
        person = self.client()
        reply = await person.post("/api/sign-in", json={"username": name, "password": password})
        assert reply.status_code == 200, reply.text
        person.headers["X-CSRF-Token"] = reply.json()["csrf_token"]
        return person

    async def import_exam(self, exam_id: str = "sample", items: int = 3, **members: Any) -> Json:
        pairs = [exams.single_best(number) for number in range(1, items + 1)]
        document = exams.document(*pairs, id=exam_id, **members)
        reply = await self.admin.post("/api/exams", json=document)
        assert reply.status_code in (200, 201), reply.text
        return dict(reply.json())

    async def import_roster(self, size: int = 3, name: str = "roster") -> Json:
        entries = [
            {"identifier": f"p{n}", "name": f"Person {n}", "email": f"p{n}@example.org"}
            for n in range(1, size + 1)
        ]
        reply = await self.admin.post("/api/rosters", json={"name": name, "entries": entries})
        assert reply.status_code == 201, reply.text
        return dict(reply.json())

    async def delivery(self, exam_id: str = "sample", size: int = 3, items: int = 3) -> "Delivery":
        """A registered delivery whose exam-client is up, as far as the coordinator can tell."""
        exam = await self.import_exam(exam_id, items)
        roster = await self.import_roster(size)
        made = Delivery(rig=self, exam=exam, roster=roster)
        await made.register()
        return made

    def operator(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.operator_key}"}


@dataclass
class Delivery:
    """The operator's and the exam-client's side of one delivery."""

    rig: Rig
    exam: Json
    roster: Json
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    service_key: str = field(default_factory=lambda: secrets.token_hex(32))
    pod_uid: str = "pid:1"
    epoch: int = 1
    incarnation: int = 1
    seq: int = 0
    id: int = 0
    participants: list[int] = field(default_factory=list)
    trust: Json = field(default_factory=dict)

    def registration(self, **changes: Any) -> Json:
        now = datetime.now(UTC)
        return {
            "name": f"delivery-{self.uid[:8]}",
            "generation": 1,
            "exam_id": self.exam["exam_id"],
            "exam_version": self.exam["version"],
            "content_digest": self.exam["content_digest"],
            "roster_ref": self.roster["roster_id"],
            "max_participants": 20_000,
            "window": {
                "opens_at": rfc3339(now - timedelta(minutes=5)),
                "closes_at": rfc3339(now + timedelta(hours=2)),
                "grace_seconds": 60,
            },
            "time_limit_seconds": 3600,
            "phase": "Running",
            "epoch": self.epoch,
            "pod_uid": self.pod_uid,
            "service_key_sha256": digest_bytes(self.service_key.encode()),
            "endpoint_public": "http://127.0.0.1:9",
            **changes,
        }

    async def register(self, **changes: Any) -> Json:
        reply = await self.rig.internal.put(
            f"/api/internal/deliveries/{self.uid}",
            json=self.registration(**changes),
            headers=self.rig.operator(),
        )
        assert reply.status_code == 200, reply.text
        body: Json = reply.json()
        self.id, self.trust = body["delivery_id"], body["trust"]
        async with self.rig.runtime.database.read() as db:
            self.participants = list(await deliveries.names(db, self.id))
        return body

    def headers(self, **changes: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.service_key}",
            "X-Delivery-Uid": self.uid,
            "X-Pod-Uid": self.pod_uid,
            "X-Epoch": str(self.epoch),
            "X-Incarnation": str(self.incarnation),
            **changes,
        }

    async def incarnate(self, x: str = "A" * 43, kid: str = "client") -> httpx.Response:
        return await self.rig.internal.put(
            f"/api/internal/exam-clients/{self.id}/incarnation",
            json={
                "epoch": self.epoch,
                "incarnation": self.incarnation,
                "public_key": {"kid": kid, "x": x},
                "last_seq": self.seq,
            },
            headers=self.headers(),
        )

    def event(self, seq: int | None = None, **members: Any) -> Json:
        """An event with its digest; without ``seq``, the next of this exam-client."""
        if seq is None:
            self.seq += 1
            seq = self.seq
        body = {
            "event_id": hashlib.sha256(f"{self.uid}{seq}".encode()).hexdigest()[:32],
            "delivery_id": self.id,
            "epoch": self.epoch,
            "incarnation": self.incarnation,
            "seq": seq,
            "timestamp": rfc3339(datetime.now(UTC)),
            "event_type": "participant_checked_in",
            "participant_id": self.participants[0],
            "offline": False,
            **members,
        }
        if body["event_type"] != "participant_checked_in":
            body.pop("offline")
        return {**body, "digest": event_digest(body)}

    def answer(self, participant: int, answered: int = 1, **members: Any) -> Json:
        return self.event(
            event_type="answer_submitted",
            participant_id=participant,
            attempt_id=participant,
            question_id=1,
            revision=answered,
            progress={
                "questions_answered": answered,
                "total_questions": 50,
                "current_score": 50,
                "score_numerator": "1",
                "score_denominator": "2",
                "time_remaining": 100,
            },
            **members,
        )

    async def send(self, *events: Json, **headers: str) -> httpx.Response:
        return await self.rig.internal.post(
            "/api/internal/exam-clients/event",
            json={"events": list(events)},
            headers=self.headers(**headers),
        )


@contextmanager
def counted_statements(rig: Rig) -> Iterator[list[str]]:
    """Every SQL statement of the coordinator while the context is open."""
    statements: list[str] = []
    engine = rig.runtime.database.engine.sync_engine

    def note(*arguments: Any) -> None:
        statements.append(str(arguments[2]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


@asynccontextmanager
async def coordinator_rig(dsn: str, folder: Path, **settings: Any) -> AsyncIterator[Rig]:
    """All three doors over one runtime, with an operator key and an admin's token."""
    configured = _settings(dsn, folder, **settings)
    objects = MemoryObjects()
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(configured, objects))
        apps = [
            create_public_app(runtime),
            create_internal_app(runtime),
            create_metrics_app(runtime.standing),
        ]
        clients = [await stack.enter_async_context(_client(app, runtime)) for app in apps]
        token = (folder / "cli.token").read_text()
        admin = await stack.enter_async_context(_client(apps[0], runtime, token))
        yield Rig(
            runtime=runtime,
            public=clients[0],
            internal=clients[1],
            metrics=clients[2],
            admin=admin,
            objects=objects,
            public_app=apps[0],
            operator_key=(folder / "operator.key").read_text(),
            admin_token=token,
            first_admin_token=(folder / "first-admin").read_text(),
        )


def _settings(dsn: str, folder: Path, **settings: Any) -> Settings:
    for name, content in (
        ("secret", secrets.token_bytes(32)),
        ("operator.key", secrets.token_hex(32).encode()),
        ("cli.token", secrets.token_hex(32).encode()),
        ("first-admin", secrets.token_hex(32).encode()),
    ):
        if not (folder / name).exists():
            (folder / name).write_bytes(content)
    return Settings.model_validate(
        {
            "database_url": dsn,
            "secret_file": folder / "secret",
            "operator_key_file": folder / "operator.key",
            "cli_token_file": folder / "cli.token",
            "first_admin_token_file": folder / "first-admin",
            "public_url": "http://coordinator.test",
            "issuer": "medxamion-test",
            "pool_size": 4,
            "pool_overflow": 4,
            **settings,
        }
    )


def _client(app: FastAPI, runtime: Runtime, token: str | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(_with_state(app, runtime), raise_app_exceptions=False),
        base_url="http://coordinator.test",
        headers={} if token is None else {"Authorization": f"Bearer {token}"},
    )


def _with_state(app: FastAPI, runtime: Runtime) -> Any:
    """What a server does with the lifespan's state: every request gets a copy."""

    async def serving(scope: Any, receive: Any, send: Any) -> None:
        state = {"runtime": runtime, "standing": runtime.standing}
        await app({**scope, "state": state}, receive, send)

    return serving
