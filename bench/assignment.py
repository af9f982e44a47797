"""A delivery made for the bench: signed bundle, key files, and tokens for its participants.

Written with the contract's models alone, so that the exam-client under measurement meets nothing
but what a coordinator would give it.
"""

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exam_contract.bundle import Bundle, Window
from exam_contract.canonical import canonical_bytes
from exam_contract.keys import ExamDocument, bind_key
from exam_contract.people import Enrolled
from exam_contract.trust import (
    BUNDLE_CONTEXT,
    PARTICIPANT_TOKEN,
    SERVICE_TOKEN,
    PublicKey,
    Signed,
    TrustRoot,
    signing_bytes,
)

EXAM = Path(__file__).parent.parent / "examples" / "exam.json"
ISSUER = "https://bench.example.org"
KID = "bench-1"
NOBODYS_CODE = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$bm8gY29kZSBoYXMgdGhpcyBoYXNo"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Assignment:
    """One delivery of the example exam to ``participants`` people, open now."""

    participants: int
    delivery_id: int = 1
    uid: str = field(default_factory=lambda: secrets.token_hex(16))
    control_key: str = field(default_factory=lambda: secrets.token_hex(32))
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    document: ExamDocument = field(
        default_factory=lambda: ExamDocument.model_validate_json(EXAM.read_text("utf-8"))
    )
    window: Window = field(
        default_factory=lambda: Window(
            opens_at=datetime.now(UTC) - timedelta(hours=1),
            closes_at=datetime.now(UTC) + timedelta(hours=8),
        )
    )

    def write_secrets(self, folder: Path) -> None:
        """The Secret folder of the exam-client."""
        folder.mkdir(mode=0o700)
        trust = TrustRoot(issuer=ISSUER, keys=[self._public_key()])
        contents = {
            "storage.key": secrets.token_bytes(32),
            "service.key": secrets.token_hex(32).encode(),
            "control.key": self.control_key.encode(),
            "trust.json": trust.model_dump_json().encode(),
        }
        for name, content in contents.items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_bytes(content)

    def signed_bundle(self) -> Signed:
        key = bind_key(self.document)
        bundle = Bundle(
            delivery_id=self.delivery_id,
            delivery_uid=self.uid,
            exam=self.document.exam,
            content_digest=key.content_digest,
            key=key,
            participants=[self._person(number) for number in range(1, self.participants + 1)],
            window=self.window,
            time_limit_seconds=7200,
            delivery_secret=_base64url(secrets.token_bytes(32)),
            sign_in_url=f"{ISSUER}/sit/1",
            issued_at=datetime.now(UTC),
        )
        payload = canonical_bytes(bundle.model_dump(mode="json")).decode()
        signature = self.key.sign(signing_bytes(BUNDLE_CONTEXT, payload))
        return Signed(payload=payload, kid=KID, signature=_base64url(signature))

    def participant_token(self, participant_id: int) -> str:
        return self._token(PARTICIPANT_TOKEN, str(participant_id), 600)

    def service_token(self) -> str:
        return self._token(SERVICE_TOKEN, "bench", 60)

    def _token(self, kind: str, subject: str, seconds: int) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER, "aud": self.uid, "sub": subject, "jti": secrets.token_hex(16),
            "iat": now, "nbf": now, "exp": now + seconds,
        }  # fmt: skip
        parts = ({"alg": "EdDSA", "kid": KID, "typ": kind}, claims)
        text = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
        return f"{text}.{_base64url(self.key.sign(text.encode()))}"

    def _public_key(self) -> PublicKey:
        return PublicKey(kid=KID, x=_base64url(self.key.public_key().public_bytes_raw()))

    def _person(self, number: int) -> Enrolled:
        return Enrolled(
            participant_id=number,
            identifier=f"B{number:05d}",
            name=f"Person {number}",
            email=f"b{number:05d}@example.org",
            code_verifier=NOBODYS_CODE,
        )
