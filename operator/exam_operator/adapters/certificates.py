"""Certificates of exam-clients, signed with the authority that the chart made.

A certificate lives 90 days (or as long as its authority) and is renewed after two thirds of that,
or at once when a name is missing or the authority changed; exam-clients read the new one without a
restart.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from exam_operator.core.access import split_hosts
from exam_operator.errors import Refused

LIFETIME = timedelta(days=90)
_SKEW = timedelta(minutes=5)
_AuthorityKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Authority:
    """``ca.crt`` and ``ca.key`` of a folder, read anew at every use: it may be rotated."""

    folder: Path

    def issue(self, hosts: tuple[str, ...], now: datetime) -> dict[str, bytes]:
        """``tls.crt``, ``tls.key`` and ``ca.crt`` in PEM. Raises Refused in words."""
        certificate, key, bundle = self._load()
        if now >= certificate.not_valid_after_utc:
            ended = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
            raise _unusable(f"the authority in {self.folder} ended at {ended}; replace it")
        own = ec.generate_private_key(ec.SECP256R1())
        issued = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])]))
            .issuer_name(certificate.subject)
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(now - _SKEW, certificate.not_valid_before_utc))
            .not_valid_after(min(now + LIFETIME, certificate.not_valid_after_utc))
            .add_extension(x509.SubjectAlternativeName(_alternatives(hosts)), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_issuer(certificate, key), critical=False)
            .sign(key, hashes.SHA256())
        )
        return {
            "tls.crt": issued.public_bytes(serialization.Encoding.PEM),
            "tls.key": own.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            "ca.crt": bundle,
        }

    def trusted(self) -> bytes:
        """``ca.crt``: everything that counts as ours. Raises Refused in words."""
        return self._read("ca.crt")

    def _load(self) -> tuple[x509.Certificate, _AuthorityKey, bytes]:
        bundle = self._read("ca.crt")
        try:
            key = serialization.load_pem_private_key(self._read("ca.key"), password=None)
            certificates = x509.load_pem_x509_certificates(bundle)
        except ValueError as error:
            raise _unusable(f"{self.folder}: ca.crt and ca.key must be PEM ({error})") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise _unusable(f"{self.folder}/ca.key must be an ECDSA or RSA key")
        for certificate in certificates:
            if certificate.public_key() == key.public_key():
                return certificate, key, bundle
        raise _unusable(f"{self.folder}: no certificate in ca.crt belongs to ca.key")

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise _unusable(f"{self.folder / name} can't be read: {error.strerror}") from error


def is_current(
    held: Mapping[str, bytes], hosts: tuple[str, ...], trusted: bytes | None, now: datetime
) -> bool:
    """Whether a certificate may stay: young enough, for all hosts, of the authority in force."""
    certificate = _parsed(held.get("tls.crt"))
    if certificate is None or (trusted is not None and held.get("ca.crt") != trusted):
        return False
    if now >= _renewal(certificate):
        return False
    return set(hosts) <= _hosts(certificate)


def expires_at(held: Mapping[str, bytes]) -> datetime | None:
    """When the certificate ends; None for something that is none."""
    certificate = _parsed(held.get("tls.crt"))
    return None if certificate is None else certificate.not_valid_after_utc


def _renewal(certificate: x509.Certificate) -> datetime:
    """After two thirds of its life, which ends early where the authority's does."""
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return since + (until - since) * 2 / 3


def _unusable(message: str) -> Refused:
    return Refused("AuthorityUnusable", message)


def _parsed(pem: bytes | None) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(pem) if pem else None
    except ValueError:
        return None


def _issuer(certificate: x509.Certificate, key: _AuthorityKey) -> x509.AuthorityKeyIdentifier:
    """As the authority names its own key: OpenSSL compares, and how it is computed varies."""
    try:
        named = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named)


def _hosts(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    names = set(found.get_values_for_type(x509.DNSName))
    return names | {str(one) for one in found.get_values_for_type(x509.IPAddress)}


def _alternatives(hosts: tuple[str, ...]) -> list[x509.GeneralName]:
    names, addresses = split_hosts(hosts)
    made: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    return made + [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
