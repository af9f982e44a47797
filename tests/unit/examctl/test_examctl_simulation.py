"""The simulator tells the truth: its ledger fits what the service stored, whatever goes wrong."""

import asyncio
import json
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from examctl.errors import UnreadableInputError
from examctl.simulation import crowd
from examctl.simulation.ledger import Ledger
from examctl.simulation.people import read_codes
from examctl.simulation.sitting import Behaviour, Credentials, Venue
from examctl.simulation.tally import Tally
from tests.support.exam_service_stub import ITEMS, Faults, Stub, exam_service

HURRY = Behaviour(
    think_seconds=0.0,
    change_share=0.5,
    skip_share=0.0,
    reconnect_share=0.1,
    cut_share=0.0,
    device_change_share=0.0,
    arrival_seconds=0.05,
    patience_seconds=90.0,
)
Lines = list[dict[str, Any]]


def people(count: int) -> list[Credentials]:
    return [
        Credentials(str(one), f"code-{one}", (f"take-{one}-1", f"take-{one}-2"))
        for one in range(1, count + 1)
    ]


async def sit(
    folder: Path, behaviour: Behaviour = HURRY, faults: Faults | None = None, seed: int = 1
) -> tuple[Stub, Tally, Lines]:
    tally = Tally(8)
    path = folder / f"ledger-{seed}.jsonl"
    async with exam_service(faults) as stub:
        with Ledger(path) as ledger:
            await crowd.sit(Venue(stub.url, 1), people(8), behaviour, seed, ledger, tally)
    return stub, tally, [json.loads(line) for line in path.read_text().splitlines()]


def acknowledged(lines: Lines) -> dict[tuple[int, str], int]:
    return {
        (line["participant"], line["command"]): line["revision"]
        for line in lines
        if line["kind"] == "ok"
    }


async def test_everybody_answers_everything_and_submits(tmp_path: Path) -> None:
    stub, tally, lines = await sit(tmp_path)
    assert tally.completed == len(stub.completed) == 8
    assert tally.gave_up == Counter()
    assert len(stub.current) == 8 * len(ITEMS)
    assert tally.acknowledged == len(stub.stored) == len(acknowledged(lines))
    assert tally.changed == len(stub.stored) - len(stub.current) > 0
    assert tally.reconnects > 0


async def test_a_lost_reply_is_asked_for_again_under_the_same_command(tmp_path: Path) -> None:
    stub, tally, lines = await sit(tmp_path, faults=Faults(lose_reply_every=4))
    assert tally.completed == 8
    assert tally.indeterminate > 0
    assert tally.resends >= tally.indeterminate
    assert {name: stored[1] for name, stored in stub.stored.items()} == acknowledged(lines)


async def test_cut_connections_leave_no_doubt_behind(tmp_path: Path) -> None:
    cutting = Behaviour(**{**fields(HURRY), "cut_share": 0.5})
    stub, tally, lines = await sit(tmp_path, cutting)
    assert tally.completed == 8
    assert stub.stored.keys() == acknowledged(lines).keys()


async def test_a_service_that_is_not_ready_is_waited_for(tmp_path: Path) -> None:
    stub, tally, lines = await sit(tmp_path, faults=Faults(refuse_every=5, coordinator_away_for=6))
    assert tally.completed == 8
    assert stub.stored.keys() == acknowledged(lines).keys()


async def test_a_lost_session_is_begun_again(tmp_path: Path) -> None:
    stub, tally, _ = await sit(tmp_path, faults=Faults(end_session_every=9))
    assert tally.completed == 8
    assert stub.sign_ins_seen > 8


async def test_a_device_is_changed_with_a_code_of_its_own(tmp_path: Path) -> None:
    changing = Behaviour(**{**fields(HURRY), "device_change_share": 1.0})
    stub, tally, _ = await sit(tmp_path, changing)
    assert tally.device_changes == 8
    assert len(stub.used_codes) == 8
    assert tally.completed == 8


async def test_without_a_coordinator_people_sign_in_and_change_devices_at_the_exam_client(
    tmp_path: Path,
) -> None:
    changing = Behaviour(**{**fields(HURRY), "device_change_share": 1.0})
    tally = Tally(8)
    async with exam_service() as stub:
        with Ledger(tmp_path / "ledger.jsonl") as ledger:
            venue = Venue("http://127.0.0.1:9", 1, exam_url=stub.url, offline=True)
            await crowd.sit(venue, people(8), changing, 1, ledger, tally)
    lines = [json.loads(line) for line in ledger.path.read_text().splitlines()]
    assert tally.completed == tally.device_changes == 8
    assert stub.sign_ins_seen == 0
    assert stub.stored.keys() == acknowledged(lines).keys()


