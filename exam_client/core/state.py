"""The delivery in memory, and the draft of a batch laid over it.

The state always equals what is committed. A batch of commands is decided on a ``Draft``, which
reads through to the state and collects what changes; the draft is written in one transaction and
applied only after its COMMIT, or thrown away. So nobody ever sees what might not be on the disk.
"""

from collections import deque
from typing import Any

import msgspec

from exam_client.core import audit, events, records, timing
from exam_client.core.paper import Paper
from exam_contract.progress import AttemptState

RECENT_EVENTS = 4096


class State:
    """Everything committed. Written by ``Draft.apply`` alone; readers copy before they iterate."""

    def __init__(self, identity: records.Identity) -> None:
        self.identity = identity
        self.paper: Paper | None = None
        self.whole = records.Whole()
        self.people: dict[int, records.Person] = {}
        self.by_identifier: dict[str, int] = {}
        self.sittings: dict[int, records.Sitting] = {}
        self.tallies: dict[int, records.Tally] = {}
        self.positions: dict[int, dict[int, int]] = {}
        """Participant to item id to its number (from 1) in the order shown."""
        self.answers: dict[int, dict[int, records.Current]] = {}
        self.commands: dict[int, dict[str, records.CommandRecord]] = {}
        self.sessions: dict[str, records.Session] = {}
        self.open_sessions: dict[int, tuple[str, ...]] = {}
        self.bindings: dict[str, records.Binding] = {}
        self.issued: dict[int, tuple[records.IssuedCode, ...]] = {}
        self.used_codes: set[tuple[int, str]] = set()
        self.actions: dict[str, str] = {}
        self.announcements: tuple[records.Announcement, ...] = ()
        self.last_seq = 0
        self.recent: deque[tuple[int, bytes]] = deque(maxlen=RECENT_EVENTS)
        """The newest events as they are sent, so that sending rarely reads the file."""
        self.last_mark: int | None = None
        self.audit_id = 0
        self.audit_head = ""
        self.next_attempt = 1
        self.next_answer = 1
        self.next_revision = 1
        self.answer_count = 0
        self.revision_count = 0
        self.closed = False
        """Erased: nothing is here any more, and nothing may be written."""

    def adopt(self, paper: Paper) -> None:
        """Take in the bundle's people; what the file says of them is loaded over it."""
        self.paper = paper
        for person in paper.people:
            self.people[person.id] = person
            self.by_identifier[person.identifier] = person.id
            self.sittings.setdefault(person.id, records.Sitting(participant_id=person.id))
            self.tallies.setdefault(person.id, records.Tally())

    def drop_content(self) -> None:
        """Forget exam, people and answers (after the erase). Counts stay."""
        self.paper = None
        for held in (
            self.people,
            self.by_identifier,
            self.sittings,
            self.tallies,
            self.positions,
            self.answers,
            self.commands,
            self.sessions,
            self.open_sessions,
            self.bindings,
            self.issued,
            self.actions,
        ):
            held.clear()
        self.used_codes.clear()
        self.recent.clear()
        self.announcements = ()
        self.closed = True

    def terms(self) -> timing.Terms:
        """Window and limit in force. Only once the bundle is there."""
        if self.whole.terms is not None:
            return self.whole.terms
        assert self.paper is not None  # noqa: S101  callers have checked readiness
        return self.paper.terms


