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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Json = dict[str, Any]
CONTROL_PORT = 9235
_ENROLLED = 100


class PretendedCluster:
    """``seen``: object name to the moment its pod appeared (``time.time``)."""

    def __init__(self, http: aiohttp.ClientSession, namespace: str, trust: Json) -> None:
        self._http, self._namespace, self._trust = http, namespace, trust
        self.seen: dict[str, float] = {}
        self._uid_at: dict[str, str] = {}
        self._desired: dict[str, Json] = {}
        self._ids: dict[str, int] = {}

    async def watch(self, plural: str) -> None:
        """Run every pod, bind every claim, until cancelled."""
        path = f"/api/v1/namespaces/{self._namespace}/{plural}"
        timeout = aiohttp.ClientTimeout(total=None)
        while True:
            async with self._http.get(path, params={"watch": "1"}, timeout=timeout) as stream:
                async for line in stream.content:
                    event = json.loads(line)
                    if event["type"] == "ADDED":
                        await self._take(plural, event["object"])

    async def _take(self, plural: str, found: Json) -> None:
        meta = found["metadata"]
        if plural == "persistentvolumeclaims":
            await self._patch(plural, meta["name"], {"status": {"phase": "Bound"}})
            return
        self.seen.setdefault(meta["annotations"]["medxamion.io/object"], time.time())
        address = str(ipaddress.ip_address("127.1.0.0") + len(self._uid_at) + 1)
        self._uid_at[address] = meta["labels"]["medxamion.io/delivery"]
        await self._patch(plural, meta["name"], {"status": _running(address)})

    async def _patch(self, plural: str, name: str, change: Json) -> None:
        path = f"/api/v1/namespaces/{self._namespace}/{plural}/{name}/status"
        headers = {"Content-Type": "application/merge-patch+json"}
        async with self._http.patch(path, json=change, headers=headers) as reply:
            await reply.read()

    def exam_clients(self) -> web.Application:
        """The control port of all of them."""
        app = web.Application(client_max_size=2**20)
        app.router.add_get("/status", self._status)
        app.router.add_put("/desired", self._put_desired)
        app.router.add_get("/healthz/live", _ok)
        return app

    def coordinator(self) -> web.Application:
        """Registration only."""
        app = web.Application(client_max_size=2**20)
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


async def serve(app: web.Application, host: str, port: int, tls: ssl.SSLContext | None) -> int:
    """Start, and return the port."""
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=75)
    await runner.setup()
    site = web.TCPSite(runner, host, port, ssl_context=tls, backlog=2048)
    await site.start()
    return int(runner.addresses[0][1])


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


async def _ok(request: web.Request) -> web.Response:
    return web.Response()


async def until(holds: Any, seconds: float, what: str) -> float:
    """Seconds until it held."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what} took more than {seconds:.0f} s")
        await asyncio.sleep(0.1)
    return time.monotonic() - began