async def test_whoever_goes_on_ends_when_told(tmp_path: Path) -> None:
    enduring = Behaviour(**{**fields(HURRY), "goes_on": True, "item_limit": 2})
    tally = Tally(8)
    async with exam_service() as stub, asyncio.TaskGroup() as tasks:
        with Ledger(tmp_path / "ledger.jsonl") as ledger:
            venue = Venue(stub.url, 1)
            sitting = tasks.create_task(crowd.sit(venue, people(8), enduring, 1, ledger, tally))
            await tally.until(lambda: tally.acknowledged >= 200)
            assert tally.completed == 0
            tally.enough = True
            await sitting
    assert tally.completed == 8
    assert len(stub.current) == 8 * 2


async def test_the_same_seed_gives_the_same_answers(tmp_path: Path) -> None:
    first, _, _ = await sit(tmp_path, seed=3)
    (tmp_path / "again").mkdir()
    second, _, _ = await sit(tmp_path / "again", seed=3)
    other, _, _ = await sit(tmp_path, seed=4)
    assert first.current == second.current
    assert first.current != other.current


async def test_what_the_network_does_changes_no_decision(tmp_path: Path) -> None:
    calm, _, _ = await sit(tmp_path, seed=3)
    (tmp_path / "stormy").mkdir()
    faults = Faults(lose_reply_every=3, refuse_every=7, coordinator_away_for=3)
    stormy, _, _ = await sit(tmp_path / "stormy", faults=faults, seed=3)
    assert calm.current == stormy.current


async def test_the_ledger_says_what_was_asked_before_what_was_told(tmp_path: Path) -> None:
    _, _, lines = await sit(tmp_path)
    assert lines[0]["kind"] == "begin"
    assert lines[-1] == {"kind": "end", "at": lines[-1]["at"], "outcome": "complete"}
    invoked: set[str] = set()
    for line in lines:
        if line["kind"] == "invoke":
            invoked.add(line["command"])
        elif "command" in line:
            assert line["command"] in invoked


async def test_wrong_codes_are_counted_and_hold_up_nobody(tmp_path: Path) -> None:
    tally = Tally(2)
    pair = [Credentials("1", "wrong"), Credentials("2", "code-2")]
    async with exam_service() as stub:
        with Ledger(tmp_path / "ledger.jsonl") as ledger:
            await crowd.sit(Venue(stub.url, 1), pair, HURRY, 1, ledger, tally)
    assert tally.gave_up == Counter({"sign_in_failed": 1})
    assert stub.completed == {2}


async def test_patience_ends_when_nobody_answers(tmp_path: Path) -> None:
    hasty = Behaviour(**{**fields(HURRY), "patience_seconds": 0.2})
    tally = Tally(1)
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        await crowd.sit(Venue("http://127.0.0.1:9", 1), people(1), hasty, 1, ledger, tally)
    assert tally.gave_up.total() == 1


async def test_whoever_waits_for_the_next_acceptance_is_told(tmp_path: Path) -> None:
    tally = Tally(1)
    first = tally.first_accepted(sent_after=5.0)
    tally.accepted(sent=4.9, received=5.1)
    assert not first.done()
    tally.accepted(sent=5.2, received=5.4)
    assert await first == 5.4


def test_a_ledger_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(UnreadableInputError, match="exists already"):
        Ledger(path)


def test_codes_files_are_read_back() -> None:
    data = b"identifier,access_code,takeover_codes\r\nMX1,abc,one two\r\nMX2,def,\r\n"
    assert read_codes(data, "c.csv") == [
        Credentials("MX1", "abc", ("one", "two")),
        Credentials("MX2", "def", ()),
    ]


@pytest.mark.parametrize("data", [b"identifier,name\r\na,b\r\n", b"identifier,access_code\r\n"])
def test_other_files_are_no_codes_files(data: bytes) -> None:
    with pytest.raises(UnreadableInputError, match="no codes file"):
        read_codes(data, "c.csv")


def fields(behaviour: Behaviour) -> dict[str, Any]:
    return {name: getattr(behaviour, name) for name in behaviour.__dataclass_fields__}
