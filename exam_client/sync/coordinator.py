"""The coordinator's internal API as the exam-client uses it: one method per request, two errors.

CoordinatorAway means that the outcome is unknown, CoordinatorRefused that it was refused. Nothing
is retried here: whoever calls knows whether and when.
"""

import asyncio
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from exam_client.core.records import Identity
from exam_client.errors import CoordinatorAway, CoordinatorRefused
from exam_client.settings import Settings, SettingsWrong, read_bearer
from exam_client.sync.link import Link
from exam_contract.base import Contract
from exam_contract.events import IngestReply
from exam_contract.results import (
    FinalResults,
    IncarnationRegistration,
    IncarnationReply,
    MissingChunks,
    ReceiptConfirmation,
    SignedReceipt,
)
from exam_contract.trust import PublicKey, Signed

_OVERALL_SECONDS = 30.0
_BUNDLE_SECONDS = 120.0
_COMMIT_SECONDS = 300.0
_JSON = {"Content-Type": "application/json"}
M = TypeVar("M", bound=Contract)


class Coordinator:
    """A client of one coordinator for one delivery."""

    def __init__(self, settings: Settings, identity: Identity) -> None:
        self._settings, self._identity = settings, identity
        self._clients = f"/api/internal/exam-clients/{identity.delivery_id}"
        headers = {
            "X-Delivery-Uid": identity.delivery_uid,
            "X-Pod-Uid": settings.pod_uid,
            "X-Epoch": str(identity.epoch),
            "X-Incarnation": str(identity.incarnation),
        }
        self._link = Link(settings.coordinator_url, settings.coordinator_ca_file, headers)

    async def close(self) -> None:
        await self._link.close()

    async def is_well(self, seconds: float) -> bool:
        """Whether ``GET /healthz`` answers 200 in time."""
        try:
            reply = await self._send("GET", "/healthz", overall=seconds)
        except CoordinatorAway:
            return False
        return reply.status_code == httpx.codes.OK

    async def bundle(self) -> Signed:
        path = f"/api/internal/deliveries/{self._identity.delivery_uid}/bundle"
        return _parsed(Signed, await self._ask("GET", path, overall=_BUNDLE_SECONDS))

    async def register(self, public_key: PublicKey, last_seq: int) -> int:
        """Register this incarnation; where the coordinator stands is returned."""
        body = IncarnationRegistration(
            epoch=self._identity.epoch,
            incarnation=self._identity.incarnation,
            public_key=public_key,
            last_seq=last_seq,
        )
        reply = await self._ask("PUT", f"{self._clients}/incarnation", body=body)
        return _parsed(IncarnationReply, reply).accepted_through

    async def push(self, payloads: list[bytes]) -> int:
        """Send events, already encoded; how far they are committed is returned."""
        content = b'{"events":[' + b",".join(payloads) + b"]}"
        path = "/api/internal/exam-clients/event"
        reply = await self._ask("POST", path, content=content, headers=_JSON)
        return _parsed(IngestReply, reply).accepted_through

    async def put_chunk(self, digest: str, data: bytes) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        path = f"{self._clients}/final-results/chunks/{digest}"
        await self._ask("PUT", path, content=data, headers=headers)

    async def commit(self, manifest: Signed) -> MissingChunks | SignedReceipt:
        """Post the manifest: what is still missing, or the receipt."""
        reply = await self._ask(
            "POST",
            f"{self._clients}/final-results",
            body=FinalResults(manifest=manifest),
            overall=_COMMIT_SECONDS,
        )
        if reply.status_code == httpx.codes.ACCEPTED:
            return _parsed(MissingChunks, reply)
        return _parsed(SignedReceipt, reply)

    async def receipt(self) -> SignedReceipt | None:
        """The receipt, when a transfer was committed."""
        try:
            return _parsed(SignedReceipt, await self._ask("GET", f"{self._clients}/final-results"))
        except CoordinatorRefused as refused:
            if refused.status == httpx.codes.NOT_FOUND:
                return None
            raise

    async def confirm(self, manifest_digest: str, *, erased: bool) -> None:
        body = ReceiptConfirmation(manifest_digest=manifest_digest, erased=erased)
        await self._ask("POST", f"{self._clients}/final-results/confirm", body=body)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Contract | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        overall: float = _OVERALL_SECONDS,
    ) -> httpx.Response:
        if body is not None:
            content, headers = body.model_dump_json().encode(), _JSON
        reply = await self._send(method, path, overall=overall, content=content, headers=headers)
        if reply.status_code >= httpx.codes.BAD_REQUEST:
            raise CoordinatorRefused(reply.status_code, _members(reply))
        return reply

    async def _send(
        self,
        method: str,
        path: str,
        *,
        overall: float,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        try:
            bearer = {"Authorization": f"Bearer {read_bearer(self._settings)}"}
            async with asyncio.timeout(overall):
                return await self._link.request(
                    method,
                    path,
                    content=content,
                    headers={**bearer, **(headers or {})},
                    timeout=httpx.Timeout(max(10.0, overall), connect=3.0),
                )
        except (httpx.HTTPError, TimeoutError) as error:
            raise CoordinatorAway(f"{method} {path}: {type(error).__name__} {error}") from None
        except SettingsWrong as wrong:
            # A token that is gone for a while must not end the exam.
            raise CoordinatorAway(str(wrong)) from None


def _parsed(model: type[M], reply: httpx.Response) -> M:
    try:
        return model.model_validate_json(reply.content)
    except ValidationError as error:
        raise CoordinatorAway(
            f"the coordinator's reply is no {model.__name__}: {error.error_count()} faults"
        ) from None


def _members(reply: httpx.Response) -> dict[str, Any]:
    try:
        members = reply.json()
    except ValueError:
        return {"detail": reply.text[:200]}
    return members if isinstance(members, dict) else {"detail": str(members)[:200]}
