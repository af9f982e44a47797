"""When a successor may start, with which epoch, and how long to wait after a crash.

The first restart is immediate: an exam waits for it. Only exam-clients that die again and again are
slowed down, by a delay that grows to a bound; it never becomes a stop.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from exam_operator.core.world import Child, Exit, Observed

LONGEST_DELAY_SECONDS = 30.0
HUNG_GRACE_SECONDS = 10
"""Whoever does not answer will hardly end well when asked to, and people wait: what was
acknowledged is in the file in any case."""
_LONGEST_DELAY_SERVING_SECONDS = 5.0
"""For one that serves between its ends, people wait: with the seconds that a pod takes, their
wait stays below the 15 seconds that are promised however often it ends."""
_FIRST_DELAY_SECONDS = 0.5
_FREE_STARTS_NEVER_READY = 1
_FREE_CRASHES_A_MINUTE = 6
_HUNG_AFTER_SECONDS = 60.0
_SILENT_SECONDS = 10.0


def next_epoch(observed: Observed) -> int:
    """One more than any epoch that anybody has seen for this delivery, or one that nobody got."""
    seen = [observed.object.status.epoch]
    if observed.child is not None:
        seen.append(observed.child.epoch)
    if observed.registered.reply is not None:
        seen.append(observed.registered.reply.epoch)
    newest = max(seen)
    return newest if newest == observed.unstarted else newest + 1


def start_delay(exits: Sequence[Exit], now: datetime) -> float:
    """Seconds from now until a successor may start; 0 means now."""
    crashes = [end for end in exits if not end.asked]
    if not crashes:
        return 0.0
    delay = max(_delay_for_start_failures(crashes), _delay_for_crash_rate(crashes, now))
    waited = (now - crashes[-1].at).total_seconds()
    return max(0.0, delay - max(0.0, waited))


def crash_looping(exits: Sequence[Exit], now: datetime) -> bool:
    """Whether the back-off is in force, so that `describe` can say why it takes longer."""
    crashes = [end for end in exits if not end.asked]
    return bool(crashes) and (
        _delay_for_start_failures(crashes) > 0 or _delay_for_crash_rate(crashes, now) > 0
    )


def seems_hung(child: Child, now: datetime) -> bool:
    """The same two signals, for as long as makes it no mere hiccup: not enough to end it for."""
    if child.unanswered_since is None or not child.live_probe_failed:
        return False
    return (now - child.unanswered_since).total_seconds() >= _SILENT_SECONDS


def proven_hung(child: Child, now: datetime) -> bool:
    """Two signals for long enough: no status, and a failing liveness probe."""
    if child.unanswered_since is None or not child.live_probe_failed:
        return False
    return (now - child.unanswered_since).total_seconds() >= _HUNG_AFTER_SECONDS


def _delay_for_start_failures(crashes: Sequence[Exit]) -> float:
    never_ready = len(list(takewhile(lambda end: not end.was_ready, reversed(crashes))))
    return _grown(never_ready - _FREE_STARTS_NEVER_READY, LONGEST_DELAY_SECONDS)


def _delay_for_crash_rate(crashes: Sequence[Exit], now: datetime) -> float:
    minute_ago = now - timedelta(seconds=60)
    recent = sum(1 for end in crashes if end.at > minute_ago)
    return _grown(recent - _FREE_CRASHES_A_MINUTE, _LONGEST_DELAY_SERVING_SECONDS)


def _grown(excess: int, longest: float) -> float:
    if excess <= 0:
        return 0.0
    return min(longest, _FIRST_DELAY_SECONDS * 2.0 ** min(excess - 1, 10))
