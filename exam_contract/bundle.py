"""Everything an exam-client needs to run a delivery alone, in one signed document.

Fetched once, before the exam; stored inside the encrypted database; from then on nobody else is
needed. The signature covers content, key and roster together.
"""

from typing import Annotated, Literal

from pydantic import Field

from exam_contract.base import Base64Url, Contract, Sha256, UtcTime
from exam_contract.content import Exam
from exam_contract.keys import AnswerKey
from exam_contract.people import Enrolled


class Window(Contract):
    """When attempts may begin and must have arrived. ``grace_seconds`` is for arrival only."""

    opens_at: UtcTime
    closes_at: UtcTime
    grace_seconds: Annotated[int, Field(ge=0, le=3600)] = 60


class Policy(Contract):
    """How the exam-client decides where people could decide otherwise.

    ``outage_credit``: after a restart the gap in service is credited to running attempts (auto),
    only reported (propose) or ignored (off).
    """

    outage_credit: Literal["auto", "propose", "off"] = "auto"
    idle_seconds: int = Field(default=300, ge=10)
    disconnected_seconds: int = Field(default=10, ge=2)


class Bundle(Contract):
    """The signed payload. ``delivery_secret`` (32 bytes, base64url) seeds the shuffles."""

    schema_version: Literal[1] = 1
    delivery_id: int = Field(ge=1)
    delivery_uid: str
    exam: Exam
    content_digest: Sha256
    key: AnswerKey
    participants: list[Enrolled] = Field(max_length=20_000)
    window: Window
    time_limit_seconds: int = Field(ge=1, le=7 * 86_400)
    policy: Policy = Policy()
    delivery_secret: Base64Url
    sign_in_url: str
    """Where participants sign in at the coordinator."""
    issued_at: UtcTime
