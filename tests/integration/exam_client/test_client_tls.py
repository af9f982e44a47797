"""Everything over https, with certificates, tokens and trust that change while the exam goes on."""

import http.client
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from exam_client.app import GRACEFUL_SECONDS
from exam_contract.control import Mode
from tests.support import client_process, loopback
from tests.support.certificates import Issuer, shown
from tests.support.client_process import Rig
from tests.support.waiting import PATIENCE_SECONDS, until

MakeRig = Callable[..., Rig]
ADVERTISED = "https://exam.example.org"
EXPIRY = "medxamion_client_tls_expiry_timestamp_seconds "


@pytest.fixture(scope="module")
def sitting(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A delivery over https whose certificates no test changes."""
    rig = client_process.rig(tmp_path_factory.mktemp("tls"), issuer)
    rig.client.extra |= {"RECEIPT_SECONDS": "2", "ADVERTISED_ORIGIN": f"{ADVERTISED}:443/"}
    rig.client.start_ready(bundle=rig.bundle)
    yield rig
    rig.close()


def test_a_delivery_is_sat_and_handed_over_in_tls_alone(make_rig: MakeRig, issuer: Issuer) -> None:
    rig = make_rig(issuer=issuer)
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    sitter.begin()
    assert sitter.answer(1, "A").status_code == 200
    assert sitter.answer(903, "long " * 1600).status_code == 200
    assert sitter.post("/exam/complete", {}).status_code == 200
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: rig.client.status().transfer.receipt, what="the receipt")
    assert len(rig.coordinator.rows["answer_revisions"]) == 2
    rig.client.desire(Mode.ERASE, rig.bundle)
    until(lambda: rig.client.status().storage.state == "erased", what="the erase")
    assert rig.client.terminate() == 0


def test_probes_need_no_certificate_of_the_caller(sitting: Rig) -> None:
    for name in ("startup", "ready", "live"):
        assert sitting.client.probe(name).status_code == 200
    metrics = loopback.get(f"{sitting.client.control_url}/metrics", verify=sitting.client.verify)
    ends = shown(("127.0.0.1", sitting.client.port)).not_valid_after_utc
    said = next(line for line in metrics.text.splitlines() if line.startswith(EXPIRY))
    assert float(said.removeprefix(EXPIRY)) == ends.timestamp()
    status = sitting.client.status()
    assert (status.tls_expires_at, status.tls_reason) == (ends, None)


@pytest.fixture(scope="module")
def browser(sitting: Rig) -> Iterator[httpx.Client]:
    """A cookie session, as a page has it."""
    client = sitting.client
    token = client.authority.participant_token(client.uid, 1)
    with loopback.Client(base_url=client.url, verify=client.verify) as browser:
        reply = browser.get(
            "/exam/start",
            params={"device_id": "d" * 20},
            headers={"Authorization": f"Bearer {token}", "X-Forwarded-Proto": "http"},
        )
        assert "; Secure" in reply.headers["set-cookie"]
        name, _, value = reply.headers["set-cookie"].partition(";")[0].partition("=")
        browser.cookies.clear()
        browser.headers["Cookie"] = f"{name}={value}"  # whatever Host a test sends
        yield browser


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://127.0.0.1:31234", "Host": "127.0.0.1:31234"}, 200),
        ({"Origin": "https://other.example.org", "Host": "other.example.org"}, 200),
        ({"Origin": ADVERTISED, "Host": "10.1.2.3:8235"}, 200),
        ({"Origin": "http://127.0.0.1:31234", "Host": "127.0.0.1:31234"}, 403),
        ({"Origin": "https://127.0.0.1:31234", "Host": "127.0.0.1:31235"}, 403),
        ({"Origin": "https://evil.test", "X-Forwarded-Host": "evil.test"}, 403),
        ({"Origin": "https://evil.test", "Forwarded": "host=evil.test;proto=https"}, 403),
    ],
)
def test_the_pages_own_origin_is_how_it_was_reached_or_what_is_advertised(
    browser: httpx.Client, headers: dict[str, str], status: int
) -> None:
    """Through a NodePort and through an Ingress; what a proxy claims counts for nothing."""
    assert browser.post("/exam/start", json={}, headers=headers).status_code == status


def test_a_new_certificate_is_shown_and_connections_go_on(
    make_rig: MakeRig, issuer: Issuer
) -> None:
    rig = make_rig(issuer=issuer)
    rig.client.start_ready(bundle=rig.bundle)
    connections = [_connection(rig, port) for port in (rig.client.port, rig.client.control_port)]
    sockets = [connection.sock for connection in connections]
    new = issuer.folder(rig.client.tls_dir)
    for port in (rig.client.port, rig.client.control_port):
        until(
            lambda port=port: shown(("127.0.0.1", port)).serial_number == new.serial_number,  # type: ignore[misc]
            what="the new certificate",
        )
    for connection, held in zip(connections, sockets, strict=True):
        assert _get(connection, "/healthz/live") in (200, 404)
        assert connection.sock is held
        connection.close()


def test_a_broken_pair_is_logged_once_and_changes_nothing(
    make_rig: MakeRig, issuer: Issuer
) -> None:
    rig = make_rig(issuer=issuer)
    rig.client.start_ready(bundle=rig.bundle)
    before = shown(("127.0.0.1", rig.client.port)).serial_number
    (rig.client.tls_dir / "tls.key").write_text("broken")
    until(lambda: "certificate_broken" in rig.client.log_text(), what="the log line")
    assert shown(("127.0.0.1", rig.client.port)).serial_number == before
    assert rig.client.is_ready()
    assert "no pair" in (rig.client.status().tls_reason or "")
    after = issuer.folder(rig.client.tls_dir)
    until(
        lambda: shown(("127.0.0.1", rig.client.port)).serial_number == after.serial_number,
        what="the mended certificate",
    )
    assert rig.client.log_text().count("certificate_broken") == 1


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_handshake_that_does_not_end_is_cut(sitting: Rig, said: bytes) -> None:
    public = socket.create_connection(("127.0.0.1", sitting.client.port), timeout=PATIENCE_SECONDS)
    control = socket.create_connection(
        ("127.0.0.1", sitting.client.control_port), timeout=PATIENCE_SECONDS
    )
    with public, control:
        for connection in (public, control):
            connection.sendall(said)
        for connection in (public, control):
            _read_to_the_end(connection)
    assert sitting.client.is_ready()
    assert "Traceback" not in sitting.client.log_text()


def test_a_slow_request_inside_tls_is_cut_in_words(sitting: Rig, issuer: Issuer) -> None:
    place = ("127.0.0.1", sitting.client.port)
    with (
        socket.create_connection(place, timeout=PATIENCE_SECONDS) as plain,
        issuer.trusting().wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"POST /exam/answer HTTP/1.1\r\nHost: x\r\n")
        reply = b""
        while chunk := connection.recv(4096):
            reply += chunk
    assert b"408 " in reply
    assert b"request_timeout" in reply


def test_idle_connections_do_not_hold_the_end_up(make_rig: MakeRig, issuer: Issuer) -> None:
    rig = make_rig(issuer=issuer)
    rig.client.start_ready(bundle=rig.bundle)
    idle = [_connection(rig, rig.client.port) for _ in range(3)]
    assert rig.client.terminate(seconds=GRACEFUL_SECONDS) == 0
    for connection in idle:
        connection.close()


def test_a_pod_mounts_secrets_for_its_group_and_volumes_with_lost_and_found(
    make_rig: MakeRig, issuer: Issuer
) -> None:
    rig = make_rig(issuer=issuer)
    for path in [*rig.client.secret_dir.iterdir(), *rig.client.tls_dir.iterdir()]:
        path.chmod(0o440)
    (rig.client.volume_dir / "lost+found").mkdir(mode=0o700)
    rig.client.extra |= {"HOST": "0.0.0.0", "CONTROL_HOST": "0.0.0.0"}  # noqa: S104  as in a pod
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    sitter.begin()
    assert sitter.answer(1, "A").status_code == 200


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nothing_is_written_outside_the_volume(
    make_rig: MakeRig, issuer: Issuer, scheme: str
) -> None:
    rig = make_rig(issuer=issuer if scheme == "https" else None)
    script = (
        f"mount --bind {rig.client.volume_dir} {rig.client.volume_dir}"
        ' && mount -o remount,bind,ro / && exec "$@"'
    )
    rig.client.prefix = ["unshare", "--mount", "--", "sh", "-c", script, "--"]
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    sitter.begin()
    assert sitter.answer(1, "A").status_code == 200
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: rig.client.status().transfer.receipt, what="the receipt")
    assert rig.client.terminate() == 0


def test_the_coordinators_new_authority_is_believed_without_a_restart(
    make_rig: MakeRig, issuer: Issuer
) -> None:
    rig = make_rig(issuer=issuer)
    believed = rig.client.folder / "coordinator-ca.crt"
    believed.write_bytes(issuer.pem)
    rig.client.extra["COORDINATOR_CA_FILE"] = str(believed)
    rig.client.start_ready(bundle=rig.bundle)
    until(lambda: rig.client.status().coordinator_reachable, what="the coordinator")
    other = Issuer("Next CA")
    assert rig.coordinator.tls is not None
    rig.coordinator.stop()
    other.folder(rig.coordinator.tls)
    rig.coordinator.start()
    until(lambda: rig.client.status().coordinator_reachable is False, what="the mistrust")
    believed.write_bytes(b"nonsense")
    until(lambda: "coordinator_ca_broken" in rig.client.log_text(), what="the log line")
    believed.write_bytes(issuer.pem + other.pem)
    until(lambda: rig.client.status().coordinator_reachable, what="the new trust")
    rig.coordinator.stop()
    rig.coordinator.start()
    believed.write_bytes(issuer.pem)
    until(lambda: rig.client.status().coordinator_reachable is False, what="the end of the trust")


def test_the_token_is_read_anew_and_may_be_missing_for_a_while(make_rig: MakeRig) -> None:
    rig = make_rig()
    token = rig.client.folder / "token"
    token.write_text("first")
    (rig.client.secret_dir / "service.key").unlink()
    rig.client.extra["SERVICE_TOKEN_FILE"] = str(token)
    rig.client.start_ready(bundle=rig.bundle)
    assert set(rig.coordinator.bearers) == {"Bearer first"}
    _replace(token, "second")
    until(lambda: "Bearer second" in rig.coordinator.bearers, what="the new token")
    token.unlink()
    sitter = rig.sitter(1)
    sitter.begin()
    until(lambda: rig.client.status().coordinator_reachable is False, what="the missing token")
    assert sitter.answer(1, "A").status_code == 200
    _replace(token, "third")
    last_seq = rig.client.status().counts.last_seq
    until(lambda: rig.coordinator.accepted >= last_seq, what="the outbox to drain")
    assert rig.coordinator.bearers[-1] == "Bearer third"


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def _connection(rig: Rig, port: int) -> http.client.HTTPSConnection:
    assert rig.client.issuer is not None
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port, timeout=PATIENCE_SECONDS, context=rig.client.issuer.trusting()
    )
    assert _get(connection, "/healthz/live") in (200, 404)
    return connection


def _get(connection: http.client.HTTPSConnection, path: str) -> int:
    connection.request("GET", path)
    reply = connection.getresponse()
    reply.read()
    return reply.status


def _read_to_the_end(connection: socket.socket) -> None:
    """Read until the other side closes; a server that never does fails by timeout."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        return
