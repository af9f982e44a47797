"""The coordinator as the operator needs it: registration, and signatures of pretended receipts."""

import threading
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exam_contract.registration import DeliveryRegistration, RegistrationReply
from exam_contract.results import Receipt
from tests.support import ports
from tests.support.authority import Authority
from tests.support.receipts import signer
from tests.support.waiting import PATIENCE_SECONDS, until


@dataclass
class PretendCoordinator:
    """On a real loopback port; ``refusal`` makes registration a 422 with these words."""

    authority: Authority = field(default_factory=Authority)
    key: str = "operator-key"
    registrations: list[DeliveryRegistration] = field(default_factory=list)
    refusal: str | None = None
    unknown: frozenset[str] = frozenset()
    """Members of a registration that an older coordinator refuses."""
    port: int = 0
    _ids: dict[str, int] = field(default_factory=dict)
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "PretendCoordinator":
        self.port = self.port or ports.one()
        config = uvicorn.Config(
            self._app(), port=self.port, log_level="critical", lifespan="off", ws="none"
        )
        server = self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=server.run, daemon=True)
        self._thread.start()
        until(lambda: server.started, what="the pretended coordinator")
        return self

    def stop(self) -> None:
        """Gone from the network; ``start`` brings it back on its port."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(PATIENCE_SECONDS)
            self._server = self._thread = None

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/internal/deliveries/{uid}", self._register, methods=["PUT"]),
                Route("/pretend/sign", self._sign, methods=["POST"]),
            ]
        )

    async def _register(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"code": "unauthenticated"}, status_code=401)
        if self.refusal is not None:
            body = {"code": "rule_violated", "detail": self.refusal}
            return JSONResponse(body, status_code=422)
        if self.unknown & set(await request.json()):
            body = {"code": "invalid_field", "detail": "Extra inputs are not permitted"}
            return JSONResponse(body, status_code=422)
        sent = DeliveryRegistration.model_validate_json(await request.body())
        self.registrations.append(sent)
        delivery_id = self._ids.setdefault(request.path_params["uid"], len(self._ids) + 1)
        reply = RegistrationReply(
            delivery_id=delivery_id, epoch=sent.epoch, trust=self.authority.trust
        )
        return JSONResponse(reply.model_dump(mode="json"))

    async def _sign(self, request: Request) -> Response:
        receipt = Receipt.model_validate_json(await request.body())
        signed = signer(self.authority)(receipt)
        return JSONResponse(signed.model_dump(mode="json"))
