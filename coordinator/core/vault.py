"""Secrets at rest: AES-256-GCM under keys derived (HKDF-SHA256) from the one secret file.

Each purpose has a key of its own, and the row's identity is authenticated with the ciphertext, so
that one row's secret can't be moved into another.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Purpose = Literal["answer-key", "signing-key", "delivery-secret", "bundle"]
NONCE_BYTES = 12


class SecretMismatch(ValueError):
    """The ciphertext was made under another secret file, or altered."""


@dataclass(frozen=True, slots=True)
class Vault:
    """Holds the 32 bytes of the secret file; never shown."""

    master: bytes = field(repr=False)

    def seal(self, purpose: Purpose, row: str, plaintext: bytes, nonce: bytes) -> bytes:
        """Nonce and ciphertext; the nonce must be fresh random bytes."""
        return nonce + AESGCM(self._key(purpose)).encrypt(nonce, plaintext, row.encode())

    def open(self, purpose: Purpose, row: str, sealed: bytes) -> bytes:
        """The plaintext of that row. Raises SecretMismatch."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return AESGCM(self._key(purpose)).decrypt(nonce, ciphertext, row.encode())
        except InvalidTag as error:
            raise SecretMismatch(f"the {purpose} of {row} can't be opened") from error

    def _key(self, purpose: Purpose) -> bytes:
        info = b"medxamion/coordinator/" + purpose.encode()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self.master)


def token_hash(token: str) -> bytes:
    """How sessions and API tokens are stored: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()
