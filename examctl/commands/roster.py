"""``examctl roster``: import who sits, and keep the codes that are told only once."""

import csv
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from exam_contract.people import RosterEntry
from examctl import console
from examctl.console import HomeOption, Output, OutputOption
from examctl.coordinator_api import Coordinator, TokenFileOption, UrlOption
from examctl.files import create_private, read_file
from examctl.formats.roster import read_roster

_HELP = """
Import rosters: CSV with the columns identifier,name,email and, where needed,
time_multiplier and extra_seconds.
"""
CODES_HEADER = ("identifier", "access_code", "takeover_codes")
Participants = list[dict[str, Any]]


def register(app: typer.Typer) -> None:
    """Add ``roster`` with its command."""
    group = typer.Typer(help=_HELP, no_args_is_help=True)
    group.callback()(_group)
    group.command("import")(import_roster)
    app.add_typer(group, name="roster")


def import_roster(
    file: Annotated[Path, typer.Argument(help="The roster: CSV in UTF-8.")],
    name: Annotated[str | None, typer.Option(help="Its name. Default: the file's.")] = None,
    codes: Annotated[
        Path | None,
        typer.Option(help="Where to write the codes (0600). Default: FILE.codes.csv."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only; import nothing.")] = False,
    home: HomeOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Import a roster, whole or not at all.

    Access codes and one-time takeover codes exist in clear only in the reply; they are written to
    the codes file, once.
    """
    entries = read_roster(read_file(file), file.name)
    named = name or file.stem
    with Coordinator.connect(home, url, token_file) as coordinator:
        if dry_run:
            _post(coordinator, named, entries, dry_run=True)
            _show({"participants": len(entries), "dry_run": True}, output)
            return
        target = codes or file.with_suffix(".codes.csv")
        roster_id = import_with_codes(coordinator, named, entries, target)
    summary = {"roster_id": roster_id, "participants": len(entries), "codes_file": str(target)}
    _show(summary, output)


def import_with_codes(
    coordinator: Coordinator, name: str, entries: list[RosterEntry], target: Path
) -> str:
    """Import and write the codes file; the roster's id.

    The file is made first: codes that have nowhere to go would be lost.
    """
    descriptor = create_private(target)
    try:
        with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as file:
            reply = _post(coordinator, name, entries, dry_run=False)
            write_codes(file, reply["participants"])
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return str(reply["roster_id"])


def write_codes(file: Any, participants: Participants) -> None:
    """One line per participant; takeover codes are separated by blanks."""
    writer = csv.writer(file)
    writer.writerow(CODES_HEADER)
    for one in participants:
        codes = " ".join(one.get("takeover_codes") or [])
        writer.writerow((one["identifier"], one["access_code"], codes))


def _group() -> None:
    pass


def _post(
    coordinator: Coordinator, name: str, entries: list[RosterEntry], *, dry_run: bool
) -> dict[str, Any]:
    body = {"name": name, "entries": [entry.model_dump(mode="json") for entry in entries]}
    reply = coordinator.post("/api/rosters", body, dry_run="true" if dry_run else "false")
    found = reply.json() if reply.content else {}
    return dict(found)


def _show(summary: dict[str, Any], output: Output) -> None:
    if output is Output.JSON:
        console.show_json(summary)
    elif "dry_run" in summary:
        told = f"The roster is sound: {summary['participants']} participants. Nothing imported."
        console.out.print(told)
    else:
        told = f"Roster {summary['roster_id']} holds {summary['participants']} participants."
        console.out.print(told, markup=False)
        console.out.print(f"Codes, told only once: {summary['codes_file']}", markup=False)
