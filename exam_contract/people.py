"""Who sits: roster entries and accommodations, and the enrolled participant inside a bundle."""

from fractions import Fraction
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from exam_contract.base import Clean, Contract
from exam_contract.rationals import Rational

Identifier = Annotated[str, StringConstraints(pattern=r"^\S(.{0,62}\S)?$"), Clean]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\S"), Clean]
Email = Annotated[
    str, StringConstraints(pattern=r"^[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+$", max_length=254), Clean
]
MOST_TIMES = 10


class Accommodation(Contract):
    """``time_multiplier`` (1 to 10) stretches the limit; ``extra_seconds`` is added after it."""

    time_multiplier: Rational = "1"
    extra_seconds: int = Field(default=0, ge=0, le=86_400)

    @model_validator(mode="after")
    def _stretches(self) -> Self:
        if not 1 <= Fraction(self.time_multiplier) <= MOST_TIMES:
            raise ValueError(f"time_multiplier must be at least 1 and at most {MOST_TIMES}")
        return self


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
