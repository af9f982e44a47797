"""Exam actions of staff, carried from the coordinator to the exam-client and persisted there.

Idempotent by ``action_id``: sent again, the first outcome is returned. Authorised by a service
token; the coordinator has already checked the person's role.
"""

from typing import Annotated, Literal

from pydantic import Field

from exam_contract.base import Clean, Contract, UtcTime


class _Action(Contract):
    action_id: str = Field(pattern=r"^[0-9a-f-]{32,36}$")
    actor: str = Field(min_length=1, max_length=100)
    """The staff account's id, for the audit trail; never a name."""
    reason: Annotated[str, Field(min_length=1, max_length=500), Clean]
    participant_ids: list[int] | None = Field(default=None, max_length=20_000)
    """Whom it concerns; absent means everybody in the delivery."""


class GrantTime(_Action):
    """Adds ``seconds`` to the deadline and its cap."""

    kind: Literal["grant_time"]
    seconds: int = Field(ge=1, le=86_400)


class Pause(_Action):
    kind: Literal["pause"]


class Resume(_Action):
    kind: Literal["resume"]


class ForceSubmit(_Action):
    kind: Literal["force_submit"]


class Reopen(_Action):
    """A closed attempt runs again with what was left, at least ``seconds``."""

    kind: Literal["reopen"]
    seconds: int = Field(default=60, ge=1, le=86_400)


class IssueTakeoverCode(_Action):
    """One participant; ``code_verifier`` is the argon2id string of the code staff were shown."""

    kind: Literal["takeover_code"]
    code_verifier: str = Field(max_length=200)
    expires_at: UtcTime


class Announce(_Action):
    """``text`` is shown to the participants within two seconds."""

    kind: Literal["announce"]
    text: Annotated[str, Field(min_length=1, max_length=2000), Clean]


Action = Annotated[
    GrantTime | Pause | Resume | ForceSubmit | Reopen | IssueTakeoverCode | Announce,
    Field(discriminator="kind"),
]


class ActionOutcome(Contract):
    """``applied``: participants it changed; ``skipped``: participant id to the reason in words."""

    action_id: str
    applied: list[int]
    skipped: dict[int, str] = Field(default={})
    seq: int
    """The outbox position that carries its effect."""
