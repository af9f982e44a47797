"""One call of every route that changes state, in an order in which each of them succeeds."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import httpx

from exam_contract.canonical import digest_bytes
from exam_contract.delivery import Phase
from tests.support import exams
from tests.support.coordinator_rig import Rig
from tests.support.coordinator_transfer import Results, sat_delivery
from tests.support.fake_exam_client import FakeExamClient

Call = Callable[[], Awaitable[httpx.Response]]
Walk = list[tuple[str, str, Call, str]]
_DELIVERY = "/api/deliveries/{delivery_id}"
_CLIENT = "/api/internal/exam-clients/{delivery_id}"


@dataclass
class World:
    """``client_url``: a fake exam-client that carries out actions."""

    rig: Rig
    results: Results
    client_url: str
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    access_code: str = ""
    staff_id: int = 0
    token_id: int = 0
    person: httpx.AsyncClient = field(init=False)
    made: int = 0

    @classmethod
    async def of(cls, rig: Rig, client: FakeExamClient, client_url: str) -> "World":
        results = await sat_delivery(rig, participants=2, items=2)
        delivery = results.delivery
        first = results.tables["answers"][0]
        first.update(scoring="manual", points="0", score=0)
        await delivery.register(endpoint_internal=client_url, endpoint_public=client_url)
        client.key = delivery.trust["keys"][0]
        await results.upload()
        world = cls(rig, results, client_url)
        world.access_code = delivery.roster["participants"][0]["access_code"]
        return world

    def calls(self) -> Walk:
        """(method, path, call, the action of the entry it leaves)."""
        parts = (self._people(), self._library(), self._internal(), self._deliveries())
        return [*chain.from_iterable(parts), *self._results()]

    def _people(self) -> Walk:
        return [
            ("POST", "/api/first-admin", self.first_admin, "first_admin_link_used"),
            ("POST", "/api/staff", self.create_staff, "staff_created"),
            ("PATCH", "/api/staff/{staff_id}", self.change_staff, "staff_changed"),
            ("PUT", "/api/staff/{staff_id}/roles", self.set_roles, "staff_roles_set"),
            ("POST", "/api/sign-in", self.sign_in, "staff_signed_in"),
            ("POST", "/api/sign-out", self.sign_out, "staff_signed_out"),
            ("POST", "/api/tokens", self.create_token, "api_token_created"),
            ("DELETE", "/api/tokens/{token_id}", self.revoke_token, "api_token_revoked"),
            ("POST", "/api/participant/sign-in", self.participant, "participant_signed_in"),
        ]

    def _library(self) -> Walk:
        return [
            ("POST", "/api/exams", self.import_exam, "exam_imported"),
            ("POST", "/api/rosters", self.import_roster, "roster_imported"),
        ]

    def _internal(self) -> Walk:
        uid = "/api/internal/deliveries/{uid}"
        return [
            ("PUT", uid, self.register, "delivery_reported"),
            ("PUT", f"{_CLIENT}/incarnation", self.incarnate, "incarnation_registered"),
        ]

    def _deliveries(self) -> Walk:
        steered = [
            ("POST", f"{_DELIVERY}/{kind}", self.steer(kind), f"delivery_{kind}_requested")
            for kind in ("restart", "finalise", "rollback", "abort")
        ]
        return [
            ("POST", f"{_DELIVERY}/actions", self.act, "action_pause"),
            ("POST", "/api/deliveries", self.create, "delivery_requested"),
            ("POST", f"{_DELIVERY}/extend", self.extend, "delivery_extended"),
            *steered,
            ("DELETE", _DELIVERY, self.delete, "delivery_delete_requested"),
        ]

    def _results(self) -> Walk:
        results = f"{_CLIENT}/final-results"
        return [
            ("POST", results, self.results.post, "results_stored"),
            ("POST", f"{results}/confirm", self.confirm, "receipt_confirmed"),
            ("POST", f"{_DELIVERY}/manual-scores", self.manual_score, "manual_score_given"),
        ]

    async def first_admin(self) -> httpx.Response:
        token = self.rig.first_admin_token
        body = {"token": token, "username": "first", "password": self.password}
        return await self.rig.client().post("/api/first-admin", json=body)

    async def create_staff(self) -> httpx.Response:
        body = {
            "username": "somebody",
            "display_name": "Somebody Else",
            "password": self.password,
            "grants": [{"role": "scorer", "exam_id": None}],
        }
        reply = await self.rig.admin.post("/api/staff", json=body)
        self.staff_id = reply.json()["id"]
        return reply

    async def change_staff(self) -> httpx.Response:
        body = {"display_name": "Another Name"}
        return await self.rig.admin.patch(f"/api/staff/{self.staff_id}", json=body)

    async def set_roles(self) -> httpx.Response:
        body = [{"role": "auditor", "exam_id": None}]
        return await self.rig.admin.put(f"/api/staff/{self.staff_id}/roles", json=body)

    async def sign_in(self) -> httpx.Response:
        self.person = self.rig.client()
        body = {"username": "somebody", "password": self.password}
        reply = await self.person.post("/api/sign-in", json=body)
        self.person.headers["X-CSRF-Token"] = reply.json()["csrf_token"]
        return reply

    async def sign_out(self) -> httpx.Response:
        return await self.person.post("/api/sign-out")

    async def create_token(self) -> httpx.Response:
        reply = await self.rig.admin.post("/api/tokens", json={"label": "script"})
        self.token_id = reply.json()["id"]
        return reply

    async def revoke_token(self) -> httpx.Response:
        return await self.rig.admin.delete(f"/api/tokens/{self.token_id}")

    async def participant(self) -> httpx.Response:
        body = {
            "delivery_id": self.results.delivery.id,
            "identifier": "p1",
            "access_code": self.access_code,
        }
        return await self.rig.public.post("/api/participant/sign-in", json=body)

    async def import_exam(self) -> httpx.Response:
        document = exams.document(exams.single_best(1), id="another")
        return await self.rig.admin.post("/api/exams", json=document)

    async def import_roster(self) -> httpx.Response:
        entry = {"identifier": "q1", "name": "Person 1", "email": "p1@example.org"}
        body = {"name": "another", "entries": [entry]}
        return await self.rig.admin.post("/api/rosters", json=body)

    async def register(self) -> httpx.Response:
        delivery = self.results.delivery
        body = delivery.registration(
            phase="Finalising", endpoint_internal=self.client_url, endpoint_public=self.client_url
        )
        return await self.rig.internal.put(
            f"/api/internal/deliveries/{delivery.uid}", json=body, headers=self.rig.operator()
        )

    async def incarnate(self) -> httpx.Response:
        self.results.delivery.incarnation += 1
        key = self.results.key
        return await self.results.delivery.incarnate(x=key.x, kid=key.kid)

    async def act(self) -> httpx.Response:
        path = f"/api/deliveries/{self.results.delivery.id}/actions"
        return await self.rig.admin.post(path, json={"kind": "pause", "reason": "noise"})

    async def create(self) -> httpx.Response:
        body: dict[str, Any] = {
            "name": "made",
            "exam_id": "sample",
            "exam_version": "1",
            "roster_id": "roster",
            "opens_at": "2030-01-01T10:00:00Z",
            "closes_at": "2030-01-01T12:00:00Z",
            "time_limit_seconds": 60,
        }
        reply = await self.rig.admin.post("/api/deliveries", json=body)
        self.made = reply.json()["id"]
        return reply

    async def extend(self) -> httpx.Response:
        body = {"closes_at": "2030-01-01T13:00:00Z", "reason": "late bus"}
        return await self.rig.admin.post(f"/api/deliveries/{self.made}/extend", json=body)

    def steer(self, kind: str) -> Call:
        async def call() -> httpx.Response:
            if kind == "rollback":
                self.rig.objects.report(phase=Phase.FINALISING)
            path = f"/api/deliveries/{self.made}/{kind}"
            return await self.rig.admin.post(path, json={"reason": "because"})

        return call

    async def delete(self) -> httpx.Response:
        return await self.rig.admin.delete(f"/api/deliveries/{self.made}")

    async def manual_score(self) -> httpx.Response:
        body = {"answer_id": 1, "points": "1", "comment": "fine"}
        path = f"/api/deliveries/{self.results.delivery.id}/manual-scores"
        return await self.rig.admin.post(path, json=body)

    async def confirm(self) -> httpx.Response:
        digest = digest_bytes(self.results.manifest().payload.encode())
        return await self.rig.internal.post(
            f"{self.results.path}/confirm",
            json={"manifest_digest": digest},
            headers=self.results.delivery.headers(),
        )
