"""Delivery and service tokens, checked here alone against the pinned keys: nobody is asked."""

from dataclasses import dataclass
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from exam_client.core.instants import SECOND
from exam_client.errors import Refusal
from exam_contract.problems import ProblemCode
from exam_contract.trust import PARTICIPANT_TOKEN, SERVICE_TOKEN, TOKEN_SECONDS, TrustRoot

SERVICE_SECONDS = 60
LEEWAY_SECONDS = 5
"""Clocks of two machines differ; a token is never good for longer than its own life plus this."""
_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Token:
    """What a verified token says."""

    subject: str
    jti: str
    expires_at: int


class Tokens:
    """The verifier of one delivery."""

    def __init__(self, trust: TrustRoot, delivery_uid: str) -> None:
        self._issuer = trust.issuer
        self._audience = delivery_uid
        self._keys = KeySet([OKPKey.import_key(key.model_dump(mode="json")) for key in trust.keys])
        # The kid is checked by hand: joserfc falls back to other keys without one.
        self._kids = {key.kid for key in trust.keys}

    def participant(self, text: str, now: int) -> tuple[int, Token]:
        """The participant a delivery token names. Raises Refusal."""
        token = self._verified(text, PARTICIPANT_TOKEN, TOKEN_SECONDS, now)
        if not (token.subject.isascii() and token.subject.isdecimal()):
            raise _invalid("its sub is no participant id")
        return int(token.subject), token

    def service(self, text: str, now: int) -> Token:
        """The person a service token names. Raises Refusal."""
        return self._verified(text, SERVICE_TOKEN, SERVICE_SECONDS, now)

    def _verified(self, text: str, kind: str, most_seconds: int, now: int) -> Token:
        if len(text) > _MAX_BYTES:
            raise _invalid("it is too long")
        try:
            header = jws.extract_compact(text.encode()).headers()
            if header.get("kid") not in self._kids or header.get("alg") not in ("EdDSA", "Ed25519"):
                raise _invalid("it is not signed by a key of this delivery")
            decoded = jwt.decode(text, self._keys, algorithms=["EdDSA", "Ed25519"])
        except (JoseError, ValueError, TypeError, KeyError):
            raise _invalid("its signature does not hold") from None
        if decoded.header.get("typ") != kind:
            raise _invalid(f"its typ is not {kind}")
        return self._claims(decoded.claims, most_seconds, now // SECOND)

    def _claims(self, claims: dict[str, Any], most_seconds: int, now: int) -> Token:
        if claims.get("iss") != self._issuer:
            raise _invalid("its iss is not this delivery's coordinator")
        if claims.get("aud") != self._audience:
            raise _invalid("its aud is not this delivery")
        begins, ends = claims.get("nbf"), claims.get("exp")
        if not isinstance(begins, int) or not isinstance(ends, int):
            raise _invalid("its nbf or exp is missing")
        if ends - begins > most_seconds:
            raise _invalid("its nbf and exp are too far apart")
        if now >= ends + LEEWAY_SECONDS:
            raise Refusal(ProblemCode.TOKEN_EXPIRED, "sign in again to get a new one")
        if now < begins - LEEWAY_SECONDS:
            raise _invalid("it is not valid yet; are the clocks set?")
        subject, jti = claims.get("sub"), claims.get("jti")
        if not isinstance(subject, str) or not isinstance(jti, str) or not 8 <= len(jti) <= 128:
            raise _invalid("its sub or jti is missing")
        return Token(subject=subject, jti=jti, expires_at=ends * SECOND)


def _invalid(reason: str) -> Refusal:
    return Refusal(ProblemCode.TOKEN_INVALID, f"the token is not accepted: {reason}; sign in again")
