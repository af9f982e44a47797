"""Whose signatures this delivery believes: bundle and receipt checked against the trust root."""

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from exam_client.core.paper import Paper
from exam_client.errors import BundleRefused
from exam_contract.bundle import Bundle
from exam_contract.canonical import digest
from exam_contract.content import undelivered_types
from exam_contract.keys import KeyMismatch, check_key
from exam_contract.results import Manifest, Receipt, manifest_digest
from exam_contract.trust import (
    BUNDLE_CONTEXT,
    RECEIPT_CONTEXT,
    PublicKey,
    Signed,
    TrustRoot,
    signing_bytes,
)


class SignatureRefused(ValueError):
    """The signature is not by a key that is trusted for this document."""


class ReceiptRefused(ValueError):
    """The receipt is not for what was handed over; the message says what differs."""


def verified(trust: TrustRoot, context: str, signed: Signed) -> str:
    """The payload of a signed document. Raises SignatureRefused."""
    key = next((key for key in trust.keys if key.kid == signed.kid), None)
    if key is None:
        raise SignatureRefused(f"signed by key {signed.kid!r}, which trust.json does not hold")
    try:
        public_key(key).verify(
            decode_base64url(signed.signature), signing_bytes(context, signed.payload)
        )
    except (InvalidSignature, ValueError, binascii.Error):
        raise SignatureRefused("the signature does not fit the document") from None
    return signed.payload


def open_bundle(trust: TrustRoot, signed: Signed, delivery_id: int, delivery_uid: str) -> Paper:
    """Check a bundle in full and compile it. Raises BundleRefused."""
    try:
        bundle = Bundle.model_validate_json(verified(trust, BUNDLE_CONTEXT, signed))
        if (bundle.delivery_id, bundle.delivery_uid) != (delivery_id, delivery_uid):
            raise BundleRefused(f"the bundle is for delivery {bundle.delivery_uid}, not this one")
        check_key(bundle.exam, bundle.key)
    except SignatureRefused as error:
        raise BundleRefused(f"the bundle is not to be trusted: {error}") from None
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise BundleRefused(f"the bundle is malformed at {place}: {fault['msg']}") from None
    except KeyMismatch as error:
        raise BundleRefused(f"the answer key does not fit the exam: {error}") from None
    if bundle.content_digest != digest(bundle.exam.model_dump(mode="json")):
        raise BundleRefused("the bundle's content_digest is not the digest of its exam")
    undelivered = undelivered_types(bundle.exam)
    if undelivered:
        item, kind = undelivered[0]
        raise BundleRefused(f"item {item} is of type {kind}, which cannot be sat yet")
    return Paper(bundle)


def stored_paper(signed_text: str) -> Paper:
    """The paper of a bundle that was checked before it was stored in the encrypted file."""
    signed = Signed.model_validate_json(signed_text)
    return Paper(Bundle.model_validate_json(signed.payload))


def check_receipt(trust: TrustRoot, manifest: Manifest, signed: Signed) -> Receipt:
    """The receipt, if it is signed by the coordinator and names exactly this manifest's rows."""
    try:
        receipt = Receipt.model_validate_json(verified(trust, RECEIPT_CONTEXT, signed))
    except (SignatureRefused, ValidationError) as error:
        raise ReceiptRefused(f"the receipt is not to be trusted: {error}") from None
    expected = {
        "delivery_id": manifest.delivery_id,
        "delivery_uid": manifest.delivery_uid,
        "manifest_digest": manifest_digest(manifest),
        "tables": manifest.tables,
        "last_seq": manifest.last_seq,
    }
    for name, value in expected.items():
        if getattr(receipt, name) != value:
            raise ReceiptRefused(f"the receipt's {name} is not the manifest's: nothing is erased")
    return receipt


def public_key(key: PublicKey) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(decode_base64url(key.x))


def decode_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
