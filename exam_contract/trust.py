"""The trust root of a delivery: whose signatures it believes, fixed from assignment to clean-up.

Token claims: ``iss`` is ``TrustRoot.issuer``, ``aud`` the delivery uid, header ``typ`` one of the
constants below, ``nbf``/``exp`` at most ten minutes apart, ``jti`` random. A participant token's
``sub`` is the participant id as a string; a service token's ``sub`` names the acting person.
"""

from typing import Literal

from pydantic import Field

from exam_contract.base import Base64Url, Contract

PARTICIPANT_TOKEN = "medxamion-participant+jwt"
SERVICE_TOKEN = "medxamion-service+jwt"
TOKEN_SECONDS = 600


class PublicKey(Contract):
    """An Ed25519 public key as a JWK (RFC 8037); ``x`` is base64url without padding."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    kid: str = Field(min_length=1, max_length=64)
    x: Base64Url


class TrustRoot(Contract):
    """``trust.json`` in the delivery's Secret."""

    issuer: str = Field(min_length=1, max_length=200)
    keys: list[PublicKey] = Field(min_length=1, max_length=10)


class Signed(Contract):
    """A document and its Ed25519 signature. ``payload`` is the canonical JSON text that was signed.

    Signed are the bytes ``context + b"\\n" + payload`` in UTF-8, so that a signature over one
    kind of document never fits another. ``signature`` is base64url without padding, of 64 bytes.
    """

    payload: str = Field(max_length=256 * 2**20)
    kid: str = Field(min_length=1, max_length=64)
    signature: Base64Url


BUNDLE_CONTEXT = "medxamion-bundle-v1"
MANIFEST_CONTEXT = "medxamion-manifest-v1"
RECEIPT_CONTEXT = "medxamion-receipt-v1"


def signing_bytes(context: str, payload: str) -> bytes:
    """The exact bytes that are signed for a payload of that kind."""
    return context.encode() + b"\n" + payload.encode()
