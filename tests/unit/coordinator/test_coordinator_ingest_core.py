"""The cursor's rules under duplicates, reordering, gaps, forgeries and a database that rewinds."""

import hashlib
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from coordinator.core.ingest import Cursor, Fence, Incoming, known_seqs, plan
from exam_contract.events import EVENT, event_digest


def incoming(seq: int, flavour: str = "true") -> Incoming:
    body: dict[str, Any] = {
        "event_id": hashlib.sha256(f"{seq}{flavour}".encode()).hexdigest()[:32],
        "delivery_id": 1,
        "epoch": 1,
        "incarnation": 1,
        "seq": seq,
        "timestamp": "2026-01-15T10:30:00.000000Z",
        "event_type": "participant_checked_in",
        "participant_id": 1 if flavour == "true" else 2,
        "offline": False,
    }
    body["digest"] = event_digest(body)
    return Incoming(EVENT.validate_python(body), body)


class Channel(RuleBasedStateMachine):
    """An outbox, a network that does its worst, and what the coordinator has stored."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0
        self.stored: list[Incoming] = []
        self.quarantined = 0

    @initialize(count=st.integers(1, 8))
    def begin(self, count: int) -> None:
        self.written = count

    @rule(count=st.integers(1, 5))
    def write(self, count: int) -> None:
        self.written += count

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """Any of what was written: some of it, twice, in any order."""
        seqs = data.draw(st.lists(st.integers(1, self.written), min_size=1, max_size=12))
        self.receive([incoming(seq) for seq in seqs])

    @rule()
    def resend_from_the_cursor(self) -> None:
        """What an honest sender does after any reply."""
        batch = [incoming(seq) for seq in range(len(self.stored) + 1, self.written + 1)]
        if batch:
            self.receive(batch)
        assert len(self.stored) == self.written

    @precondition(lambda self: bool(self.stored))
    @rule(data=st.data())
    def forge(self, data: st.DataObject) -> None:
        """Another event under a seq that is stored."""
        seq = data.draw(st.integers(1, len(self.stored)))
        before = self.quarantined
        self.receive([incoming(seq, "forged")])
        assert self.quarantined == before + 1

    @rule(data=st.data())
    def rewind(self, data: st.DataObject) -> None:
        """An older backup of the database is restored."""
        self.stored = self.stored[: data.draw(st.integers(0, len(self.stored)))]

    def receive(self, batch: list[Incoming]) -> None:
        cursor = Cursor(len(self.stored), len(self.stored), Fence(1, 1))
        known = {seq: self.stored[seq - 1].event.digest for seq in known_seqs(cursor, batch)}
        outcome = plan(cursor, batch, known)
        self.stored.extend(outcome.new)
        self.quarantined += outcome.conflict is not None
        if outcome.gap is not None:
            assert outcome.gap == len(self.stored) + 1
            assert max(item.event.seq for item in batch) > outcome.gap

    @invariant()
    def stored_is_a_gap_free_prefix_of_what_was_written(self) -> None:
        seqs = [item.event.seq for item in self.stored]
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) <= self.written
        assert all(
            item.event.digest == incoming(item.event.seq).event.digest for item in self.stored
        )


TestChannel = Channel.TestCase


def test_two_different_events_of_one_seq_in_one_batch_conflict() -> None:
    outcome = plan(Cursor(0, 0, Fence(1, 1)), [incoming(1), incoming(1, "forged")], {})
    assert [item.event.seq for item in outcome.new] == [1]
    assert outcome.conflict is not None
    assert outcome.conflict.stored_digest == incoming(1).event.digest


def test_fences_compare_epoch_before_incarnation() -> None:
    assert Fence(2, 1) > Fence(1, 9)
    assert Fence(2, 3) > Fence(2, 2)
