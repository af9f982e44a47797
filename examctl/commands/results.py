"""``examctl results``: export what a delivery left for ever."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from examctl import console
from examctl.console import HomeOption, Output, OutputOption
from examctl.coordinator_api import Coordinator, TokenFileOption, UrlOption
from examctl.files import create_private


class Form(StrEnum):
    """The form of an export."""

    CSV = "csv"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add ``results`` with its command."""
    group = typer.Typer(help="Export the results of deliveries.", no_args_is_help=True)
    group.callback()(_group)
    group.command("export")(export)
    app.add_typer(group, name="results")


def export(
    delivery: Annotated[str, typer.Argument(help="Number or name of the delivery.")],
    form: Annotated[Form, typer.Option("--format", help="csv or json.")] = Form.CSV,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="Write here (0600). Default: standard output."),
    ] = None,
    home: HomeOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Export the stored results of a delivery.

    With --output json and a file, a JSON summary of what was written is printed.
    """
    with Coordinator.connect(home, url, token_file) as coordinator:
        number = coordinator.delivery_id(delivery)
        if file is None:
            _write(coordinator, number, form, sys.stdout.fileno())
            return
        descriptor = create_private(file)
        try:
            written = _write(coordinator, number, form, descriptor)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
    if output is Output.JSON:
        console.show_json({"delivery_id": number, "file": str(file), "bytes": written})
    else:
        told = f"Results of delivery {number}: {written} bytes in {file}"
        console.out.print(told, markup=False)


def _write(coordinator: Coordinator, number: int, form: Form, descriptor: int) -> int:
    written = 0
    for piece in coordinator.download(f"/api/deliveries/{number}/results", format=str(form)):
        rest = piece
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        written += len(piece)
    return written


def _group() -> None:
    pass
