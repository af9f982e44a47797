"""Whatever happens to a delivery in whatever order, file and memory agree and the rules hold.

Every step is committed to a real SQLCipher file; at any time the process may "die", and what is
loaded from the file must equal what was in memory.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pydantic import TypeAdapter

from exam_client.core import access, commands, trust
from exam_client.core.deciding import decide
from exam_client.core.state import Draft
from exam_client.errors import Refusal
from exam_client.store import database, journal, loading, volume, writing
from exam_contract.actions import Action
from exam_contract.control import Desired, Mode
from exam_contract.progress import CLOSED_STATES
from tests.support import authority, client_core

_ACTION: TypeAdapter[Action] = TypeAdapter(Action)
AUTHORITY = authority.Authority()
MADE = client_core.bundle(authority.exam_document(3))
SIGNED = authority.signed_bundle(AUTHORITY, MADE).model_dump_json()
PEOPLE = st.integers(1, 3)
QUESTIONS = st.sampled_from([1, 2, 901, 902, 903])
ANSWERS = st.sampled_from(["A", "B", "7.35", None, ""])
COMMANDS = st.integers(0, 8)


class Delivery(RuleBasedStateMachine):
    """Batches of decisions over one file."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.lock = volume.VolumeLock(self.folder)
        self.now, self.generation, self.actions = client_core.START, 0, 0
        self.acknowledged: dict[tuple[int, str], tuple[int, int]] = {}
        self._open()
        self._batch([commands.StoreBundle(text=SIGNED, paper=trust.stored_paper(SIGNED))])
        self.desire(Mode.RUN)

    def _open(self) -> None:
        place = journal.Place(self.folder, 1, "uid-1", 1, b"k" * 32, 0)
        self.journal = journal.open_journal(place, self.lock, self.now)
        self.state = self.journal.state

    def _batch(self, batch: list[commands.Command]) -> list[Any]:
        draft, outcomes = Draft(self.state, self.now), []
        for command in batch:
            try:
                outcomes.append(decide(draft, command))
            except Refusal as refusal:
                outcomes.append(refusal)
        with database.transaction(self.journal.connection) as connection:
            writing.write(connection, draft)
        draft.apply()
        return outcomes

    @rule(seconds=st.integers(0, 400))
    def wait(self, seconds: int) -> None:
        self.now += seconds * 1_000_000 + 137

    @rule()
    def tick(self) -> None:
        self._batch([commands.Tick(presence={1: (self.now, 2)}, delivered_seq=0)])

    @rule(person=PEOPLE)
    def begin(self, person: int) -> None:
        self._batch([commands.Begin(person)])

    @rule(person=PEOPLE, device=st.sampled_from(["one", "two"]), token=st.integers(0, 3))
    def check_in(self, person: int, device: str, token: int) -> None:
        name = f"{person}-{device}-{self.now}-{token}"
        command = commands.CheckIn(person, device, name, jti=f"jti-{token}", token_expires_at=1)
        self._batch([command])

    @rule(person=PEOPLE)
    def complete(self, person: int) -> None:
        self._batch([commands.Complete(person, "CODE")])

    @rule(sent=st.lists(st.tuples(PEOPLE, QUESTIONS, ANSWERS, COMMANDS, st.booleans()), max_size=6))
    def answer(self, sent: list[tuple[int, int, Any, int, bool]]) -> None:
        batch: list[commands.Command] = []
        for person, question, answer, number, stale in sent:
            held = self.state.answers.get(person, {}).get(question)
            base = 0 if held is None or stale else held.revision
            batch.append(
                commands.SaveAnswer(person, question, answer, f"c{number}", base, self.now)
            )
        for command, outcome in zip(batch, self._batch(batch), strict=True):
            assert isinstance(command, commands.SaveAnswer)
            if isinstance(outcome, commands.Saved):
                key = (command.participant_id, command.command_id)
                what = (outcome.question_id, outcome.revision)
                assert self.acknowledged.setdefault(key, what) == what

    @rule(
        kind=st.sampled_from(["pause", "resume", "force_submit", "reopen", "grant_time"]),
        ids=st.one_of(st.none(), st.lists(PEOPLE, min_size=1, max_size=2, unique=True)),
    )
    def act(self, kind: str, ids: list[int] | None) -> None:
        self.actions += 1
        action: dict[str, Any] = {"kind": kind, "actor": "s", "reason": "r", "participant_ids": ids}
        action |= {"action_id": f"{self.actions:032x}"}
        action |= {"seconds": 60} if kind in ("reopen", "grant_time") else {}
        self._batch([commands.Act(_ACTION.validate_python(action))])

    @rule(mode=st.sampled_from([Mode.RUN, Mode.FINALISE]))
    def desire(self, mode: Mode) -> None:
        self.generation += 1
        desired = Desired(
            generation=self.generation,
            mode=mode,
            window=MADE.window,
            time_limit_seconds=MADE.time_limit_seconds,
        )
        (outcome,) = self._batch([commands.SetDesired(desired)])
        if outcome is True:
            self._batch([commands.RollBack(desired)])
        if mode is Mode.FINALISE:
            self._batch([commands.Freeze()])

    @rule(seconds=st.integers(0, 100))
    def die_and_recover(self, seconds: int) -> None:
        before = self._picture()
        self.journal.connection.close()
        self.now += seconds * 1_000_000
        self._open()
        assert self._picture() == before
        self._batch([commands.Recovered()])

    def _picture(self) -> dict[str, Any]:
        state = self.state
        names = (
            "whole", "sittings", "tallies", "positions", "answers", "commands", "sessions",
            "bindings", "actions", "last_seq", "last_mark", "audit_id", "audit_head",
            "next_attempt", "next_answer", "next_revision", "answer_count", "revision_count",
        )  # fmt: skip
        picture = {name: getattr(state, name) for name in names}
        picture["open_sessions"] = {k: set(v) for k, v in state.open_sessions.items() if v}
        picture["answers"] = {k: v for k, v in state.answers.items() if v}
        return picture

    @invariant()
    def sums_equal_the_answers_they_sum(self) -> None:
        for person, tally in self.state.tallies.items():
            held = [one for one in self.state.answers.get(person, {}).values() if one.revision]
            assert tally.answered == sum(one.answered for one in held)
            assert tally.points == sum(one.points for one in held)
            assert tally.out_of == sum(one.out_of for one in held if one.answered)
            assert tally.manual == sum(one.manual for one in held)

    @invariant()
    def one_device_at_a_time_holds_sessions(self) -> None:
        for person, held in self.state.open_sessions.items():
            devices = {self.state.sessions[name].device_id for name in held}
            assert len(devices) <= 1, person
            for name in held:
                session, sitting = self.state.sessions[name], self.state.sittings[person]
                assert access.is_alive(session, sitting, sitting.ended_at or self.now)

    @invariant()
    def closed_attempts_have_an_end_and_a_receipt(self) -> None:
        for sitting in self.state.sittings.values():
            assert (sitting.state in CLOSED_STATES) == (sitting.ended_at is not None)
            assert sitting.ended_at is None or sitting.receipt_code
            assert (sitting.attempt_id is None) == (not sitting.item_order)

    def teardown(self) -> None:
        """Every acknowledged command is in the file, exactly once, as it was acknowledged."""
        rows = self.journal.connection.execute(
            "SELECT participant_id, command_id, question_id, revision FROM answer_revisions"
            " WHERE counted = 1"
        ).fetchall()
        stored = {(row[0], row[1]): (row[2], row[3]) for row in rows}
        assert len(rows) == len(stored)
        assert self.acknowledged == stored
        numbers = self.journal.connection.execute("SELECT seq FROM outbox ORDER BY seq").fetchall()
        assert [row[0] for row in numbers] == list(range(1, len(numbers) + 1))
        assert loading.meta(self.journal.connection, "bundle") == SIGNED
        self.journal.connection.close()
        self.lock.release()
        shutil.rmtree(self.folder)


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
