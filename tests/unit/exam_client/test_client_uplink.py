"""Sending under duplicate, reorder, gap, lost reply and rewind: the log there is ours, in order."""

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exam_client.core import uplink
from exam_client.core.uplink import Alarm, Uplink


class Sending(RuleBasedStateMachine):
    """The client's cursor against a coordinator that keeps the ingest rules and loses replies."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox: list[bytes] = []
        self.there: list[bytes] = []
        self.uplink = Uplink()

    @rule(count=st.integers(1, 5))
    def commit(self, count: int) -> None:
        self.outbox += [f"event {len(self.outbox) + n}".encode() for n in range(count)]

    @rule()
    def restart(self) -> None:
        """A successor knows an older position or none, and registers again."""
        self.uplink = Uplink(accepted=min(self.uplink.accepted, len(self.outbox)))

    @rule(lost=st.booleans())
    def register(self, lost: bool) -> None:
        if lost:
            self.uplink = uplink.failed(self.uplink)
        else:
            self.uplink = uplink.told(self.uplink, len(self.there), len(self.outbox))

    @precondition(lambda self: self.uplink.registered and self.uplink.accepted < len(self.outbox))
    @rule(lost=st.booleans(), most=st.integers(1, 4), twice=st.booleans())
    def push(self, lost: bool, most: int, twice: bool) -> None:
        after = self.uplink.accepted
        waiting = list(enumerate(self.outbox[after:], start=after + 1))
        batch = uplink.cut_batch(waiting, after, most, 10_000)
        assert batch
        gap = self._ingest(batch)
        if twice:
            self._ingest(batch)
        if lost:
            self.uplink = uplink.failed(self.uplink)
        elif gap:
            expected = len(self.there) + 1
            self.uplink = uplink.refused(self.uplink, "seq_gap", expected, len(self.outbox))
        else:
            self.uplink = uplink.told(self.uplink, len(self.there), len(self.outbox))

    @rule(keep=st.integers(0, 20))
    def rewind(self, keep: int) -> None:
        del self.there[keep:]

    @rule(code=st.sampled_from(["not_registered", "database_unavailable", "internal"]))
    def refuse(self, code: str) -> None:
        self.uplink = uplink.refused(self.uplink, code, None, len(self.outbox))

    @invariant()
    def what_is_there_is_a_prefix_of_ours(self) -> None:
        assert self.there == self.outbox[: len(self.there)]
        assert self.uplink.accepted <= len(self.outbox)

    def teardown(self) -> None:
        """Left alone, everything arrives."""
        for _ in range(2 * len(self.outbox) + 4):
            self.register(lost=False) if not self.uplink.registered else None
            if self.uplink.accepted < len(self.outbox):
                self.push(lost=False, most=4, twice=False)
        last = len(self.outbox)
        if self.there != self.outbox:  # rewound after the last push: the next contact tells
            self.uplink = uplink.told(self.uplink, len(self.there), last)
            while self.uplink.accepted < last:
                self.push(lost=False, most=4, twice=False)
        assert self.there == self.outbox
        assert self.uplink.alarm is None

    def _ingest(self, batch: list[tuple[int, bytes]]) -> bool:
        for seq, payload in batch:
            if seq > len(self.there) + 1:
                return True
            if seq == len(self.there) + 1:
                self.there.append(payload)
            else:
                assert self.there[seq - 1] == payload
        return False


TestSending = Sending.TestCase
TestSending.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_coordinator_that_is_ahead_of_the_file_stops_the_sending() -> None:
    assert uplink.told(Uplink(), 11, last_seq=10).alarm is Alarm.OLD_COPY
    assert uplink.refused(Uplink(), "seq_gap", 12, last_seq=10).alarm is Alarm.OLD_COPY


def test_only_people_mend_a_conflict_or_a_fence() -> None:
    assert uplink.refused(Uplink(), "seq_conflict", None, 10).alarm is Alarm.SEQ_CONFLICT
    assert uplink.refused(Uplink(), "fenced", None, 10).alarm is Alarm.FENCED


def test_a_gap_that_moves_nothing_waits_before_the_next_try() -> None:
    before = Uplink(accepted=4, registered=True)
    assert uplink.refused(before, "seq_gap", 5, 10).failures == 1


def test_the_back_off_doubles_to_its_limit_and_is_fully_jittered() -> None:
    assert uplink.delay_seconds(0, 0.5) == 0
    assert uplink.delay_seconds(1, 1.0) == 0.4
    assert uplink.delay_seconds(3, 1.0) == 1.6
    assert uplink.delay_seconds(500, 1.0) == uplink.MAX_DELAY_SECONDS
    chances = [random.random() for _ in range(100)]
    assert all(0 <= uplink.delay_seconds(9, chance) < 30 for chance in chances)


def test_a_batch_ends_at_a_gap_at_the_count_and_at_the_size() -> None:
    events = [(5, b"x" * 10), (6, b"x" * 10), (8, b"x" * 10)]
    assert [seq for seq, _ in uplink.cut_batch(events, 4, 500, 1000)] == [5, 6]
    assert [seq for seq, _ in uplink.cut_batch(events, 4, 1, 1000)] == [5]
    assert [seq for seq, _ in uplink.cut_batch(events, 4, 500, 30)] == [5]
    assert [seq for seq, _ in uplink.cut_batch(events, 4, 500, 1)] == [5]
    assert uplink.cut_batch(events, 5, 500, 1000) == []
