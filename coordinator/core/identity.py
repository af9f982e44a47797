"""Who calls the internal door, and whether that is the delivery's current exam-client.

On one machine an exam-client proves itself by its ``service.key``, in a cluster by the token of the
pod it runs in. What is proven is compared with the registered row, never with what a header says.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeGuard

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from coordinator.errors import NotRegistered, Unauthenticated

ALGORITHMS = ("RS256", "ES256")
MOST_TOKEN_CHARS = 16 * 1024
_ACCOUNT = "system:serviceaccount:"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_SKEW_SECONDS = 30
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """Somebody who holds the key of that digest."""

    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """A ServiceAccount, and the pod that its token is bound to."""

    namespace: str
    name: str
    pod_uid: str | None


Proof = ServiceKey | Account


@dataclass(frozen=True, slots=True)
class Registered:
    """What the operator registered of a delivery's exam-client."""

    namespace: str
    pod_uid: str | None
    service_key_sha256: str | None = field(repr=False)


def check_exam_client(proof: Proof, pod_uid: str, registered: Registered) -> None:
    """Raises Unauthenticated, or NotRegistered for a pod that is not (yet) the current one."""
    match proof:
        case ServiceKey(digest=digest):
            known = registered.service_key_sha256
            if known is None:
                raise NotRegistered("this delivery is not registered here yet")
            if not hmac.compare_digest(digest, known):
                raise Unauthenticated("the service key is not this delivery's")
        case Account(namespace=namespace, pod_uid=bound):
            if namespace != registered.namespace:
                raise Unauthenticated("the token is of another namespace than the delivery")
            if bound is None or bound != pod_uid:
                raise Unauthenticated("the token is not bound to the pod of X-Pod-Uid")
    if pod_uid != registered.pod_uid:
        raise NotRegistered("this is not the delivery's current exam-client, or not yet")


@dataclass(frozen=True, slots=True)
class Identified:
    """An account whose token was verified, and until when the token is valid."""

    account: Account
    expires_at: datetime


class TokenRefused(ValueError):
    """Why a token does not identify anybody."""


class KeyUnknown(ValueError):
    """No key at hand can say whether the token is genuine."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself: good for refusing it early, and for nothing else."""

    header: Json
    claims: Json


def peek(token: str, audience: str, now: datetime) -> Unverified:
    """Raises TokenRefused for what no verification could save."""
    if len(token) > MOST_TOKEN_CHARS:
        raise TokenRefused("the token is too long")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenRefused("send the pod's ServiceAccount token")
    said = Unverified(_part(parts[0]), _part(parts[1]))
    if said.header.get("alg") not in ALGORITHMS:
        raise TokenRefused("the token is signed in a way that is not accepted")
    _check_times(said.claims, now)
    if audience not in _audiences(said.claims):
        raise TokenRefused(f"the token is not meant for the audience {audience}")
    return said


def verified(
    token: str, keys: Mapping[str, Json], issuer: str, audience: str, now: datetime
) -> Identified:
    """Offline: by the cluster's public keys (``kid`` to JWK). Raises TokenRefused, KeyUnknown."""
    said = peek(token, audience, now)
    jwk = keys.get(str(said.header.get("kid")))
    if jwk is None:
        raise KeyUnknown("the key of this token is not known here")
    algorithm = str(said.header["alg"])
    _check_fit(jwk, algorithm)
    try:
        key = RSAKey.import_key(jwk) if algorithm == "RS256" else ECKey.import_key(jwk)
        claims = jwt.decode(token, key, algorithms=[algorithm]).claims
    except (JoseError, ValueError, TypeError) as error:
        raise TokenRefused("the token's signature is not the cluster's") from error
    if claims.get("iss") != issuer:
        raise TokenRefused("the token is of another issuer")
    return Identified(_claimed(claims), _expiry(claims))


def reviewed(status: Json, said: Unverified, audience: str) -> Identified:
    """By a TokenReview's status. Raises TokenRefused."""
    if status.get("authenticated") is not True:
        raise TokenRefused("the Kubernetes API does not accept the token")
    if audience not in (status.get("audiences") or []):
        raise TokenRefused(f"the token is not meant for the audience {audience}")
    user = status.get("user") or {}
    uids = (user.get("extra") or {}).get(_POD_UID) or [None]
    namespace, name = _account(str(user.get("username", "")))
    return Identified(Account(namespace, name, uids[0]), _expiry(said.claims))


def _claimed(claims: Json) -> Account:
    bound = claims.get("kubernetes.io")
    if not isinstance(bound, dict):
        raise TokenRefused("the token is bound to nothing in the cluster")
    namespace, name = _account(str(claims.get("sub", "")))
    pod = bound.get("pod") or {}
    account = bound.get("serviceaccount") or {}
    if (bound.get("namespace"), account.get("name")) != (namespace, name):
        raise TokenRefused("the token's claims contradict each other")
    return Account(namespace, name, pod.get("uid"))


def _account(username: str) -> tuple[str, str]:
    namespace, colon, name = username.removeprefix(_ACCOUNT).partition(":")
    if not username.startswith(_ACCOUNT) or not colon or not namespace or not name:
        raise TokenRefused("the token is not a ServiceAccount's")
    return namespace, name


def _check_fit(jwk: Json, algorithm: str) -> None:
    """The key's own type decides: what a header names can't turn one kind into another."""
    kinds = {"RS256": ("RSA", None), "ES256": ("EC", "P-256")}
    if kinds[algorithm] != (jwk.get("kty"), jwk.get("crv")):
        raise TokenRefused("the token's algorithm is not that of its key")


def _check_times(claims: Json, now: datetime) -> None:
    if _expiry(claims) <= now:
        raise TokenRefused("the token has expired")
    begins = claims.get("nbf", 0)
    if not _is_time(begins) or begins > now.timestamp() + _SKEW_SECONDS:
        raise TokenRefused("the token is not valid yet")


def _expiry(claims: Json) -> datetime:
    ends = claims.get("exp")
    if not _is_time(ends):
        raise TokenRefused("the token has no end")
    return datetime.fromtimestamp(ends, UTC)


def _is_time(value: object) -> TypeGuard[float]:
    """One that fits into a date, too: what is no time at all must not break its reader."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**37


def _audiences(claims: Json) -> list[str]:
    said = claims.get("aud")
    if isinstance(said, str):
        return [said]
    return [str(one) for one in said] if isinstance(said, list) else []


def _part(text: str) -> Json:
    try:
        decoded = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise TokenRefused("the token can't be read") from error
    if not isinstance(decoded, dict):
        raise TokenRefused("the token can't be read")
    return decoded
