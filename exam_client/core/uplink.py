"""The sending of the outbox as a state machine: what was accepted, what comes next, when to stop.

Guarantee: at least once, in order; the receiver makes the effect once. The cursor follows whatever
the coordinator says it holds: lower after its database was rewound, higher after a lost reply. It
never goes beyond what this file has numbered: then the file is an old copy, and sending would put
other events under known numbers.
"""

from enum import StrEnum

import msgspec

MAX_DELAY_SECONDS = 30.0
_FIRST_DELAY_SECONDS = 0.2


class Alarm(StrEnum):
    """Why nothing is sent any more; only people can mend these."""

    FENCED = "fenced"
    SEQ_CONFLICT = "seq_conflict"
    OLD_COPY = "old_copy"


class Uplink(msgspec.Struct, frozen=True):
    """``accepted``: the highest seq the coordinator said it holds."""

    accepted: int = 0
    registered: bool = False
    failures: int = 0
    alarm: Alarm | None = None


_replace = msgspec.structs.replace


def told(uplink: Uplink, accepted_through: int, last_seq: int) -> Uplink:
    """The coordinator said where it stands: after a registration or a batch."""
    if accepted_through > last_seq:
        return _replace(uplink, alarm=Alarm.OLD_COPY)
    return _replace(uplink, accepted=accepted_through, registered=True, failures=0)


def refused(uplink: Uplink, code: str, expected_seq: int | None, last_seq: int) -> Uplink:
    """The coordinator said no to a registration or a batch."""
    if code == "seq_gap" and expected_seq is not None and expected_seq >= 1:
        moved = told(uplink, expected_seq - 1, last_seq)
        # A gap that moves nothing is no progress: wait before the next try.
        stuck = moved.alarm is None and moved.accepted == uplink.accepted
        return failed(uplink) if stuck else moved
    if code == "seq_conflict":
        return _replace(uplink, alarm=Alarm.SEQ_CONFLICT)
    if code == "fenced":
        return _replace(uplink, alarm=Alarm.FENCED)
    if code == "not_registered":
        return _replace(failed(uplink), registered=False)
    return failed(uplink)


def failed(uplink: Uplink) -> Uplink:
    """No answer, or one that is worth another try."""
    return _replace(uplink, failures=uplink.failures + 1)


def delay_seconds(failures: int, chance: float) -> float:
    """Full jitter: uniform between nothing and the doubled delay; ``chance`` in [0, 1)."""
    if failures == 0:
        return 0.0
    return chance * min(MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** min(failures, 16))


def cut_batch(
    events: list[tuple[int, bytes]], after: int, max_events: int, max_bytes: int
) -> list[tuple[int, bytes]]:
    """The events that follow ``after`` without a gap, within both limits (at least one)."""
    batch: list[tuple[int, bytes]] = []
    size = 16
    for seq, payload in events:
        if seq != after + len(batch) + 1 or len(batch) >= max_events:
            break
        size += len(payload) + 1
        if batch and size > max_bytes:
            break
        batch.append((seq, payload))
    return batch
