"""Attempts and the delivery over time: sweeping, credit, pauses, freezing, rolling back."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from exam_client.core import audit, commands, views
from exam_client.core.instants import SECOND
from exam_contract.actions import Action, ActionOutcome
from exam_contract.control import Mode
from exam_contract.progress import AttemptState
from tests.support import client_core
from tests.support.client_core import STANDSTILL, Core

_ACTION: TypeAdapter[Action] = TypeAdapter(Action)
_numbers = iter(range(1, 10_000))


def act(core: Core, kind: str, ids: list[int] | None, **members: Any) -> ActionOutcome:
    action = {"kind": kind, "actor": "staff:1", "reason": "test", "participant_ids": ids}
    action |= {"action_id": f"{next(_numbers):032x}"} | members
    outcome: ActionOutcome = core.run(commands.Act(_ACTION.validate_python(action)))
    return outcome


def test_a_running_attempt_is_closed_after_deadline_and_grace() -> None:
    core = Core()
    core.sit(1)
    core.later(602)
    core.tick()
    assert core.sitting(1).state is AttemptState.IN_PROGRESS
    core.later(0.001)
    core.tick()
    closed = core.sitting(1)
    assert (closed.state, closed.closed_by) == (AttemptState.AUTO_SUBMITTED, "clock")
    assert closed.receipt_code
    assert core.events()[-1]["event_type"] == "participant_completed"


def test_a_paused_attempt_is_never_swept_and_gets_its_time_back() -> None:
    core = Core()
    before = core.sit(1).deadline or 0
    core.later(100)
    act(core, "pause", [1])
    core.later(10_000)
    core.tick()
    assert core.sitting(1).state is AttemptState.PAUSED
    act(core, "resume", [1])
    assert core.sitting(1).deadline == before + 10_000 * SECOND


def test_pausing_everybody_keeps_others_from_beginning() -> None:
    core = Core()
    core.sit(1)
    assert act(core, "pause", None).applied == [1]
    assert core.refused(commands.Begin(2)) == "attempt_paused"
    act(core, "resume", None)
    core.sit(2)


def test_time_granted_before_the_start_counts_from_it() -> None:
    core = Core()
    act(core, "grant_time", [1], seconds=60)
    sitting = core.sit(1)
    assert (sitting.deadline or 0) - (sitting.started_at or 0) == 660 * SECOND


@pytest.mark.parametrize(("policy", "credited"), [("auto", 31), ("off", 0), ("propose", 0)])
def test_an_outage_is_credited_as_the_policy_says(policy: str, credited: int) -> None:
    core = Core(client_core.bundle(policy={"outage_credit": policy}))
    core.sit(1)
    core.tick()
    core.later(30.5)
    core.run(commands.Recovered())
    assert core.sitting(1).credited == credited
    changes = [event.get("change") for event in core.events()]
    assert ("outage_proposed" in changes) == (policy == "propose")


def test_an_outage_longer_than_the_attempt_closes_nobody() -> None:
    core = Core()
    due = core.sit(1).deadline or 0
    core.tick()
    core.later(5000)
    core.run(commands.Recovered())
    core.tick()
    assert core.sitting(1).state is AttemptState.IN_PROGRESS
    assert core.sitting(1).deadline == due + 5000 * SECOND


def test_who_was_over_before_the_outage_gets_nothing_from_it() -> None:
    core = Core()
    core.sit(1)
    core.later(602.9)
    core.run(commands.Tick(presence={}, delivered_seq=0))
    core.later(100)
    core.run(commands.Recovered())
    assert core.sitting(1).credited == 0


def test_a_page_left_open_changes_nothing_that_a_manifest_was_sealed_over() -> None:
    core = Core()
    core.sit(1)
    core.run(commands.SetDesired(core.desired(Mode.TRANSFER)))
    core.run(commands.Freeze())
    sealed = core.state.tallies.get(1)
    core.later(5)
    core.run(commands.Tick(presence={1: (core.now, 2)}, delivered_seq=0))
    assert core.state.tallies.get(1) == sealed


def test_a_clock_that_went_back_credits_nothing() -> None:
    core = Core()
    core.sit(1)
    core.tick()
    core.later(-3600)
    core.run(commands.Recovered())
    assert core.sitting(1).credited == 0


def test_a_process_that_stood_still_credits_the_standstill() -> None:
    core = Core()
    core.sit(1)
    core.tick()
    core.later(STANDSTILL + 40)
    core.tick()
    assert core.sitting(1).credited == STANDSTILL + 40


def test_freezing_closes_the_open_and_names_the_absent() -> None:
    core = Core()
    core.sit(1)
    core.run(commands.Freeze())
    states = [core.sitting(number).state for number in (1, 2, 3)]
    assert states == [AttemptState.FORCE_SUBMITTED, AttemptState.ABSENT, AttemptState.ABSENT]
    for command in (core.answer(1, "A"), commands.Begin(2)):
        assert core.refused(command) == "delivery_frozen"
    last = core.state.last_seq
    core.tick()
    core.run(commands.Recovered())
    core.run(commands.NoteStorage(full=True))
    assert core.state.last_seq == last  # the manifest names the last event


def test_a_rollback_restores_what_the_freeze_closed_and_only_that() -> None:
    core = Core()
    due = core.sit(1).deadline or 0
    core.sit(2)
    core.run(commands.Complete(2, "CODE"))
    core.run(commands.SetDesired(core.desired(Mode.FINALISE)))
    core.run(commands.Freeze())
    core.later(50)
    desired = core.desired(Mode.RUN)
    assert core.run(commands.SetDesired(desired)) is True
    core.run(commands.RollBack(desired))
    states = [core.sitting(number).state for number in (1, 2, 3)]
    assert states == [AttemptState.IN_PROGRESS, AttemptState.SUBMITTED, AttemptState.REGISTERED]
    assert core.sitting(1).deadline == due + 50 * SECOND
    assert core.state.whole.mode is Mode.RUN


@pytest.mark.parametrize("mode", [Mode.PREPARE, Mode.RUN, Mode.FINALISE])
def test_nothing_goes_back_once_a_receipt_is_held(mode: Mode) -> None:
    core = Core()
    core.run(commands.SetDesired(core.desired(Mode.TRANSFER)))
    core.run(commands.Freeze())
    core.run(commands.SetTransfer("receipted", {"receipt": "{}"}))
    assert core.refused(commands.SetDesired(core.desired(mode))) == "receipt_held"
    assert core.refused(commands.RollBack(core.desired(Mode.RUN))) == "receipt_held"


def test_only_a_receipt_lets_the_erase_begin() -> None:
    core = Core()
    core.run(commands.SetDesired(core.desired(Mode.TRANSFER)))
    assert core.refused(commands.SetDesired(core.desired(Mode.ERASE))) == "conflict"
    assert core.refused(commands.SetTransfer("sealed", {})) == "conflict"


def test_an_older_desired_document_is_refused_and_the_same_is_taken() -> None:
    core = Core()
    same = core.desired(Mode.RUN).model_copy(update={"generation": 1})
    core.run(commands.SetDesired(same))
    core.run(commands.SetDesired(core.desired(Mode.RUN)))
    assert core.refused(commands.SetDesired(same)) == "stale_generation"


def test_reopening_gives_what_was_left_and_at_least_the_seconds() -> None:
    core = Core()
    core.sit(1)
    core.later(100)
    core.run(commands.Complete(1, "CODE"))
    core.later(1000)
    act(core, "reopen", [1], seconds=60)
    assert (core.sitting(1).deadline or 0) - core.now == 500 * SECOND
    core.later(501 + 2)
    core.tick()
    core.later(10)
    act(core, "reopen", [1], seconds=60)
    assert (core.sitting(1).deadline or 0) - core.now == 60 * SECOND


def test_an_action_is_applied_once_and_its_skips_are_named() -> None:
    core = Core()
    core.sit(1)
    first = act(core, "force_submit", [1, 2], action_id="f" * 32)
    again = act(core, "force_submit", [1, 2], action_id="f" * 32)
    assert first == again
    assert (first.applied, list(first.skipped)) == ([1], [2])


def test_the_audit_chain_holds_and_breaks_where_it_was_edited() -> None:
    core = Core()
    core.sit(1)
    act(core, "grant_time", None, seconds=5)
    entries = [entry for draft in core.log for entry in draft.audit]
    assert len(entries) >= 3
    assert audit.first_break(entries) is None
    text = "".join(entry.detail for entry in entries)
    assert "Person" not in text
    changed = [
        audit.Entry(e.id, e.at, "somebody", e.action, e.detail, e.prev, e.hash) if n == 1 else e
        for n, e in enumerate(entries)
    ]
    assert audit.first_break(changed) == entries[1].id
    assert audit.first_break(entries[1:]) == entries[1].id


@pytest.mark.parametrize(
    ("seen", "acted", "expected"),
    [(None, None, "never_seen"), (0, 0, "online"), (-11, 0, "disconnected"), (0, -400, "idle")],
)
def test_a_connection_is_judged_by_what_was_last_heard(
    seen: int | None, acted: int | None, expected: str
) -> None:
    core = Core()
    now = core.now
    last_seen = None if seen is None else now + seen * SECOND
    last_act = None if acted is None else now + acted * SECOND
    policy = core.bundle.policy
    assert views.connection(last_seen, last_act, policy, now) == expected
