"""Who sits: roster entries and accommodations, and the enrolled participant inside a bundle."""

from typing import Annotated

from pydantic import Field, StringConstraints

from exam_contract.base import Contract
from exam_contract.rationals import Rational

Identifier = Annotated[str, StringConstraints(pattern=r"^\S(.{0,62}\S)?$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Email = Annotated[
    str, StringConstraints(pattern=r"^[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+$", max_length=254)
]


class Accommodation(Contract):
    """``time_multiplier`` stretches the limit; ``extra_seconds`` is added after it."""

    time_multiplier: Rational = "1"
    extra_seconds: int = Field(default=0, ge=0, le=86_400)


class RosterEntry(Contract):
    """One line of a roster file."""

    identifier: Identifier
    name: Name
    email: Email
    accommodation: Accommodation = Accommodation()


class Enrolled(Contract):
    """One participant of a delivery. ``*_verifier`` are argon2id strings, never codes.

    ``takeover_verifiers``: the one-time codes printed at assignment, checked by the exam-client.
    """

    participant_id: int = Field(ge=1)
    identifier: Identifier
    name: Name
    email: Email
    accommodation: Accommodation = Accommodation()
    code_verifier: str = Field(max_length=200)
    takeover_verifiers: list[Annotated[str, Field(max_length=200)]] = Field(
        default=[], max_length=10
    )
