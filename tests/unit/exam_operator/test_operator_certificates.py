"""Certificates of exam-clients: for whom, for how long, and when another one is needed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from exam_operator.adapters import certificates
from exam_operator.adapters.certificates import Authority
from exam_operator.core import access
from exam_operator.errors import Refused
from tests.support import deliveries
from tests.support.certificate_folder import certificate, make_authority

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
HOSTS = access.certificate_hosts(deliveries.delivery(), "192.0.2.7")
DAY = timedelta(days=1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(make_authority(tmp_path / "ca", since=NOW - 100 * DAY))


def is_current(held: dict[str, bytes], authority: Authority, now: datetime) -> bool:
    return certificates.is_current(held, HOSTS, authority.trusted(), now)


def test_it_names_everybody_who_calls(authority: Authority) -> None:
    held = authority.issue(HOSTS, NOW)
    made = x509.load_pem_x509_certificate(held["tls.crt"])
    named = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    inside = f"exam-{deliveries.UID}"
    assert named.get_values_for_type(x509.DNSName) == [
        inside,
        f"{inside}.default",
        f"{inside}.default.svc",
        f"{inside}.default.svc.cluster.local",
        "localhost",
    ]
    assert [str(one) for one in named.get_values_for_type(x509.IPAddress)] == [
        "127.0.0.1",
        "192.0.2.7",
    ]
    assert held["ca.crt"] == authority.trusted()
    assert certificates.expires_at(held) == NOW + 90 * DAY


def test_it_is_renewed_after_two_thirds_of_its_life(authority: Authority) -> None:
    held = authority.issue(HOSTS, NOW)
    assert is_current(held, authority, NOW + 59 * DAY)
    assert not is_current(held, authority, NOW + 60 * DAY)


def test_another_name_or_another_authority_asks_for_another(authority: Authority) -> None:
    held = authority.issue(HOSTS, NOW)
    more = (*HOSTS, "exam.example.org")
    assert not certificates.is_current(held, more, authority.trusted(), NOW)
    make_authority(authority.folder, since=NOW - DAY)
    assert not is_current(held, authority, NOW)
    assert is_current(authority.issue(HOSTS, NOW), authority, NOW)


@pytest.mark.parametrize("held", [{}, {"tls.crt": b"none"}, {"tls.crt": b""}])
def test_what_is_no_certificate_is_none(held: dict[str, bytes], authority: Authority) -> None:
    assert not is_current(held, authority, NOW)
    assert certificates.expires_at(held) is None


def test_it_ends_with_its_authority_and_is_renewed_before(tmp_path: Path) -> None:
    short = Authority(make_authority(tmp_path / "ca", since=NOW - DAY, lifetime=31 * DAY))
    held = short.issue(HOSTS, NOW)
    assert certificates.expires_at(held) == NOW + 30 * DAY
    assert not is_current(held, short, NOW + 21 * DAY)
    with pytest.raises(Refused, match="ended at"):
        short.issue(HOSTS, NOW + 30 * DAY)


def test_an_authority_that_is_no_use_is_told_in_words(authority: Authority) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    (authority.folder / "ca.crt").write_bytes(certificate(other, NOW - DAY, 9 * DAY))
    with pytest.raises(Refused, match=r"no certificate in ca\.crt belongs to ca\.key"):
        authority.issue(HOSTS, NOW)
    (authority.folder / "ca.key").write_text("none")
    with pytest.raises(Refused, match="must be PEM"):
        authority.issue(HOSTS, NOW)
    (authority.folder / "ca.key").unlink()
    with pytest.raises(Refused, match="can't be read"):
        authority.issue(HOSTS, NOW)
