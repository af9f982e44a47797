"""A coordinator's signing side for tests: trust root, bundles, tokens and receipts of one key."""

import base64
import os
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jwt
from joserfc.jwk import OKPKey

from exam_contract.bundle import Bundle
from exam_contract.canonical import canonical_bytes
from exam_contract.keys import ExamDocument, bind_key, content_digest
from exam_contract.trust import (
    BUNDLE_CONTEXT,
    PARTICIPANT_TOKEN,
    SERVICE_TOKEN,
    PublicKey,
    Signed,
    TrustRoot,
    signing_bytes,
)

Json = dict[str, Any]
_QUICK = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def verifier(code: str) -> str:
    """An argon2id string of a code, cheap enough for tests."""
    return _QUICK.hash(code)


class Authority:
    """One signing key and what it signs."""

    def __init__(
        self, kid: str = "coordinator-1", issuer: str = "https://coordinator.test"
    ) -> None:
        self.kid, self.issuer = kid, issuer
        self._private = Ed25519PrivateKey.generate()

    @property
    def trust(self) -> TrustRoot:
        raw = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return TrustRoot(issuer=self.issuer, keys=[PublicKey(kid=self.kid, x=base64url(raw))])

    def sign(self, context: str, document: object) -> Signed:
        payload = canonical_bytes(document).decode()
        signature = base64url(self._private.sign(signing_bytes(context, payload)))
        return Signed(payload=payload, kid=self.kid, signature=signature)

    def participant_token(self, uid: str, participant_id: int, **changes: Any) -> str:
        """A delivery token; ``changes`` replace claims, or ``typ`` and ``kid`` of the header."""
        return self._token(uid, PARTICIPANT_TOKEN, str(participant_id), 600, changes)

    def service_token(self, uid: str, **changes: Any) -> str:
        return self._token(uid, SERVICE_TOKEN, "staff:1", 60, changes)

    def _token(self, uid: str, kind: str, subject: str, seconds: int, changes: Json) -> str:
        now = int(time.time())
        claims: Json = {
            "iss": self.issuer,
            "aud": uid,
            "sub": subject,
            "nbf": now,
            "exp": now + seconds,
            "jti": secrets.token_urlsafe(16),
        }
        header = {"alg": "EdDSA", "typ": kind, "kid": self.kid}
        header |= {name: changes.pop(name) for name in ("typ", "kid") if name in changes}
        raw = self._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        key = OKPKey.import_key(
            {"kty": "OKP", "crv": "Ed25519", "x": base64url(public), "d": base64url(raw)}
        )
        return jwt.encode(header, claims | changes, key, algorithms=["EdDSA"])


def exam_document(items: int = 10, **members: Any) -> ExamDocument:
    """An exam of single-best items 1..n (correct: A), but for one numeric, text and essay each."""
    choices = [{"id": letter, "text": f"Option {letter}"} for letter in "ABCD"]
    listed: list[Json] = []
    key: list[Json] = []
    for number in range(1, items + 1):
        stem = f"Stem number {number}: what is the next step for this patient?"
        listed.append({"id": number, "type": "single_best", "stem": stem, "options": choices})
        key.append({"item_id": number, "type": "single_best", "correct": "A"})
    listed += [
        {"id": 901, "type": "numeric", "stem": "Stem of the pH question", "unit": "pH"},
        {"id": 902, "type": "short_text", "stem": "Stem of the drug question"},
        {"id": 903, "type": "essay", "stem": "Stem of the essay"},
    ]
    key += [
        {"item_id": 901, "type": "numeric", "value": "7.35", "tolerance": "0.02"},
        {"item_id": 902, "type": "short_text", "accepted": ["adrenaline"]},
        {"item_id": 903, "type": "essay"},
    ]
    exam: Json = {
        "id": "sample",
        "version": "1",
        "title": "Sample exam",
        "sections": [
            {
                "id": "main",
                "title": "Main",
                "items": [item["id"] for item in listed],
                "shuffle_items": True,
            }
        ],
        "items": listed,
    }
    return ExamDocument.model_validate({"exam": exam | members, "key": key})


def bundle(
    *,
    uid: str,
    delivery_id: int = 1,
    participants: int = 5,
    document: ExamDocument | None = None,
    **members: Any,
) -> Bundle:
    """A bundle of an open window; participant n has identifier p{n}, access code code-{n}."""
    document = document or exam_document()
    now = datetime.now(UTC)
    window = {"opens_at": now - timedelta(minutes=1), "closes_at": now + timedelta(hours=2)}
    return Bundle.model_validate(
        {
            "delivery_id": delivery_id,
            "delivery_uid": uid,
            "exam": document.exam.model_dump(),
            "content_digest": content_digest(document.exam),
            "key": bind_key(document).model_dump(),
            "participants": [person(number) for number in range(1, participants + 1)],
            "window": window | {"grace_seconds": 2},
            "time_limit_seconds": 3600,
            "delivery_secret": base64url(os.urandom(32)),
            "sign_in_url": "https://coordinator.test/sit/1",
            "issued_at": now,
        }
        | members
    )


def person(number: int, **members: Any) -> Json:
    """An enrolled participant; verifiers are made only for the first few, they cost time."""
    makes = number <= 5
    return {
        "participant_id": number,
        "identifier": f"p{number}",
        "name": f"Person Number {number}",
        "email": f"p{number}@example.org",
        "code_verifier": verifier(f"code-{number}") if makes else "none",
        "takeover_verifiers": [verifier(f"printed-{number}")] if makes else [],
    } | members


def signed_bundle(authority: Authority, made: Bundle) -> Signed:
    return authority.sign(BUNDLE_CONTEXT, made.model_dump(mode="json"))
