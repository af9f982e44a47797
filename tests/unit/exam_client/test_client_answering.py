"""One answer, decided: accepted, repeated, late, refused; scores and events that follow."""

from fractions import Fraction
from typing import Any

import pytest
from pydantic import TypeAdapter

from exam_client.core import commands
from exam_client.core.answering import MAX_LATE
from exam_client.core.commands import Late, Saved
from exam_client.core.deciding import decide
from exam_client.core.paper import percent
from exam_client.core.state import Draft
from exam_contract import rationals
from exam_contract.actions import Action
from exam_contract.canonical import canonical_bytes
from exam_contract.events import EVENT, event_digest
from tests.support import authority, client_core
from tests.support.client_core import Core


@pytest.fixture
def core() -> Core:
    core = Core()
    core.sit(1)
    return core


def test_an_accepted_answer_is_scored_counted_and_numbered(core: Core) -> None:
    saved: Saved = core.run(core.answer(1, "A"))
    assert (saved.revision, saved.seq) == (1, core.state.last_seq)
    assert core.state.tallies[1].points == core.state.tallies[1].out_of > 0
    wrong: Saved = core.run(core.answer(1, "B"))
    assert (wrong.revision, core.state.tallies[1].points) == (2, 0)
    assert core.state.tallies[1].answered == 1
    assert core.state.revision_count == 2
    assert core.state.answer_count == 1


def test_two_commands_of_one_batch_see_each_other(core: Core) -> None:
    draft = Draft(core.state, core.now)
    assert decide(draft, core.answer(1, "A", base=0)).revision == 1
    assert decide(draft, core.answer(1, "B", base=1)).revision == 2
    assert core.state.answers == {}  # nothing is visible before the draft is applied
    draft.apply()
    assert core.state.answers[1][1].text == '"B"'


def test_a_repeated_command_returns_its_first_outcome_and_changes_nothing(core: Core) -> None:
    command = core.answer(1, "A")
    first: Saved = core.run(command)
    core.run(core.answer(1, "B"))
    again: Saved = core.run(command)
    assert (again.revision, again.seq, again.saved_at) == (1, first.seq, first.saved_at)
    assert core.log[-1].is_empty
    assert core.refused(core.answer(1, "C", base=0, command_id=command.command_id)) == (
        "command_reused"
    )


def test_a_stale_or_invented_base_revision_is_refused(core: Core) -> None:
    assert core.refused(core.answer(1, "A", base=1)) == "revision_conflict"
    core.run(core.answer(1, "A"))
    assert core.refused(core.answer(1, "B", base=0)) == "revision_conflict"


def test_grace_is_for_arrival_and_later_is_kept_but_not_counted(core: Core) -> None:
    core.run(core.answer(1, "A"))
    core.later(602)
    assert isinstance(core.run(core.answer(1, "B")), Saved)
    core.later(0.001)
    late: Late = core.run(core.answer(1, "C"))
    assert late.revision == 3
    assert core.state.answers[1][1].text == '"B"'
    assert core.log[-1].outbox == []
    assert core.log[-1].revisions[0][-1] == 0
    assert isinstance(core.run(core.answer(2, "C")), Late)
    assert core.state.answer_count == 1


def test_after_a_late_revision_numbers_are_not_used_again(core: Core) -> None:
    core.later(700)
    core.run(core.answer(1, "A"))
    core.tick()
    action = {"kind": "reopen", "action_id": "0" * 32, "actor": "s", "reason": "r"}
    core.run(_act(action))
    saved: Saved = core.run(core.answer(1, "B"))
    assert saved.revision == 2


def test_too_many_late_answers_are_no_longer_kept(core: Core) -> None:
    core.later(700)
    for _ in range(MAX_LATE):
        core.run(core.answer(1, "A"))
    assert core.refused(core.answer(1, "A")) == "deadline_passed"


@pytest.mark.parametrize(
    ("question", "answer", "code"),
    [(4711, "A", "unknown_question"), (1, "Z", "answer_invalid"), (901, "x", "answer_invalid")],
)
def test_answers_that_do_not_fit_are_refused(
    core: Core, question: int, answer: Any, code: str
) -> None:
    assert core.refused(core.answer(question, answer)) == code


def test_an_exam_that_forbids_changes_takes_the_first_answer() -> None:
    document = authority.exam_document(2, review={"change_answers": False})
    core = Core(client_core.bundle(document))
    core.sit(1)
    core.run(core.answer(1, "A"))
    assert core.refused(core.answer(1, "B")) == "conflict"


def test_events_are_what_the_contract_says_byte_for_byte(core: Core) -> None:
    core.run(core.answer(1, "A"))
    core.run(core.answer(901, "7.1"))
    core.run(commands.Complete(1, "CODE"))
    events = core.events()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    for event in events:
        parsed = EVENT.validate_python(event)
        assert event["digest"] == event_digest(event)
        assert parsed.model_dump(mode="json") == event
        body = {name: value for name, value in event.items() if name != "digest"}
        raw = next(p for _, p in core.state.recent if event["event_id"].encode() in p)
        assert b"{" + raw.split(b",", 1)[1] == canonical_bytes(body)


def test_answers_are_stored_in_canonical_json() -> None:
    awkward = 'Ünïcode "quoted" \\ \n\t\x01\x7f \u2028 😀 μg/mL → \u00a0'
    core = Core()
    core.sit(1)
    core.run(core.answer(903, awkward))
    assert core.state.answers[1][903].text.encode() == canonical_bytes(awkward)


@pytest.mark.parametrize(
    ("part", "whole"), [(1, 8), (3, 8), (1, 3), (-1, 8), (-3, 8), (5, 8), (0, 3), (7, 7), (1, 200)]
)
def test_percents_are_the_contracts(part: int, whole: int) -> None:
    assert percent(part, whole) == rationals.percent(Fraction(part), Fraction(whole))


def _act(action: dict[str, Any]) -> commands.Act:
    adapter: TypeAdapter[Action] = TypeAdapter(Action)
    return commands.Act(adapter.validate_python(action))
