"""What an operator at scale needs around it: a kubelet that runs nothing, exam-clients that only
say how they are, and a coordinator that knows everybody.

Every pod gets an address of its own in 127.1.0.0/16; one TLS server on the control port answers for
all of them and knows by the address who is asked.
"""

import asyncio
import ipaddress
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Json = dict[str, Any]
CONTROL_PORT = 9235
_ENROLLED = 100
_KUBELETS = 8


class PretendedCluster:
    """``seen``: object name to the moment its pod appeared (``time.monotonic``)."""

    def __init__(self, http: aiohttp.ClientSession, namespace: str, trust: Json) -> None:
        self._http, self._namespace, self._trust = http, namespace, trust
        self.seen: dict[str, float] = {}
        self._uid_at: dict[str, str] = {}
        self._desired: dict[str, Json] = {}
        self._ids: dict[str, int] = {}
        self._waiting: asyncio.Queue[tuple[str, str, Json]] = asyncio.Queue()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run every pod and bind every claim until the block ends."""
        async with asyncio.TaskGroup() as tasks:
            work = [
                tasks.create_task(self._watch("pods")),
                tasks.create_task(self._watch("persistentvolumeclaims")),
                *(tasks.create_task(self._patch_for_ever()) for _ in range(_KUBELETS)),
            ]
            try:
                yield
            finally:
                for one in work:
                    one.cancel()

    async def _watch(self, plural: str) -> None:
        path = f"/api/v1/namespaces/{self._namespace}/{plural}"
        timeout = aiohttp.ClientTimeout(total=None)
        version = "0"
        while True:
            wanted = {"watch": "1", "resourceVersion": version}
            async with self._http.get(path, params=wanted, timeout=timeout) as stream:
                async for line in stream.content:
                    event = json.loads(line)
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] == "ADDED":
                        self._take(plural, event["object"])

    def _take(self, plural: str, found: Json) -> None:
        """Nothing is awaited here: the moment in which a pod is seen is a figure."""
        meta = found["metadata"]
        if plural == "persistentvolumeclaims":
            self._waiting.put_nowait((plural, meta["name"], {"status": {"phase": "Bound"}}))
            return
        self.seen.setdefault(meta["annotations"]["medxamion.io/object"], time.monotonic())
        address = str(ipaddress.ip_address("127.1.0.0") + len(self._uid_at) + 1)
        self._uid_at[address] = meta["labels"]["medxamion.io/delivery"]
        self._waiting.put_nowait((plural, meta["name"], {"status": _running(address)}))

    async def _patch_for_ever(self) -> None:
        headers = {"Content-Type": "application/merge-patch+json"}
        while True:
            plural, name, change = await self._waiting.get()
            path = f"/api/v1/namespaces/{self._namespace}/{plural}/{name}/status"
            async with self._http.patch(path, json=change, headers=headers) as reply:
                await reply.read()

    def exam_clients(self) -> web.Application:
        """The control port of all of them."""
        app = web.Application(client_max_size=2**20, middlewares=[_forgiving])
        app.router.add_get("/status", self._status)
        app.router.add_put("/desired", self._put_desired)
        app.router.add_get("/healthz/live", _ok)
        return app

    def coordinator(self) -> web.Application:
        """Registration only."""
        app = web.Application(client_max_size=2**20, middlewares=[_forgiving])
        app.router.add_put("/api/internal/deliveries/{uid}", self._register)
        return app

    async def _register(self, request: web.Request) -> web.Response:
        body = await request.json()
        number = self._ids.setdefault(request.match_info["uid"], len(self._ids) + 1)
        reply = {"delivery_id": number, "epoch": body["epoch"], "trust": self._trust}
        return web.json_response({**reply, "confirmed_erased": False})

    async def _status(self, request: web.Request) -> web.Response:
        uid = self._uid_of(request)
        return web.json_response(_client_status(uid, self._desired.get(uid)))

    async def _put_desired(self, request: web.Request) -> web.Response:
        self._desired[self._uid_of(request)] = await request.json()
        return web.json_response({})

    def _uid_of(self, request: web.Request) -> str:
        assert request.transport is not None
        return self._uid_at[request.transport.get_extra_info("sockname")[0]]


@dataclass(frozen=True, slots=True)
class Served:
    port: int
    close: Callable[[], Awaitable[None]]


async def serve(app: web.Application, host: str, port: int, tls: ssl.SSLContext | None) -> Served:
    """Start it; port 0 takes a free one."""
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=75)
    await runner.setup()
    site = web.TCPSite(runner, host, port, ssl_context=tls, backlog=2048)
    await site.start()
    return Served(int(runner.addresses[0][1]), runner.cleanup)


def authority(folder: Path, namespace: str) -> ssl.SSLContext:
    """``ca.crt`` and ``ca.key`` for the operator; a context that any exam-client may show."""
    key, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    ca = _certificate(issuer, issuer, key.public_key(), key, authority=True, host=None)
    shown = _certificate(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "exam-client")]),
        issuer, own.public_key(), key, authority=False, host=f"*.{namespace}.svc",
    )  # fmt: skip
    (folder / "ca.crt").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "ca.key").write_bytes(_pem(key))
    (folder / "tls.crt").write_bytes(shown.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(_pem(own))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
    host: str | None,
) -> x509.Certificate:
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if host is not None:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return made.sign(key, hashes.SHA256())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _running(address: str) -> Json:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    container = {
        "name": "exam-client", "ready": True, "started": True, "restartCount": 0,
        "image": "client", "imageID": "client", "containerID": "bench://1",
        "state": {"running": {"startedAt": now}},
    }  # fmt: skip
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
    return {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": now,
        "containerStatuses": [container], "conditions": [ready],
    }  # fmt: skip


def _client_status(uid: str, desired: Json | None) -> Json:
    counts = {"enrolled": _ENROLLED, "started": _ENROLLED, "open": _ENROLLED}
    return {
        "delivery_id": 1, "delivery_uid": uid, "epoch": 1, "incarnation": 1,
        "generation": desired["generation"] if desired else 0,
        "mode": desired["mode"] if desired else "prepare", "ready": True, "fenced": False,
        # Answers come in all the time, so that every look has something to tell.
        "counts": {**counts, "revisions": int(time.time()), "answers": int(time.time())},
        "content": {"ready": True}, "storage": {"state": "ok"}, "transfer": {"state": "none"},
        "reported_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }  # fmt: skip


@web.middleware
async def _forgiving(request: web.Request, handler: Handler) -> web.StreamResponse:
    """An operator that is killed leaves calls half sent."""
    try:
        return await handler(request)
    except ConnectionResetError:
        return web.Response(status=503)


async def _ok(request: web.Request) -> web.Response:
    return web.Response()
