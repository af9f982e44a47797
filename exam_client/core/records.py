"""What an exam-client knows of people, attempts and answers: frozen records, never edited.

``msgspec.Struct`` instead of dataclasses: one is made for every answer, and frozen ones are an
order of magnitude cheaper. ``gc=False``: they hold no cycles, and very many of them would
make each collection a pause. Points are integers in units of ``1 / Paper.scale``: sums stay exact.
"""

from fractions import Fraction

import msgspec

from exam_client.core import timing
from exam_contract.control import Mode
from exam_contract.progress import CLOSED_STATES, OPEN_STATES, AttemptState


class Person(msgspec.Struct, frozen=True):
    """An enrolled participant, as the bundle names them."""

    id: int
    identifier: str
    name: str
    email: str
    multiplier: Fraction
    extra_seconds: int
    code_verifier: str
    takeover_verifiers: tuple[str, ...]


class Sitting(msgspec.Struct, frozen=True, gc=False):
    """Where one participant stands, from enrolment to the end of the attempt."""

    participant_id: int
    state: AttemptState = AttemptState.REGISTERED
    checked_in_at: int | None = None
    granted: int = 0
    paused: int = 0
    credited: int = 0
    paused_since: int | None = None
    version: int = 0
    """Raised whenever the deadline changes."""
    attempt_id: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    deadline: int | None = None
    item_order: tuple[int, ...] = ()
    receipt_code: str | None = None
    closed_by: str | None = None
    """participant, clock, action or freeze: a rollback reopens only what the freeze closed."""

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def is_closed(self) -> bool:
        return self.state in CLOSED_STATES


class Tally(msgspec.Struct, frozen=True, gc=False):
    """Running sums over a participant's current answers."""

    answered: int = 0
    points: int = 0
    out_of: int = 0
    """The maximum of the items answered so far."""
    manual: int = 0
    revisions: int = 0
    current_question: int = 1
    """Number (not id) of the question last seen or answered."""
    last_save: int | None = None
    last_activity: int | None = None


class Current(msgspec.Struct, frozen=True, gc=False):
    """The answer in force to one question. ``revision`` 0: none counts yet.

    ``top`` is the highest revision ever numbered, late ones that do not count included.
    """

    answer_id: int
    revision: int
    top: int
    text: str
    saved_at: int
    points: int
    out_of: int
    manual: bool
    answered: bool


class CommandRecord(msgspec.Struct, frozen=True, gc=False):
    """The outcome of a command id, for when it is sent again."""

    fingerprint: int
    question_id: int
    revision: int
    saved_at: int
    seq: int
    counted: bool


class Session(msgspec.Struct, frozen=True, gc=False):
    """``token_hash`` is all that is ever stored of a session."""

    token_hash: str
    participant_id: int
    device_id: str
    created_at: int
    ended_at: int | None = None


class Binding(msgspec.Struct, frozen=True, gc=False):
    """The device a token was first used on."""

    jti: str
    participant_id: int
    device_id: str
    expires_at: int


class IssuedCode(msgspec.Struct, frozen=True):
    """A takeover code issued live, as a verifier."""

    action_id: str
    participant_id: int
    verifier: str
    expires_at: int


class Announcement(msgspec.Struct, frozen=True):
    id: int
    at: int
    text: str
    participant_ids: frozenset[int] | None


class Transfer(msgspec.Struct, frozen=True):
    """How far the hand-over is; survives restarts. ``manifest`` and ``receipt`` are signed JSON."""

    state: str = "none"
    manifest: str | None = None
    manifest_digest: str | None = None
    audit_through: int = 0
    receipt: str | None = None
    confirmed: bool = False


class Whole(msgspec.Struct, frozen=True):
    """What is true of the delivery as a whole."""

    generation: int = 0
    mode: Mode = Mode.PREPARE
    terms: timing.Terms | None = None
    """The desired document's terms; the bundle's while there is none."""
    aborted: bool = False
    fenced: bool = False
    opened: bool = False
    all_paused: bool = False
    frozen_at: int | None = None
    storage_full: bool = False
    delivered_seq: int = 0
    transfer: Transfer = Transfer()


class Identity(msgspec.Struct, frozen=True):
    """Who this process is; fixed for its life."""

    delivery_id: int
    delivery_uid: str
    epoch: int
    incarnation: int
    event_prefix: str
    """16 random hex digits per incarnation: the first half of every event id."""
