"""The operator's own check of a receipt's signature against the delivery's trust root."""

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from exam_contract.results import Receipt
from exam_contract.trust import RECEIPT_CONTEXT, PublicKey, Signed, TrustRoot, signing_bytes
from exam_operator.core.world import ReceiptCheck


def check_receipt(signed: Signed, trust: TrustRoot | None) -> ReceiptCheck:
    """The receipt, when one of the trusted keys signed exactly these bytes as a receipt."""
    key = next((key for key in trust.keys if key.kid == signed.kid), None) if trust else None
    if key is None:
        return ReceiptCheck(problem="the receipt is signed with a key that is not trusted here")
    try:
        _public(key).verify(
            _decoded(signed.signature), signing_bytes(RECEIPT_CONTEXT, signed.payload)
        )
        return ReceiptCheck(receipt=Receipt.model_validate_json(signed.payload))
    except InvalidSignature:
        return ReceiptCheck(problem="the receipt's signature is wrong")
    except (binascii.Error, ValueError) as error:
        kind = "is no receipt" if isinstance(error, ValidationError) else "can't be read"
        return ReceiptCheck(problem=f"what the receipt's signature covers {kind}")


def _public(key: PublicKey) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(_decoded(key.x))


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
