"""Certificates are taken over while they are in use, and never a broken one."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from structlog.testing import capture_logs

from exam_client.errors import CertificateBroken
from exam_client.services.certificates import Certificate, Certificates, load
from exam_client.settings import Settings, SettingsWrong
from tests.support.certificates import Issuer

INSIDE = ("exam-1.exams.svc", "exam-1", "localhost", "public.example.org")
OUTSIDE = ("public.example.org", "*.exams.example.org")


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


def _settings(**members: object) -> Settings:
    known = {
        "delivery_id": 1,
        "delivery_uid": "u",
        "pod_uid": "p",
        "epoch": 1,
        "volume_dir": "v",
        "secret_dir": "s",
        "coordinator_url": "http://c",
    }
    return Settings.model_validate(known | members)


def _serial(context: ssl.SSLContext, name: str | None = None) -> int:
    """The serial number that a handshake in memory shows."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(down, up, server_hostname=name)
    answering = context.wrap_bio(up, down, server_side=True)
    for side in (asking, answering) * 3:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    raw = asking.getpeercert(binary_form=True)
    assert raw is not None
    return x509.load_der_x509_certificate(raw).serial_number


def test_a_new_pair_is_shown_by_the_context_in_use(issuer: Issuer, tmp_path: Path) -> None:
    first = issuer.folder(tmp_path)
    certificates = Certificates(tmp_path)
    context = certificates.control
    assert _serial(context) == first.serial_number
    second = issuer.folder(tmp_path, days=30)
    certificates.refresh()
    assert certificates.control is context
    assert _serial(context) == second.serial_number
    assert certificates.expires_at == second.not_valid_after_utc


@pytest.mark.parametrize("fault", ["mixed", "no_pem", "gone", "empty", "passphrase"])
def test_a_broken_pair_is_told_once_and_the_one_before_stays(
    issuer: Issuer, tmp_path: Path, fault: str
) -> None:
    first = issuer.folder(tmp_path)
    certificates = Certificates(tmp_path)
    whole = (tmp_path / "tls.crt").read_bytes(), (tmp_path / "tls.key").read_bytes()
    _break(issuer, tmp_path, fault)
    with capture_logs() as logs:
        certificates.refresh()
        certificates.refresh()
    assert [entry["event"] for entry in logs] == ["certificate_broken"]
    assert str(tmp_path) in (certificates.trouble or "")
    assert _serial(certificates.control) == first.serial_number
    (tmp_path / "tls.crt").write_bytes(whole[0])
    (tmp_path / "tls.key").write_bytes(whole[1])
    certificates.refresh()
    assert certificates.trouble is None


def _break(issuer: Issuer, folder: Path, fault: str) -> None:
    key = (folder / "tls.key").read_bytes()
    match fault:
        case "mixed":
            issuer.folder(folder)
            (folder / "tls.key").write_bytes(key)
        case "no_pem":
            (folder / "tls.crt").write_bytes(b"no certificate")
        case "gone":
            (folder / "tls.key").unlink()
        case "empty":
            (folder / "tls.key").write_bytes(b"")
        case _:
            issuer.folder(folder)
            private = load_pem_private_key((folder / "tls.key").read_bytes(), None)
            (folder / "tls.key").write_bytes(
                private.private_bytes(
                    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
                )
            )


@pytest.mark.parametrize(
    ("asked", "inside"),
    [
        ("exam-1.exams.svc", True),
        ("EXAM-1.exams.svc", True),
        ("localhost", True),
        ("public.example.org", False),
        ("one.exams.example.org", False),
        ("elsewhere.example.org", False),
        (None, False),
    ],
)
def test_internal_names_get_the_internal_certificate_on_the_public_port(
    issuer: Issuer, tmp_path: Path, asked: str | None, inside: bool
) -> None:
    internal = issuer.folder(tmp_path / "internal", INSIDE)
    public = Issuer("Public CA").folder(tmp_path / "public", OUTSIDE)
    certificates = Certificates(tmp_path / "internal", tmp_path / "public")
    expected = internal if inside else public
    assert _serial(certificates.public, asked) == expected.serial_number
    assert _serial(certificates.control, asked) == internal.serial_number


def test_a_broken_public_pair_keeps_nobody_out(issuer: Issuer, tmp_path: Path) -> None:
    internal = issuer.folder(tmp_path / "internal", INSIDE)
    certificates = Certificates(tmp_path / "internal", tmp_path / "public")
    assert "public" in (certificates.trouble or "")
    for name in ("public.example.org", None):
        assert _serial(certificates.public, name) == internal.serial_number
    public = issuer.folder(tmp_path / "public", OUTSIDE)
    certificates.refresh()
    assert _serial(certificates.public, "public.example.org") == public.serial_number
    assert certificates.trouble is None


def test_the_end_is_that_of_the_certificate_that_ends_first(issuer: Issuer, tmp_path: Path) -> None:
    issuer.folder(tmp_path / "internal", days=90)
    public = issuer.folder(tmp_path / "public", days=-1)
    certificates = Certificates(tmp_path / "internal", tmp_path / "public")
    assert certificates.expires_at == public.not_valid_after_utc
    assert certificates.expires_at < datetime.now(UTC) - timedelta(hours=23)


def test_the_pair_of_a_swapped_link_belongs_together(issuer: Issuer, tmp_path: Path) -> None:
    """As the kubelet mounts a Secret: files are links through ..data."""
    first = issuer.folder(tmp_path / "..1")
    second = issuer.folder(tmp_path / "..2")
    (tmp_path / "..data").symlink_to("..1")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    held = Certificate(tmp_path)
    assert held.refresh()
    assert _serial(held.context) == first.serial_number
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert held.refresh()
    assert not held.refresh()
    assert _serial(held.context) == second.serial_number


def test_old_tls_is_refused(issuer: Issuer, tmp_path: Path) -> None:
    issuer.folder(tmp_path)
    assert Certificates(tmp_path).control.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_start_without_a_usable_pair_is_refused_in_words(tmp_path: Path) -> None:
    assert load(_settings()) is None
    with pytest.raises(SettingsWrong, match=r"tls\.crt and tls\.key"):
        load(_settings(tls_dir=tmp_path))
    with pytest.raises(CertificateBroken):
        Certificates(tmp_path)
