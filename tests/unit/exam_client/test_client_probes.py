"""What the live probe calls dead: a writer that stands still, and a rest that nobody ended."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from exam_client.services import status


def _delivery(alive: bool, beat: float, stopping: float | None) -> Any:
    """``beat`` and ``stopping``: so many seconds ago, from the moment of the test."""
    now = time.monotonic()
    writer = SimpleNamespace(is_alive=alive, beat=now - beat)
    since = None if stopping is None else now - stopping
    return SimpleNamespace(parts=SimpleNamespace(writer=writer), stopping_since=since)


@pytest.mark.parametrize(
    ("alive", "beat", "stopping", "trouble"),
    [
        (True, 0, None, None),
        (False, 0, None, "writer_dead"),
        (True, status.STUCK_SECONDS + 1, None, "writer_stuck"),
        (True, status.STUCK_SECONDS + 1, 40, None),
        (False, 0, 1, "writer_dead"),
        (True, 0, status.LEFT_SECONDS + 1, "left_stopping"),
    ],
)
def test_only_what_a_restart_mends_counts_as_dead(
    alive: bool, beat: float, stopping: float | None, trouble: str | None
) -> None:
    assert status.not_live(_delivery(alive, beat, stopping)) == trouble


def test_an_erased_delivery_has_no_writer_to_miss() -> None:
    erased: Any = SimpleNamespace(parts=None)
    assert status.not_live(erased) is None
