"""What examctl shows: results on standard output, everything else on standard error.

With ``--output json`` standard output holds one JSON document and nothing else, so it can be piped.
"""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from examctl.errors import ExamctlError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Output(StrEnum):
    """How a command prints its result."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="text for people, json for programs.")
]
HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="MEDXAMION_HOME",
        help="The one folder that holds everything. Default: /var/lib/medxamion as root, else"
        " ~/.local/share/medxamion.",
        show_default=False,
    ),
]


def as_json(document: object) -> str:
    """The document as every command writes JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def show_json(document: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(as_json(document))
    sys.stdout.flush()


def show_table(table: Table) -> None:
    """Print a table never narrower than its content: a column cut short is no use to a pipe."""
    measured = Measurement.get(out, out.options.update(max_width=999), table).maximum
    out.width = max(out.width, measured)
    out.print(table, crop=False)


def show_error(error: ExamctlError) -> None:
    """Print an error in words on standard error: what, where, and what to do."""
    err.print(f"[bold red]error:[/] {_plain(error.message)}")
    for field in error.errors:
        err.print(f"  [bold]{_plain(field.path)}[/]: {_plain(field.message)}")
    if error.hint:
        err.print(f"[dim]what to do:[/] {_plain(error.hint)}")


def _plain(text: str) -> str:
    """Text from outside is never markup."""
    return text.replace("[", r"\[")
