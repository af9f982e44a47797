"""A certificate authority as the chart makes one: ``ca.crt`` and ``ca.key`` in a folder."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def make_authority(
    folder: Path,
    *,
    key: Key | None = None,
    since: datetime | None = None,
    lifetime: timedelta = timedelta(days=3650),
) -> Path:
    """Write the pair; returns the folder."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    since = since or datetime.now(UTC) - timedelta(days=1)
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "ca.crt").write_bytes(certificate(key, since, lifetime))
    (folder / "ca.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return folder


def certificate(key: Key, since: datetime, lifetime: timedelta) -> bytes:
    """Signed by itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "medxamion-ca")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM)
