"""``examctl delivery``: act on a running delivery. Every action needs a reason for the audit."""

import uuid
from datetime import datetime
from typing import Annotated, Any

import typer

from exam_contract.base import rfc3339
from examctl import console
from examctl.console import HomeOption, Output, OutputOption
from examctl.coordinator_api import Coordinator, TokenFileOption, UrlOption
from examctl.errors import UnreadableInputError

DeliveryArgument = Annotated[str, typer.Argument(help="Number or name of the delivery.")]
ReasonOption = Annotated[
    str, typer.Option("--reason", "-r", help="Why; it goes into the audit trail.")
]
ParticipantsOption = Annotated[
    list[int] | None,
    typer.Option(
        "--participant", "-p", help="Participant number; may be repeated. Default: everybody."
    ),
]
_MOST_MINUTES = 24 * 60


def register(app: typer.Typer) -> None:
    """Add ``delivery`` with its commands."""
    group = typer.Typer(
        help="Act on a delivery: time, pause, closing and its undoing.", no_args_is_help=True
    )
    for command in (extend, pause, resume, finalise, rollback, restart):
        group.command(command.__name__)(command)
    app.add_typer(group, name="delivery")


def extend(
    delivery: DeliveryArgument,
    reason: ReasonOption,
    closes_at: Annotated[
        str | None,
        typer.Option(help="Move the window's close to this time, as 2026-01-15T12:00:00Z."),
    ] = None,
    minutes: Annotated[
        int | None, typer.Option(help="Grant these minutes to participants who have not handed in.")
    ] = None,
    participant: ParticipantsOption = None,
    home: HomeOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Give more time: move the window's close, or grant minutes to participants."""
    if (closes_at is None) == (minutes is None):
        raise UnreadableInputError("give either --closes-at or --minutes", "see extend --help")
    with Coordinator.connect(home, url, token_file) as coordinator:
        number = coordinator.delivery_id(delivery)
        if minutes is not None:
            granted = {"kind": "grant_time", "seconds": _seconds(minutes)}
            reply = _act(coordinator, number, granted, reason, participant)
        else:
            body = {"closes_at": _time(closes_at or ""), "reason": reason}
            reply = _json(coordinator, f"/api/deliveries/{number}/extend", body)
    _show("extend", number, reply, output)


def pause(
    delivery: DeliveryArgument,
    reason: ReasonOption,
    participant: ParticipantsOption = None,
    home: HomeOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Stop the clock of participants; nobody loses time."""
    with Coordinator.connect(home, url, token_file) as coordinator:
        number = coordinator.delivery_id(delivery)
        reply = _act(coordinator, number, {"kind": "pause"}, reason, participant)
    _show("pause", number, reply, output)


def resume(
    delivery: DeliveryArgument,
    reason: ReasonOption,
    participant: ParticipantsOption = None,
    home: HomeOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Let paused participants go on, with the deadline moved by the pause."""
    with Coordinator.connect(home, url, token_file) as coordinator:
        number = coordinator.delivery_id(delivery)
        reply = _act(coordinator, number, {"kind": "resume"}, reason, participant)
    _show("resume", number, reply, output)


def finalise(
    delivery: DeliveryArgument,
    reason: ReasonOption,
    home: HomeOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Close the delivery now: open attempts are submitted, results are transferred."""
    _verb("finalise", delivery, reason, Coordinator.connect(home, url, token_file), output)


def rollback(
    delivery: DeliveryArgument,
    reason: ReasonOption,
    home: HomeOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Take a finalise back, as long as the results are not validated."""
    _verb("rollback", delivery, reason, Coordinator.connect(home, url, token_file), output)


def restart(
    delivery: DeliveryArgument,
    reason: ReasonOption,
    home: HomeOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Restart the exam-client; participants go on where they were."""
    _verb("restart", delivery, reason, Coordinator.connect(home, url, token_file), output)


def _verb(verb: str, delivery: str, reason: str, coordinator: Coordinator, output: Output) -> None:
    with coordinator:
        number = coordinator.delivery_id(delivery)
        reply = _json(coordinator, f"/api/deliveries/{number}/{verb}", {"reason": reason})
    _show(verb, number, reply, output)


def _act(
    coordinator: Coordinator,
    number: int,
    action: dict[str, Any],
    reason: str,
    participants: list[int] | None,
) -> dict[str, Any]:
    body = {**action, "action_id": str(uuid.uuid4()), "reason": reason}
    if participants:
        body["participant_ids"] = participants
    return _json(coordinator, f"/api/deliveries/{number}/actions", body)


def _json(coordinator: Coordinator, path: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = coordinator.post(path, body)
    return dict(reply.json()) if reply.content else {}


def _seconds(minutes: int) -> int:
    if not 1 <= minutes <= _MOST_MINUTES:
        raise UnreadableInputError(f"--minutes is from 1 to {_MOST_MINUTES}")
    return minutes * 60


def _time(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UnreadableInputError(
            f"--closes-at {text!r} is no time with a zone", "write it as 2026-01-15T12:00:00Z"
        )
    return rfc3339(moment)


def _show(verb: str, number: int, reply: dict[str, Any], output: Output) -> None:
    if output is Output.JSON:
        console.show_json({"delivery_id": number, "action": verb, **reply})
        return
    told = f"Delivery {number}: {verb} is done"
    if "applied" in reply:
        told += f" for {len(reply['applied'])} participants, {len(reply['skipped'])} skipped"
    console.out.print(f"{told}.", markup=False)
    for participant, why in (reply.get("skipped") or {}).items():
        console.out.print(f"  participant {participant}: {why}", markup=False)