class Draft:
    """One batch: what its commands read and what they change."""

    def __init__(self, state: State, now: int) -> None:
        self.state = state
        self.now = now
        self.whole = state.whole
        self.sittings: dict[int, records.Sitting] = {}
        self.tallies: dict[int, records.Tally] = {}
        self.answers: dict[tuple[int, int], records.Current] = {}
        self.commands: dict[tuple[int, str], records.CommandRecord] = {}
        self.revisions: list[tuple[object, ...]] = []
        self.sessions: dict[str, records.Session] = {}
        self.open_sessions: dict[int, tuple[str, ...]] = {}
        self.bindings: dict[str, records.Binding] = {}
        self.issued: list[records.IssuedCode] = []
        self.used_codes: set[tuple[int, str]] = set()
        self.actions: dict[str, str] = {}
        self.announcements: list[records.Announcement] = []
        self.outbox: list[tuple[int, bytes]] = []
        self.audit: list[audit.Entry] = []
        self.bundle: str | None = None
        self.paper: Paper | None = None
        self.mark: int | None = None
        self.last_seq = state.last_seq
        self.next_attempt = state.next_attempt
        self.next_answer = state.next_answer
        self.next_revision = state.next_revision

    # Reading, through the draft to the state.

    def sitting(self, participant_id: int) -> records.Sitting:
        return self.sittings.get(participant_id) or self.state.sittings[participant_id]

    def tally(self, participant_id: int) -> records.Tally:
        return self.tallies.get(participant_id) or self.state.tallies[participant_id]

    def current(self, participant_id: int, question_id: int) -> records.Current | None:
        drafted = self.answers.get((participant_id, question_id))
        if drafted is not None:
            return drafted
        stored = self.state.answers.get(participant_id)
        return None if stored is None else stored.get(question_id)

    def command(self, participant_id: int, command_id: str) -> records.CommandRecord | None:
        drafted = self.commands.get((participant_id, command_id))
        if drafted is not None:
            return drafted
        stored = self.state.commands.get(participant_id)
        return None if stored is None else stored.get(command_id)

    def session(self, token_hash: str) -> records.Session | None:
        return self.sessions.get(token_hash) or self.state.sessions.get(token_hash)

    def sessions_of(self, participant_id: int) -> tuple[str, ...]:
        drafted = self.open_sessions.get(participant_id)
        return self.state.open_sessions.get(participant_id, ()) if drafted is None else drafted

    def binding(self, jti: str) -> records.Binding | None:
        return self.bindings.get(jti) or self.state.bindings.get(jti)

    def code_is_used(self, participant_id: int, reference: str) -> bool:
        key = (participant_id, reference)
        return key in self.used_codes or key in self.state.used_codes

    def terms(self) -> timing.Terms:
        if self.whole.terms is not None:
            return self.whole.terms
        paper = self.paper or self.state.paper
        assert paper is not None  # noqa: S101  callers have checked readiness
        return paper.terms

    def participant_ids(self) -> list[int]:
        return sorted(self.state.sittings)

    # Writing, into the draft.

    def put_sitting(self, sitting: records.Sitting) -> None:
        self.sittings[sitting.participant_id] = sitting

    def change_whole(self, **members: Any) -> None:
        self.whole = msgspec.structs.replace(self.whole, **members)

    def emit(self, event_type: str, participant_id: int | None, members: dict[str, Any]) -> int:
        """Number an event and put it into the outbox; its seq is returned."""
        self.last_seq += 1
        payload = events.payload(
            self.state.identity, self.last_seq, self.now, event_type, participant_id, members
        )
        self.outbox.append((self.last_seq, payload))
        return self.last_seq

    def note(self, actor: str, action: str, detail: dict[str, Any]) -> None:
        """Append to the audit chain. Never an answer, a name or a code."""
        last = self.audit[-1] if self.audit else None
        number = last.id if last else self.state.audit_id
        head = last.hash if last else self.state.audit_head
        self.audit.append(audit.entry(number + 1, head, self.now, actor, action, detail))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (
            self.sittings
            or self.tallies
            or self.answers
            or self.revisions
            or self.sessions
            or self.bindings
            or self.issued
            or self.used_codes
            or self.actions
            or self.announcements
            or self.outbox
            or self.audit
            or self.bundle
            or self.mark is not None
            or self.whole is not self.state.whole
        )

    def apply(self) -> None:
        """Make the draft visible; called once, after its COMMIT."""
        state = self.state
        if self.paper is not None:
            state.adopt(self.paper)
        self._apply_attempts()
        self._apply_access()
        state.whole = self.whole
        state.recent.extend(self.outbox)
        state.last_seq = self.last_seq
        state.next_attempt = self.next_attempt
        state.next_answer = self.next_answer
        state.next_revision = self.next_revision
        state.last_mark = self.mark if self.mark is not None else state.last_mark
        if self.audit:
            state.audit_id, state.audit_head = self.audit[-1].id, self.audit[-1].hash

    def _apply_attempts(self) -> None:
        state = self.state
        for participant_id, sitting in self.sittings.items():
            state.sittings[participant_id] = sitting
            if sitting.item_order and participant_id not in state.positions:
                state.positions[participant_id] = positions(sitting)
        state.tallies.update(self.tallies)
        for (participant_id, question_id), current in self.answers.items():
            held = state.answers.setdefault(participant_id, {})
            before = held.get(question_id)
            state.answer_count += int(current.revision > 0) - int(
                before is not None and before.revision > 0
            )
            held[question_id] = current
        for (participant_id, command_id), record in self.commands.items():
            state.commands.setdefault(participant_id, {})[command_id] = record
        state.revision_count += len(self.revisions)

    def _apply_access(self) -> None:
        state = self.state
        state.sessions.update(self.sessions)
        state.open_sessions.update(self.open_sessions)
        state.bindings.update(self.bindings)
        for code in self.issued:
            state.issued[code.participant_id] = (
                *state.issued.get(code.participant_id, ()),
                code,
            )
        state.used_codes |= self.used_codes
        state.actions.update(self.actions)
        if self.announcements:
            state.announcements = (*state.announcements, *self.announcements)


def positions(sitting: records.Sitting) -> dict[int, int]:
    """Item id to its number in the order shown."""
    return {item: number for number, item in enumerate(sitting.item_order, start=1)}


def allowance(draft: Draft, sitting: records.Sitting) -> timing.Allowance:
    """What a participant has beyond the limit."""
    person = draft.state.people[sitting.participant_id]
    return timing.Allowance(
        multiplier=person.multiplier,
        extra=person.extra_seconds,
        granted=sitting.granted,
        paused=sitting.paused,
        credited=sitting.credited,
    )


def with_deadline(draft: Draft, sitting: records.Sitting) -> records.Sitting:
    """The sitting with its deadline computed anew and its version raised."""
    due = sitting.deadline
    if sitting.started_at is not None:
        due = timing.deadline(sitting.started_at, draft.terms(), allowance(draft, sitting))
    return msgspec.structs.replace(sitting, deadline=due, version=sitting.version + 1)


def is_running(sitting: records.Sitting) -> bool:
    return sitting.state is AttemptState.IN_PROGRESS
