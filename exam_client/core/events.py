"""Events as bytes: encoded once, digested, and sent exactly so.

The encoding equals ``exam_contract.canonical`` for what events hold (a test proves it), at a small
part of its cost. Every field of the contract's model is written, defaults too, so that a reader
that parses and dumps the event computes the same digest.
"""

import hashlib
from typing import Any

import msgspec

from exam_client.core import instants
from exam_client.core.paper import Paper, percent
from exam_client.core.records import Identity, Sitting, Tally
from exam_client.core.timing import seconds_left

_encoder = msgspec.json.Encoder(order="sorted")


def payload(
    identity: Identity,
    seq: int,
    now: int,
    event_type: str,
    participant_id: int | None,
    members: dict[str, Any],
) -> bytes:
    """The wire form of one event, digest included."""
    body: dict[str, Any] = {
        "event_id": f"{identity.event_prefix}{seq:016x}",
        "delivery_id": identity.delivery_id,
        "epoch": identity.epoch,
        "incarnation": identity.incarnation,
        "seq": seq,
        "timestamp": instants.text(now),
        "event_type": event_type,
        **members,
    }
    if participant_id is not None:
        body["participant_id"] = participant_id
    raw = _encoder.encode(body)
    return b'{"digest":"sha256:' + hashlib.sha256(raw).hexdigest().encode() + b'",' + raw[1:]


def progress(paper: Paper, sitting: Sitting, tally: Tally, now: int) -> dict[str, Any]:
    """The ``progress`` member, with the exact score beside the percent."""
    return {
        "questions_answered": tally.answered,
        "total_questions": len(sitting.item_order),
        "current_score": percent(tally.points, tally.out_of),
        "score_numerator": paper.rational(tally.points),
        "score_denominator": paper.rational(tally.out_of),
        "time_remaining": time_remaining(sitting, now),
    }


def time_remaining(sitting: Sitting, now: int) -> int | None:
    """Seconds left; a pause or the end holds the clock where it was."""
    if sitting.deadline is None:
        return None
    if sitting.ended_at is not None:
        now = sitting.ended_at
    elif sitting.paused_since is not None:
        now = sitting.paused_since
    return seconds_left(sitting.deadline, now)
