"""TLS: certificates renewed under way, exam-clients checked by their CA, browsers kept to https."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from coordinator.adapters import trusted_http
from coordinator.adapters.exam_clients import ExamClients
from coordinator.adapters.server_tls import ServerTls
from coordinator.adapters.trusted_http import TrustedHttp
from coordinator.errors import ClientUnreachable, StartFailed
from tests.support import loopback, ports
from tests.support.certificates import Issuer, shown
from tests.support.coordinator_process import process, until_ready
from tests.support.coordinator_rig import coordinator_rig
from tests.support.served import served
from tests.support.waiting import PATIENCE_SECONDS, until


@asynccontextmanager
async def secured(tls: ServerTls) -> AsyncIterator[str]:
    """An https server of a page that says ok."""

    async def page(request: object) -> PlainTextResponse:
        return PlainTextResponse("ok")

    def context(config: uvicorn.Config, default: object) -> ssl.SSLContext:
        return tls.context

    app = Starlette(routes=[Route("/{path:path}", page)])
    async with served(app, ssl_context_factory=context) as address:
        yield f"https://{address}"


@pytest.fixture(autouse=True)
def looks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted_http, "_LOOK_SECONDS", 0.0)


async def test_a_renewed_certificate_is_shown_and_running_connections_go_on(
    tmp_path: Path,
) -> None:
    issuer = Issuer()
    issuer.folder(tmp_path / "tls")
    tls = ServerTls(tmp_path / "tls")
    async with (
        secured(tls) as url,
        httpx.AsyncClient(verify=issuer.trusting(), base_url=url) as kept,
    ):
        assert (await kept.get("/")).text == "ok"
        renewed = issuer.folder(tmp_path / "tls")
        tls.renew()
        assert (await kept.get("/")).text == "ok"
        async with httpx.AsyncClient(verify=issuer.trusting(), base_url=url) as fresh:
            assert (await fresh.get("/")).text == "ok"
            stream = (await fresh.get("/")).extensions["network_stream"]
            der = stream.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert ssl.DER_cert_to_PEM_cert(der).encode() == (tmp_path / "tls/tls.crt").read_bytes()
        assert tls.ends_at == renewed.not_valid_after_utc.timestamp()


async def test_a_pair_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    issuer = Issuer()
    issuer.folder(tmp_path / "tls")
    tls = ServerTls(tmp_path / "tls")
    issuer.folder(tmp_path / "other")
    (tmp_path / "tls/tls.key").write_bytes((tmp_path / "other/tls.key").read_bytes())
    tls.renew()
    async with secured(tls) as url:
        async with httpx.AsyncClient(verify=issuer.trusting()) as client:
            assert (await client.get(url)).text == "ok"
        (tmp_path / "tls/tls.crt").write_bytes((tmp_path / "other/tls.crt").read_bytes())
        tls.renew()
        async with httpx.AsyncClient(verify=issuer.trusting()) as client:
            assert (await client.get(url)).text == "ok"
        (tmp_path / "tls/tls.crt").unlink()
        tls.renew()
        async with httpx.AsyncClient(verify=issuer.trusting()) as client:
            assert (await client.get(url)).text == "ok"


def test_files_swapped_as_kubernetes_does_are_read_as_one(tmp_path: Path) -> None:
    issuer = Issuer()
    mount = tmp_path / "mount"
    issuer.folder(mount / "..1")
    (mount / "..data").symlink_to("..1")
    for name in ("tls.crt", "tls.key"):
        (mount / name).symlink_to(f"..data/{name}")
    tls = ServerTls(mount)
    issuer.folder(mount / "..2")
    (mount / "..new").symlink_to("..2")
    (mount / "..new").rename(mount / "..data")
    tls.renew()
    assert tls._loaded == tls._digest()


@pytest.mark.parametrize("broken", ["absent", "empty", "mismatched"])
def test_a_folder_without_a_usable_pair_is_told(tmp_path: Path, broken: str) -> None:
    issuer = Issuer()
    issuer.folder(tmp_path / "tls")
    match broken:
        case "absent":
            (tmp_path / "tls/tls.key").unlink()
        case "empty":
            (tmp_path / "tls/tls.crt").write_bytes(b"")
        case _:
            issuer.folder(tmp_path / "other")
            (tmp_path / "other/tls.key").rename(tmp_path / "tls/tls.key")
    with pytest.raises(StartFailed, match="no certificate that can be used") as refused:
        ServerTls(tmp_path / "tls")
    assert refused.value.exit_code == 7


async def test_exam_clients_are_verified_against_their_ca_also_after_its_change(
    tmp_path: Path,
) -> None:
    old, new = Issuer("old"), Issuer("new")
    new.folder(tmp_path / "tls")
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes(old.pem)
    async with secured(ServerTls(tmp_path / "tls")) as url, ExamClients(2.0, trusted) as clients:
        with pytest.raises(ClientUnreachable, match="certificate"):
            await clients.probe(url)
        trusted.write_bytes(old.pem + new.pem)
        await clients.probe(url)
        trusted.write_bytes(old.pem)
        with pytest.raises(ClientUnreachable, match="certificate"):
            await clients.probe(url)


async def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    issuer = Issuer()
    issuer.folder(tmp_path / "tls", ("exam-1.exams.svc",))
    async with (
        secured(ServerTls(tmp_path / "tls")) as url,
        ExamClients(2.0, tmp_path / "tls/ca.crt") as clients,
    ):
        with pytest.raises(ClientUnreachable, match="certificate"):
            await clients.probe(url)


async def test_a_ca_file_that_becomes_unreadable_leaves_what_was_trusted(tmp_path: Path) -> None:
    issuer = Issuer()
    issuer.folder(tmp_path / "tls")
    trusted = tmp_path / "tls/ca.crt"
    async with (
        secured(ServerTls(tmp_path / "tls")) as url,
        TrustedHttp(trusted, timeout=PATIENCE_SECONDS) as http,
    ):
        for content in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
            trusted.write_bytes(content)
            assert (await http.request("GET", url)).text == "ok"
        trusted.unlink()
        assert (await http.request("GET", url)).text == "ok"


async def test_calls_under_way_finish_before_a_replaced_client_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusted_http, "_FINISH_SECONDS", 0.0)
    first, second = Issuer("first"), Issuer("second")
    first.folder(tmp_path / "tls")
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes(first.pem)
    async with (
        secured(ServerTls(tmp_path / "tls")) as url,
        TrustedHttp(trusted, timeout=PATIENCE_SECONDS) as http,
    ):
        for extra in (b"", second.pem, second.pem * 2):
            trusted.write_bytes(first.pem + extra)
            assert (await http.request("GET", url)).text == "ok"
        assert http._retired == []


def test_a_ca_file_that_is_not_there_at_the_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="CA file"):
        TrustedHttp(tmp_path / "none")


def test_the_process_serves_both_doors_by_tls_and_its_probes_without(
    tmp_path: Path, pg_dsn: str
) -> None:
    issuer = Issuer()
    issuer.folder(tmp_path / "tls")
    doors = {name: ports.one() for name in ("PORT", "INTERNAL_PORT", "METRICS_PORT")}
    settings = {name: str(port) for name, port in doors.items()}
    with process(
        tmp_path,
        pg_dsn,
        TLS_DIR=str(tmp_path / "tls"),
        TLS_POLL_SECONDS="0.1",
        PUBLIC_URL="https://localhost",
        HOST="0.0.0.0",  # noqa: S104 -- as in a pod
        **settings,
    ):
        until_ready(doors["METRICS_PORT"])
        with httpx.Client(verify=issuer.trusting()) as client:
            page = client.get(f"https://localhost:{doors['PORT']}/sign-in")
            assert page.status_code == 200
            assert page.headers["strict-transport-security"] == "max-age=31536000"
            inside = client.get(f"https://127.0.0.1:{doors['INTERNAL_PORT']}/healthz")
            assert inside.status_code == 200
        with pytest.raises(httpx.TransportError):
            loopback.get(f"http://127.0.0.1:{doors['PORT']}/sign-in")
        before = shown(("127.0.0.1", doors["PORT"])).serial_number
        renewed = issuer.folder(tmp_path / "tls").serial_number
        assert before != renewed
        until(
            lambda: shown(("127.0.0.1", doors["PORT"])).serial_number == renewed,
            what="the renewed certificate",
        )


def test_an_installation_without_tls_says_nothing_about_it(tmp_path: Path, pg_dsn: str) -> None:
    doors = {name: ports.one() for name in ("PORT", "METRICS_PORT")}
    with process(tmp_path, pg_dsn, **{name: str(port) for name, port in doors.items()}):
        until_ready(doors["METRICS_PORT"])
        page = loopback.get(f"http://127.0.0.1:{doors['PORT']}/sign-in")
        assert "strict-transport-security" not in page.headers


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://exam.example", 200),
        ("https://coordinator.test", 200),  # the Host it was called by, as behind a NodePort
        ("http://exam.example", 403),
        ("http://coordinator.test", 403),
        ("https://evil.example", 403),
    ],
)
async def test_behind_https_cookies_are_secure_and_pages_of_http_are_strangers(
    pg_dsn: str, tmp_path: Path, origin: str, status: int
) -> None:
    async with coordinator_rig(pg_dsn, tmp_path, public_url="https://exam.example") as rig:
        body = {"username": "someone", "display_name": "Someone", "password": "p" * 12}
        assert (await rig.admin.post("/api/staff", json=body)).status_code == 201
        del body["display_name"]
        reply = await rig.client().post("/api/sign-in", json=body, headers={"Origin": origin})
        assert reply.status_code == status, reply.text
        if status == 200:
            assert "; Secure" in reply.headers["set-cookie"]
        assert reply.headers["strict-transport-security"] == "max-age=31536000"


async def test_the_way_to_the_exam_and_back_is_https(pg_dsn: str, tmp_path: Path) -> None:
    async with coordinator_rig(pg_dsn, tmp_path, public_url="https://exam.example/") as rig:
        delivery = await rig.delivery()
        await delivery.register(endpoint_public="https://10.0.0.7:30443/")
        person = delivery.roster["participants"][0]
        body = {
            "delivery_id": delivery.id,
            "identifier": person["identifier"],
            "access_code": person["access_code"],
        }
        signed_in = await rig.public.post("/api/participant/sign-in", json=body)
        assert signed_in.json()["exam_url"] == "https://10.0.0.7:30443"
        path = f"/api/internal/deliveries/{delivery.uid}/bundle"
        signed = (await rig.internal.get(path, headers=delivery.headers())).json()
        back = json.loads(signed["payload"])["sign_in_url"]
        assert back == f"https://exam.example/sit/{delivery.id}"
        # The page goes there by script; its policy speaks of forms and calls, which stay here.
        policy = (await rig.public.get(f"/sit/{delivery.id}")).headers["content-security-policy"]
        assert "form-action 'self'" in policy
        assert "connect-src 'self'" in policy
