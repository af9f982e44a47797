"""The writer: one commit for what waits, nothing told before it, none lost by a broken one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exam_client.core import commands, trust
from exam_client.errors import Refusal
from exam_client.store import journal, volume
from exam_client.store import writer as writers
from exam_client.store.writer import Writer, WriterDied
from exam_contract.control import Desired, Mode
from tests.support import authority, client_core

AUTHORITY = authority.Authority()
MADE = client_core.bundle()
SIGNED = authority.signed_bundle(AUTHORITY, MADE).model_dump_json()


class Meter:
    """Remembers the size of every batch."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def committed(self, commands: int, seconds: float, waiting: int) -> None:
        self.batches.append(commands)


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
async def writer(tmp_path: Path, meter: Meter) -> AsyncIterator[Writer]:
    """A running delivery; participant 1 sits."""
    folder = tmp_path
    place = journal.Place(folder, 1, "uid-1", 1, b"s" * 32, 0)
    opened = journal.open_journal(place, volume.VolumeLock(folder), client_core.START)
    writer = Writer(opened, lambda: client_core.START, meter, lambda: None)
    writer.start()
    desired = Desired(generation=1, mode=Mode.RUN, window=MADE.window, time_limit_seconds=600)
    await writer.submit(commands.StoreBundle(text=SIGNED, paper=trust.stored_paper(SIGNED)))
    await writer.submit(commands.SetDesired(desired))
    await writer.submit(commands.Begin(1))
    meter.batches.clear()
    yield writer
    with contextlib.suppress(WriterDied):
        await writer.stop()


def _answer(question: int, answer: Any, number: int, base: int = 0) -> commands.SaveAnswer:
    name = f"command-{number:012d}"
    return commands.SaveAnswer(1, question, answer, name, base, client_core.START)


async def test_what_waits_is_committed_together(writer: Writer, meter: Meter) -> None:
    held = writer.call(lambda: None)
    futures = [writer.submit(_answer(1, "A", n, base=n)) for n in range(100)]
    outcomes = await asyncio.gather(*futures)
    await held
    assert [one.revision for one in outcomes] == list(range(1, 101))
    assert len(meter.batches) < 50


async def test_an_outcome_is_told_after_its_commit(writer: Writer) -> None:
    await writer.submit(_answer(1, "A", 1))
    other = await writer.call(
        lambda: writer.journal.connection.execute("SELECT count(*) FROM answers").fetchone()[0]
    )
    assert other == 1


async def test_a_refused_command_harms_no_other_of_its_batch(writer: Writer) -> None:
    outcomes = await asyncio.gather(
        writer.submit(_answer(1, "A", 1)),
        writer.submit(_answer(1, "Z", 2)),
        writer.submit(_answer(2, "A", 3)),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], Refusal)
    assert [outcomes[0].revision, outcomes[2].revision] == [1, 1]  # type: ignore[union-attr]


async def test_a_decision_that_breaks_is_left_out(writer: Writer) -> None:
    broken = commands.NoteAudit("client", "broken", {"a float": 0.5})  # has no canonical form
    outcomes = await asyncio.gather(
        writer.submit(_answer(1, "A", 1)),
        writer.submit(broken),
        writer.submit(_answer(2, "A", 2)),
        return_exceptions=True,
    )
    assert [getattr(one, "revision", None) for one in outcomes] == [1, None, 1]
    assert isinstance(outcomes[1], Refusal)
    assert outcomes[1].code == "internal"
    assert writer.is_alive


async def test_a_caller_who_left_cancels_no_commit(writer: Writer) -> None:
    future = writer.submit(_answer(1, "A", 1))
    future.cancel()
    await writer.call(lambda: None)
    assert writer.state.answers[1][1].text == '"A"'


async def test_a_failed_commit_changes_nothing_and_ends_the_writer(writer: Writer) -> None:
    def sabotage() -> None:
        writer.journal.connection.execute("DROP TABLE outbox")

    await writer.call(sabotage)
    with pytest.raises(Refusal, match="unknown"):
        await writer.submit(_answer(1, "A", 1))
    with pytest.raises(WriterDied):
        await writer.ended()
    assert writer.state.answers == {}


async def test_when_too_much_waits_more_is_refused(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "MAX_WAITING", 3)
    futures = [writer.submit(_answer(1, "A", n)) for n in range(6)]
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, Refusal) and one.code == "not_ready"]
    assert len(refused) == 3


async def test_stopping_finishes_what_was_accepted(writer: Writer) -> None:
    futures = [writer.submit(_answer(1, "A", n, base=n)) for n in range(20)]
    await writer.stop()
    assert all(future.done() for future in futures)
    assert [future.result().revision for future in futures] == list(range(1, 21))
