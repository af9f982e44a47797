"""A certificate authority of a test: folders as Kubernetes mounts them, whole or broken."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from tests.support.waiting import PATIENCE_SECONDS

LOOPBACK = ("localhost", "127.0.0.1")


class Issuer:
    """One CA. ``folder`` writes what a ``kubernetes.io/tls`` Secret holds, and ``ca.crt``."""

    def __init__(self, name: str = "Test CA") -> None:
        self._key = generate_private_key(SECP256R1())
        self._subject = _named(name)
        key_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self.certificate = (
            _builder(self._subject, self._subject, self._key, days=365)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(key_id, critical=False)
            .sign(self._key, SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def trusting(self) -> ssl.SSLContext:
        """A client's context that believes this CA alone."""
        return ssl.create_default_context(cadata=self.pem.decode())

    def folder(
        self, folder: Path, names: tuple[str, ...] = LOOPBACK, *, days: float = 90
    ) -> x509.Certificate:
        """Write ``tls.crt``, ``tls.key`` and ``ca.crt`` (over those that are there)."""
        key = generate_private_key(SECP256R1())
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        leaf = (
            _builder(_named(names[0]), self._subject, key, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(authority, critical=False)
            .add_extension(alternatives, critical=False)
            .sign(self._key, SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.crt").write_bytes(self.pem)
        (folder / "tls.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (folder / "tls.crt").write_bytes(leaf.public_bytes(Encoding.PEM))
        return leaf


def shown(place: tuple[str, int], name: str | None = None) -> x509.Certificate:
    """The certificate that a server shows for a name, whoever signed it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(place, timeout=PATIENCE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=name) as wrapped,
    ):
        raw = wrapped.getpeercert(binary_form=True)
    assert raw is not None
    return x509.load_der_x509_certificate(raw)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, days: float
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=200))
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
