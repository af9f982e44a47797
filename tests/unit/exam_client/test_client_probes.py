"""What the live probe calls dead: a writer that stands still, and a rest that nobody ended."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from exam_client.services import status


def _delivery(*, alive: bool = True, beat: float = 0, stopping: float | None = None) -> Any:
    """``beat`` and ``stopping``: so many seconds ago."""
    now = time.monotonic()
    writer = SimpleNamespace(is_alive=alive, beat=now - beat)
    since = None if stopping is None else now - stopping
    return SimpleNamespace(parts=SimpleNamespace(writer=writer), stopping_since=since)


@pytest.mark.parametrize(
    ("delivery", "trouble"),
    [
        (_delivery(), None),
        (_delivery(alive=False), "writer_dead"),
        (_delivery(beat=status.STUCK_SECONDS + 1), "writer_stuck"),
        (_delivery(beat=status.STUCK_SECONDS + 1, stopping=40), None),
        (_delivery(alive=False, stopping=1), "writer_dead"),
        (_delivery(stopping=status.LEFT_SECONDS + 1), "left_stopping"),
        (SimpleNamespace(parts=None), None),
    ],
)
def test_only_what_a_restart_mends_counts_as_dead(delivery: Any, trouble: str | None) -> None:
    assert status.not_live(delivery) == trouble
