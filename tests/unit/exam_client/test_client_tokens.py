"""Tokens are verified alone against the pinned keys; guesses are slowed down."""

import time
from typing import Any

import pytest

from exam_client.core.instants import SECOND
from exam_client.errors import Refusal
from exam_client.services.throttle import Throttle
from exam_client.services.tokens import Tokens
from tests.support.authority import Authority

AUTHORITY = Authority()
TOKENS = Tokens(AUTHORITY.trust, "uid-1")


def _now() -> int:
    return int(time.time()) * SECOND


def test_a_good_token_names_its_participant() -> None:
    participant, token = TOKENS.participant(AUTHORITY.participant_token("uid-1", 7), _now())
    assert participant == 7
    assert token.expires_at > _now()


def test_a_service_token_lives_a_minute_and_opens_no_exam() -> None:
    service = AUTHORITY.service_token("uid-1")
    assert TOKENS.service(service, _now()).subject == "staff:1"
    with pytest.raises(Refusal, match="typ"):
        TOKENS.participant(service, _now())
    with pytest.raises(Refusal, match="too far apart"):
        TOKENS.service(AUTHORITY.service_token("uid-1", exp=int(time.time()) + 600), _now())


def test_a_token_ends_by_the_clock_that_asks() -> None:
    token = AUTHORITY.participant_token("uid-1", 7)
    with pytest.raises(Refusal) as refused:
        TOKENS.participant(token, _now() + 606 * SECOND)
    assert refused.value.code == "token_expired"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "uid-2"},
        {"aud": ["uid-1"]},
        {"iss": "x"},
        {"sub": 7},
        {"jti": "short"},
        {"nbf": "1"},
    ],
)
def test_claims_of_another_shape_or_place_are_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        TOKENS.participant(AUTHORITY.participant_token("uid-1", 7, **claims), _now())
    assert refused.value.code == "token_invalid"


def test_a_key_of_the_same_name_is_not_the_same_key() -> None:
    with pytest.raises(Refusal, match="signature"):
        TOKENS.participant(Authority().participant_token("uid-1", 7), _now())


def test_a_throttle_lets_a_burst_through_and_then_one_by_one() -> None:
    throttle = Throttle(tries=3, seconds_per_try=10)
    for _ in range(3):
        throttle.take("p1", 0)
    with pytest.raises(Refusal) as refused:
        throttle.take("p1", 0)
    assert refused.value.members["retry_after"] == 10
    throttle.take("p2", 0)
    throttle.take("p1", 10 * SECOND)
    with pytest.raises(Refusal):
        throttle.take("p1", 10 * SECOND)
    throttle.forgive("p1")
    throttle.take("p1", 10 * SECOND)
