"""Last known states in memory, so that a batch of events need not read what the one before wrote.

Valid only while the locked cursor stands where this process left it: when another replica stored
something in between, the stream number differs and the states are read again.
"""

from collections import OrderedDict
from dataclasses import dataclass

from exam_contract.progress import ParticipantProgress

_MOST_STATES = 20_000
States = dict[int, ParticipantProgress]


@dataclass(slots=True)
class _Kept:
    stream: int
    states: States


class StateCache:
    """Bounded by the number of states; the delivery used longest ago goes first."""

    def __init__(self, most_states: int = _MOST_STATES) -> None:
        self._most = most_states
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._size = 0

    def get(self, delivery_id: int, stream: int) -> States:
        """States as of that stream number; of those who are missing nothing is known here."""
        kept = self._kept.get(delivery_id)
        return kept.states if kept is not None and kept.stream == stream else {}

    def keep(self, delivery_id: int, before: int, stream: int, states: States) -> None:
        """States after a commit that moved the stream from ``before``."""
        kept = self._kept.pop(delivery_id, None)
        if kept is not None:
            self._size -= len(kept.states)
        if kept is None or kept.stream != before:
            kept = _Kept(stream, {})
        kept.stream = stream
        kept.states.update(states)
        self._kept[delivery_id] = kept
        self._size += len(kept.states)
        while self._size > self._most and self._kept:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest.states)
