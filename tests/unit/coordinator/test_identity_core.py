"""Tokens that are what they say, and callers that are the delivery's current exam-client."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from coordinator.core import identity
from coordinator.core.identity import (
    Account,
    KeyUnknown,
    Proof,
    Registered,
    ServiceKey,
    TokenRefused,
    check_exam_client,
)
from coordinator.errors import NotRegistered, Refused, Unauthenticated
from tests.support.cluster_tokens import ISSUER, Issuer, unsigned

CLUSTER = Issuer()
KEYS = {key["kid"]: key for key in CLUSTER.jwks["keys"]}
POD = Registered("exams", "pod-1", None)
KEYED = Registered("default", "pid:1", "sha256:right")


def verified(token: str, **changes: Any) -> identity.Identified:
    wanted = {"keys": KEYS, "issuer": ISSUER, "audience": "coordinator", **changes}
    return identity.verified(token, now=datetime.now(UTC), **wanted)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_genuine_token_names_its_account_and_pod(algorithm: str) -> None:
    found = verified(CLUSTER.token(algorithm=algorithm))
    assert found.account == Account("exams", "exam-client", "pod-1")
    assert found.expires_at > datetime.now(UTC)


def test_a_token_without_a_pod_names_none() -> None:
    assert verified(CLUSTER.token(pod_uid=None)).account.pod_uid is None


def _forged() -> str:
    stranger = Issuer(rsa=RSAKey.generate_key(2048, {"kid": "rsa-1"}))
    return stranger.token()


def _symmetric() -> str:
    """Under a shared secret, as careless libraries once took the public key for."""
    secret = OctKey.generate_key(256)
    claims = {"aud": "coordinator", "exp": 2**33, "iss": ISSUER}
    return jwt.encode({"alg": "HS256", "kid": "rsa-1"}, claims, secret, algorithms=["HS256"])


def _tampered() -> str:
    head, _, signature = CLUSTER.token().split(".")
    other = CLUSTER.token(pod_uid="pod-2").split(".")[1]
    return f"{head}.{other}.{signature}"


_LATER = int((datetime.now(UTC) + timedelta(hours=1)).timestamp())
REFUSED = {
    "alg none": (unsigned(CLUSTER.token()), "signed in a way"),
    "symmetric": (_symmetric(), "signed in a way"),
    "forged": (_forged(), "signature"),
    "tampered": (_tampered(), "signature"),
    "other key type": (CLUSTER.token(header={"kid": "ec-1"}), "algorithm"),
    "expired": (CLUSTER.token(lives=timedelta(seconds=-1)), "expired"),
    "not yet": (CLUSTER.token(nbf=_LATER), "not valid yet"),
    "endless": (CLUSTER.token(exp=None), "no end"),
    "odd end": (CLUSTER.token(exp=True), "no end"),
    "wrong audience": (CLUSTER.token(aud=["https://kubernetes.default.svc"]), "audience"),
    "no audience": (CLUSTER.token(aud=[]), "audience"),
    "other issuer": (CLUSTER.token(iss="https://elsewhere"), "another issuer"),
    "a person": (CLUSTER.token(sub="alice"), "not a ServiceAccount"),
    "half an account": (CLUSTER.token(sub="system:serviceaccount:exams:"), "not a ServiceAccount"),
    "unbound": (CLUSTER.token(bound=False), "bound to nothing"),
    "contradiction": (CLUSTER.token(sub="system:serviceaccount:other:exam-client"), "contradict"),
    "not a token": ("key", "send the pod's"),
    "garbage": ("a.b.c", "can't be read"),
    "a list": ("W10.W10.W10", "can't be read"),
    "huge": ("x" * 20_000, "too long"),
}


@pytest.mark.parametrize(("token", "word"), REFUSED.values(), ids=REFUSED.keys())
def test_a_token_is_refused(token: str, word: str) -> None:
    with pytest.raises(TokenRefused, match=word):
        verified(token)


def test_a_token_of_an_unknown_key_is_neither_believed_nor_refused() -> None:
    with pytest.raises(KeyUnknown):
        verified(CLUSTER.token(header={"kid": "newer"}))


def test_a_one_text_audience_counts() -> None:
    assert verified(CLUSTER.token(aud="coordinator")).account.name == "exam-client"


def review(**changes: Any) -> dict[str, Any]:
    user = {
        "username": "system:serviceaccount:exams:exam-client",
        "extra": {"authentication.kubernetes.io/pod-uid": ["pod-1"]},
    }
    return {"authenticated": True, "audiences": ["coordinator"], "user": user, **changes}


@pytest.mark.parametrize(
    "claims",
    [{"aud": 5}, {"aud": {"coordinator": 1}}, {"aud": True}, {"exp": 10**12}, {"exp": 2**39 + 0.5}],
)
def test_claims_of_a_wrong_kind_are_refused_in_words(claims: dict[str, Any]) -> None:
    said = {"aud": ["coordinator"], "exp": 2**33, **claims}
    header, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "RS256", "kid": "1"}, said)
    )
    with pytest.raises(TokenRefused):
        identity.peek(f"{header}.{body}.AA", "coordinator", datetime.now(UTC))


def test_a_review_names_account_and_pod() -> None:
    said = identity.peek(CLUSTER.token(), "coordinator", datetime.now(UTC))
    found = identity.reviewed(review(), said, "coordinator")
    assert found.account == Account("exams", "exam-client", "pod-1")


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({}, "does not accept"),
        (review(authenticated=False), "does not accept"),
        (review(authenticated="true"), "does not accept"),
        (review(audiences=[]), "audience"),
        (review(audiences=None), "audience"),
        (review(user={"username": "alice"}), "not a ServiceAccount"),
        (review(user=None), "not a ServiceAccount"),
    ],
)
def test_a_review_that_says_no_is_believed(status: dict[str, Any], word: str) -> None:
    said = identity.peek(CLUSTER.token(), "coordinator", datetime.now(UTC))
    with pytest.raises(TokenRefused, match=word):
        identity.reviewed(status, said, "coordinator")


@pytest.mark.parametrize(
    ("proof", "pod_uid", "registered"),
    [
        (ServiceKey("sha256:right"), "pid:1", KEYED),
        (Account("exams", "exam-client", "pod-1"), "pod-1", POD),
    ],
)
def test_the_current_exam_client_passes(proof: Proof, pod_uid: str, registered: Registered) -> None:
    check_exam_client(proof, pod_uid, registered)


@pytest.mark.parametrize(
    ("proof", "pod_uid", "registered", "error"),
    [
        (ServiceKey("sha256:wrong"), "pid:1", KEYED, Unauthenticated),
        (ServiceKey("sha256:right"), "pid:0", KEYED, NotRegistered),
        (ServiceKey("sha256:right"), "pod-1", POD, NotRegistered),
        (Account("other", "exam-client", "pod-1"), "pod-1", POD, Unauthenticated),
        (Account("exams", "exam-client", None), "pod-1", POD, Unauthenticated),
        (Account("exams", "exam-client", "pod-2"), "pod-1", POD, Unauthenticated),
        (Account("exams", "exam-client", "pod-2"), "pod-2", POD, NotRegistered),
        (
            Account("exams", "exam-client", "pod-1"),
            "pod-1",
            Registered("exams", None, None),
            NotRegistered,
        ),
    ],
)
def test_anybody_else_does_not(
    proof: Proof, pod_uid: str, registered: Registered, error: type[Refused]
) -> None:
    with pytest.raises(error):
        check_exam_client(proof, pod_uid, registered)


def test_claims_that_are_no_object_are_refused() -> None:
    part = base64.urlsafe_b64encode(json.dumps("x").encode()).decode().rstrip("=")
    with pytest.raises(TokenRefused):
        verified(f"{part}.{part}.{part}")
