"""Every way in which the delivery can change, as data. ``deciding.decide`` says what each one does.

A command carries all that its decision needs from outside: ids, hashes and verifiers that were
drawn or checked before, never a secret in clear.
"""

from typing import Any, Literal

import msgspec

from exam_client.core.paper import Paper
from exam_client.core.records import Sitting, Tally
from exam_contract.actions import Action
from exam_contract.control import Desired


class SaveAnswer(msgspec.Struct, frozen=True, gc=False):
    participant_id: int
    question_id: int
    answer: Any
    command_id: str
    base_revision: int
    arrived_at: int


class CheckIn(msgspec.Struct, frozen=True):
    """A verified token (or an offline sign-in, without ``jti``) asks for a session."""

    participant_id: int
    device_id: str
    session_hash: str
    jti: str | None = None
    token_expires_at: int = 0
    offline: bool = False
    present_session: str | None = None
    """Hash of a session the caller already holds: kept when it is of the same device."""


class TakeOver(msgspec.Struct, frozen=True):
    """``code_reference`` names the verifier that matched; it is used up by this."""

    participant_id: int
    device_id: str
    session_hash: str
    code_reference: str
    jti: str | None = None
    token_expires_at: int = 0
    offline: bool = False


class SignOut(msgspec.Struct, frozen=True):
    session_hash: str


class Begin(msgspec.Struct, frozen=True):
    participant_id: int


class Complete(msgspec.Struct, frozen=True):
    participant_id: int
    receipt_code: str


class Act(msgspec.Struct, frozen=True):
    action: Action


class SetDesired(msgspec.Struct, frozen=True):
    desired: Desired


class StoreBundle(msgspec.Struct, frozen=True):
    """``text`` is the signed document as it came; ``paper`` is it, checked and compiled."""

    text: str
    paper: Paper


class Tick(msgspec.Struct, frozen=True):
    """Each second: close what is over, open what is due, leave the mark of life."""

    presence: dict[int, tuple[int, int]]
    """Participant id to (last activity, question number) since the last tick."""
    delivered_seq: int


class Recovered(msgspec.Struct, frozen=True):
    """The first command after an existing file was opened."""


class NoteAudit(msgspec.Struct, frozen=True):
    actor: str
    action: str
    detail: dict[str, Any]


class NoteStorage(msgspec.Struct, frozen=True):
    full: bool


class Freeze(msgspec.Struct, frozen=True):
    """Close what is open and let no participant write any more."""


class RollBack(msgspec.Struct, frozen=True):
    desired: Desired


class SetTransfer(msgspec.Struct, frozen=True):
    """A step of the hand-over, with what it brings."""

    state: Literal["sealed", "uploading", "committed", "receipted"]
    members: dict[str, Any]


Command = (
    SaveAnswer
    | CheckIn
    | TakeOver
    | SignOut
    | Begin
    | Complete
    | Act
    | SetDesired
    | StoreBundle
    | Tick
    | Recovered
    | NoteAudit
    | NoteStorage
    | Freeze
    | RollBack
    | SetTransfer
)


class Saved(msgspec.Struct, frozen=True, gc=False):
    """An answer that is (or long was) committed; what the reply is made of."""

    question_id: int
    revision: int
    saved_at: int
    seq: int
    sitting: Sitting
    tally: Tally


class Late(msgspec.Struct, frozen=True, gc=False):
    """An answer after the deadline: kept, not counted, refused to the sender."""

    question_id: int
    revision: int


class SignedIn(msgspec.Struct, frozen=True):
    """``reused``: the session that came with the request goes on; no new one was made."""

    sitting: Sitting
    reused: bool
