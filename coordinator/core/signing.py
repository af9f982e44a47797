"""Ed25519 signatures and EdDSA tokens of the coordinator; ids and times are arguments."""

import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jwt
from joserfc.jwk import OKPKey

from exam_contract.canonical import canonical_bytes, digest_bytes
from exam_contract.trust import (
    PARTICIPANT_TOKEN,
    SERVICE_TOKEN,
    TOKEN_SECONDS,
    PublicKey,
    Signed,
    signing_bytes,
)

SERVICE_TOKEN_SECONDS = 60
_LEEWAY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class SigningKey:
    """``seed``: the 32 private bytes; never shown."""

    kid: str
    x: str
    seed: bytes = field(repr=False)

    @property
    def public(self) -> PublicKey:
        return PublicKey(kid=self.kid, x=self.x)


def signing_key(seed: bytes) -> SigningKey:
    """The key of 32 random bytes; its id is a digest of the public half."""
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return SigningKey(kid=digest_bytes(public)[7:31], x=to_base64url(public), seed=seed)


def sign(key: SigningKey, context: str, document: dict[str, Any]) -> Signed:
    """A document's canonical JSON and its signature under that context."""
    payload = canonical_bytes(document).decode()
    private = Ed25519PrivateKey.from_private_bytes(key.seed)
    signature = private.sign(signing_bytes(context, payload))
    return Signed(payload=payload, kid=key.kid, signature=to_base64url(signature))


def verifies(x: str, context: str, signed: Signed) -> bool:
    """Whether the signature is that key's over that payload and context."""
    try:
        public = Ed25519PublicKey.from_public_bytes(from_base64url(x))
        public.verify(from_base64url(signed.signature), signing_bytes(context, signed.payload))
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def participant_token(
    key: SigningKey, issuer: str, delivery_uid: str, participant_id: int, now: datetime, jti: str
) -> str:
    """The short-lived token that opens one delivery for one participant."""
    return _token(
        key,
        PARTICIPANT_TOKEN,
        {"iss": issuer, "aud": delivery_uid, "sub": str(participant_id), "jti": jti},
        now,
        TOKEN_SECONDS - _LEEWAY_SECONDS,
    )


def service_token(
    key: SigningKey, issuer: str, delivery_uid: str, subject: str, now: datetime, jti: str
) -> str:
    """The coordinator's own token for one exam-client; ``subject`` names the acting account."""
    return _token(
        key,
        SERVICE_TOKEN,
        {"iss": issuer, "aud": delivery_uid, "sub": subject, "jti": jti},
        now,
        SERVICE_TOKEN_SECONDS - _LEEWAY_SECONDS,
    )


def _token(key: SigningKey, typ: str, claims: dict[str, Any], now: datetime, seconds: int) -> str:
    # nbf lies a little back, so that two clocks on one network need not agree to the second.
    since = int(now.timestamp())
    times = {"iat": since, "nbf": since - _LEEWAY_SECONDS, "exp": since + seconds}
    jwk = OKPKey.import_key(
        {"kty": "OKP", "crv": "Ed25519", "x": key.x, "d": to_base64url(key.seed)}
    )
    header = {"alg": "EdDSA", "typ": typ, "kid": key.kid}
    return jwt.encode(header, {**claims, **times}, jwk, algorithms=["EdDSA"])


def to_base64url(data: bytes) -> str:
    """Without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Padding is optional. Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
