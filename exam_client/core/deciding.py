"""One door to every decision: a command and a draft in, the draft changed and an outcome out."""

from typing import Any, assert_never

from exam_client.core import access, answering, attempts, commands, lifecycle, staff
from exam_client.core.paper import Paper
from exam_client.core.state import Draft
from exam_client.errors import Refusal
from exam_contract.problems import ProblemCode


def decide(draft: Draft, command: commands.Command) -> Any:
    """Change the draft as the command says. Raises Refusal when it may not."""
    if draft.state.closed:
        raise Refusal(ProblemCode.DELIVERY_FROZEN, "this delivery was handed over and erased")
    if isinstance(command, commands.SaveAnswer):
        return answering.save(draft, _paper(draft), command)
    match command:
        case commands.Tick():
            return lifecycle.tick(draft, draft.state.paper, command)
        case commands.NoteAudit():
            return draft.note(command.actor, command.action, command.detail)
        case commands.NoteStorage():
            return lifecycle.set_storage(draft, command.full)
        case commands.SignOut():
            return access.sign_out(draft, command)
        case (
            commands.CheckIn()
            | commands.TakeOver()
            | commands.Begin()
            | commands.Complete()
            | commands.Act()
        ):
            return _decide_for_people(draft, _paper(draft), command)
        case _:
            return _decide_for_delivery(draft, command)


def _decide_for_delivery(
    draft: Draft,
    command: commands.StoreBundle
    | commands.SetDesired
    | commands.Recovered
    | commands.Freeze
    | commands.RollBack
    | commands.SetTransfer,
) -> Any:
    match command:
        case commands.StoreBundle():
            return lifecycle.store_bundle(draft, command)
        case commands.SetDesired():
            return lifecycle.set_desired(draft, command.desired)
        case commands.Recovered():
            return lifecycle.recovered(draft, draft.state.paper)
        case commands.Freeze():
            return lifecycle.freeze(draft, draft.state.paper)
        case commands.RollBack():
            return lifecycle.roll_back(draft, draft.state.paper, command)
        case commands.SetTransfer():
            return lifecycle.set_transfer(draft, command)
        case _:
            assert_never(command)


def _decide_for_people(
    draft: Draft,
    paper: Paper,
    command: commands.CheckIn
    | commands.TakeOver
    | commands.Begin
    | commands.Complete
    | commands.Act,
) -> Any:
    match command:
        case commands.CheckIn():
            return access.check_in(draft, command)
        case commands.TakeOver():
            return access.take_over(draft, command)
        case commands.Begin():
            return attempts.begin(draft, paper, command.participant_id)
        case commands.Complete():
            return attempts.complete(draft, paper, command.participant_id, command.receipt_code)
        case commands.Act():
            return staff.act(draft, paper, command.action)
        case _:
            assert_never(command)


def _paper(draft: Draft) -> Paper:
    if draft.state.paper is None:
        raise Refusal(ProblemCode.NOT_READY, "the exam has not been fetched yet; try again soon")
    return draft.state.paper
