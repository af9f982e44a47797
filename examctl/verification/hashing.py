"""Canonical JSON (RFC 8785 by the ``rfc8785`` library), digests, Merkle roots, Ed25519."""

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of JSON data."""
    return rfc8785.dumps(value)


def sha256(data: bytes) -> str:
    """``sha256:`` and hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def merkle_root(rows: Iterable[dict[str, Any]]) -> str:
    """RFC 6962 section 2.1 over the canonical rows in their order."""
    leaves = [hashlib.sha256(b"\x00" + canonical(row)).digest() for row in rows]
    return "sha256:" + _tree(leaves).hex()


def _tree(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962: split at the largest power of two below the number of leaves."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _tree(leaves[:split]) + _tree(leaves[split:])).digest()


def signature_holds(context: str, payload: str, signature: str, public_key: str) -> bool:
    """Whether ``context + newline + payload`` was signed by that Ed25519 key (both base64url)."""
    try:
        key = Ed25519PublicKey.from_public_bytes(_base64url(public_key))
        key.verify(_base64url(signature), context.encode() + b"\n" + payload.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def is_canonical(text: str) -> bool:
    """Whether a stored JSON text is its own canonical form."""
    try:
        return canonical(json.loads(text)) == text.encode()
    except (ValueError, rfc8785.CanonicalizationError):
        return False


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
