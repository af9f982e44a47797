"""The file's key and the exam-client's own signing key.

The raw 256-bit database key is HKDF-SHA256 over two halves: ``storage.key`` of the Secret and
``volume.key`` beside the file. Destroying either half destroys the data.
"""

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from exam_client.errors import KeyRefused, VolumeRefused
from exam_contract.canonical import digest_bytes
from exam_contract.trust import PublicKey, Signed, signing_bytes

HALF_BYTES = 32
_INFO = b"medxamion-storage-v1"


@dataclass(frozen=True, slots=True)
class DatabaseKey:
    """The raw key; ``repr`` shows nothing of it."""

    _raw: bytes

    @property
    def pragma(self) -> str:
        return f"PRAGMA key = \"x'{self._raw.hex()}'\""

    def __repr__(self) -> str:
        return "DatabaseKey(...)"


def create_volume_half(folder: Path) -> bytes:
    """Draw the volume's half and make it durable before anything is encrypted with it."""
    path = folder / "volume.key"
    half = os.urandom(HALF_BYTES)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(half)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
    except OSError as error:
        raise VolumeRefused(
            f"{path} cannot be written ({error.strerror}); free the volume"
        ) from None
    return half


def read_volume_half(folder: Path) -> bytes:
    """The volume's half of an existing file. Raises KeyRefused."""
    path = folder / "volume.key"
    try:
        half = path.read_bytes()
    except OSError as error:
        raise KeyRefused(
            f"{path} cannot be read ({error.strerror}); without the volume's half of the key the"
            " file beside it cannot be opened: restore it"
        ) from None
    if len(half) != HALF_BYTES:
        raise KeyRefused(f"{path} must hold {HALF_BYTES} bytes, it holds {len(half)}; restore it")
    return half


def derive(storage_half: bytes, volume_half: bytes, delivery_uid: str) -> DatabaseKey:
    """The database key of one delivery."""
    kdf = HKDF(SHA256(), 32, salt=volume_half, info=_INFO + b"\0" + delivery_uid.encode())
    return DatabaseKey(kdf.derive(storage_half))


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class SigningKey:
    """The exam-client's Ed25519 key: made with the file, its private part only inside it."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.kid = digest_bytes(raw)[7:23]
        self.public = PublicKey(kid=self.kid, x=_base64url(raw))

    @classmethod
    def generate(cls) -> "SigningKey":
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_text(cls, text: str) -> "SigningKey":
        return cls(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text)))

    def to_text(self) -> str:
        """The private part, for the encrypted file only."""
        return self._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()).hex()

    def sign(self, context: str, payload: str) -> Signed:
        signature = self._private.sign(signing_bytes(context, payload))
        return Signed(payload=payload, kid=self.kid, signature=_base64url(signature))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
