"""A small stand-in for the coordinator's internal API, on a real loopback port.

It keeps the rules that the exam-client relies on: a gap-free cursor, digests, chunks, a manifest
recomputed from what arrived, a receipt. Faults are switched on by tests.
"""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exam_contract.canonical import digest_bytes
from exam_contract.events import EVENT, event_digest
from exam_contract.merkle import merkle_root
from exam_contract.problems import ProblemCode, problem
from exam_contract.results import ROW_MODELS, Manifest, Receipt, Row, manifest_digest
from exam_contract.trust import RECEIPT_CONTEXT, Signed
from tests.support import ports
from tests.support.authority import Authority
from tests.support.waiting import PATIENCE_SECONDS, until

Json = dict[str, Any]


@dataclass
class FakeCoordinator:
    """Serve with ``start`` and ``stop``; what arrived is in the fields."""

    authority: Authority
    bundle: Signed | None = None
    events: list[Json] = field(default_factory=list)
    incarnations: list[Json] = field(default_factory=list)
    chunks: dict[str, bytes] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    manifest: Manifest | None = None
    receipt: Signed | None = None
    confirmations: list[Json] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)
    """Request name to how many replies are cut off after the effect."""
    refuse: dict[str, tuple[ProblemCode, int]] = field(default_factory=dict)
    """Request name to a problem and how many times it is given before any effect."""
    hold: dict[str, threading.Event] = field(default_factory=dict)
    """Request name to an event that it waits for before any effect."""
    spoil_receipt: Callable[[Json], Json] = lambda receipt: receipt
    tls: Path | None = None
    """A folder with ``tls.crt`` and ``tls.key``: https with these."""
    bearers: list[str] = field(default_factory=list)
    port: int = 0
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def accepted(self) -> int:
        return len(self.events)

    def start(self) -> "FakeCoordinator":
        self.port = self.port or ports.one()
        tls = self.tls
        config = uvicorn.Config(
            self._app(),
            port=self.port,
            log_level="critical",
            lifespan="off",
            ws="none",
            ssl_certfile=tls and tls / "tls.crt",
            ssl_keyfile=tls and str(tls / "tls.key"),
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        server = self._server
        until(lambda: server.started, what="the fake coordinator")
        return self

    def stop(self) -> None:
        """Gone from the network; what arrived is kept, ``start`` brings it back on its port."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(timeout=PATIENCE_SECONDS)
            self._server = None

    def rewind(self, through: int) -> None:
        """Forget events above a seq, as a database restored from a copy would."""
        del self.events[through:]

    def _app(self) -> Starlette:
        clients = "/api/internal/exam-clients"
        results = clients + "/{id}/final-results"
        routes = [
            ("GET", "/healthz", "healthz", self._healthz),
            ("GET", "/api/internal/deliveries/{uid}/bundle", "bundle", self._bundle),
            ("PUT", clients + "/{id}/incarnation", "incarnation", self._incarnation),
            ("POST", clients + "/event", "event", self._event),
            ("PUT", results + "/chunks/{digest}", "chunk", self._chunk),
            ("POST", results, "commit", self._commit),
            ("GET", results, "receipt", self._receipt),
            ("POST", results + "/confirm", "confirm", self._confirm),
        ]
        return Starlette(
            routes=[
                Route(path, self._with_faults(name, handler), methods=[method])
                for method, path, name, handler in routes
            ]
        )

    def _with_faults(
        self, name: str, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            self.requests.append(name)
            self.bearers.append(request.headers.get("authorization", ""))
            while name in self.hold and not self.hold[name].is_set():  # noqa: ASYNC110 - a thread's
                await asyncio.sleep(0.01)
            code, times = self.refuse.get(name, (None, 0))
            if code is not None and times > 0:
                self.refuse[name] = (code, times - 1)
                return _problem(code)
            response = await handler(request)
            if self.cut.get(name, 0) > 0:
                self.cut[name] -= 1
                # Less than was announced: the server closes the connection mid-reply.
                return Response(b"", headers={"content-length": "1000"})
            return response

        return serve

    async def _healthz(self, request: Request) -> Response:
        return Response("ok")

    async def _bundle(self, request: Request) -> Response:
        if self.bundle is None:
            return _problem(ProblemCode.NOT_REGISTERED)
        return Response(self.bundle.model_dump_json(), media_type="application/json")

    async def _incarnation(self, request: Request) -> Response:
        self.incarnations.append(await request.json())
        return JSONResponse({"accepted_through": self.accepted})

    async def _event(self, request: Request) -> Response:
        body = await request.json()
        for event in body.get("events", [body]):
            EVENT.validate_python(event)
            assert event["digest"] == event_digest(event)
            if event["seq"] > self.accepted + 1:
                return _problem(ProblemCode.SEQ_GAP, expected_seq=self.accepted + 1)
            if event["seq"] == self.accepted + 1:
                self.events.append(event)
            elif self.events[event["seq"] - 1]["digest"] != event["digest"]:
                return _problem(ProblemCode.SEQ_CONFLICT)
        return JSONResponse({"accepted_through": self.accepted})

    async def _chunk(self, request: Request) -> Response:
        data = await request.body()
        if digest_bytes(data) != request.path_params["digest"]:
            return _problem(ProblemCode.CHUNK_MISMATCH)
        self.chunks[request.path_params["digest"]] = data
        return Response(status_code=204)

    async def _commit(self, request: Request) -> Response:
        signed = Signed.model_validate((await request.json())["manifest"])
        manifest = Manifest.model_validate_json(signed.payload)
        if self.receipt is not None:
            return self._receipt_for(manifest)
        missing = [ref.digest for ref in manifest.chunks if ref.digest not in self.chunks]
        if missing:
            return JSONResponse({"missing": missing}, status_code=202)
        self._store(manifest)
        return self._receipt_for(manifest)

    def _store(self, manifest: Manifest) -> None:
        rows: dict[str, list[Row]] = {table: [] for table in manifest.tables}
        for ref in manifest.chunks:
            chunk = json.loads(self.chunks[ref.digest])
            rows[chunk["table"]].extend(chunk["rows"])
        for table, found in rows.items():
            for row in found:
                assert ROW_MODELS[table].model_validate(row).model_dump(mode="json") == row
            assert manifest.tables[table].count == len(found)  # type: ignore[index]
            assert manifest.tables[table].merkle_root == merkle_root(found)  # type: ignore[index]
        receipt = Receipt(
            receipt_id="receipt-1",
            delivery_id=manifest.delivery_id,
            delivery_uid=manifest.delivery_uid,
            manifest_digest=manifest_digest(manifest),
            tables=manifest.tables,
            last_seq=manifest.last_seq,
            stored_at=manifest.frozen_at,
        )
        document = self.spoil_receipt(receipt.model_dump(mode="json"))
        self.manifest, self.rows = manifest, rows
        self.receipt = self.authority.sign(RECEIPT_CONTEXT, document)

    def _receipt_for(self, manifest: Manifest) -> Response:
        stored = self.manifest
        if stored is not None and manifest_digest(manifest) != manifest_digest(stored):
            return _problem(ProblemCode.MANIFEST_CONFLICT)
        assert self.receipt is not None
        return JSONResponse({"receipt": self.receipt.model_dump()})

    async def _receipt(self, request: Request) -> Response:
        if self.receipt is None:
            return _problem(ProblemCode.NOT_FOUND)
        return JSONResponse({"receipt": self.receipt.model_dump()})

    async def _confirm(self, request: Request) -> Response:
        self.confirmations.append(await request.json())
        return Response(status_code=204)


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cuts what is open: a goodbye in TLS would outlive the loop."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


def _problem(code: ProblemCode, **members: object) -> Response:
    body = problem(code, "a fault of the test", **members)
    return JSONResponse(
        body.model_dump(mode="json", exclude_none=True),
        status_code=body.status,
        media_type="application/problem+json",
    )
