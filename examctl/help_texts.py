"""Help as prose: lines that the source breaks are joined, and the terminal breaks them anew."""

import inspect
from collections.abc import Iterable

import typer
from typer.models import CommandInfo


def join_lines(app: typer.Typer) -> None:
    """Rewrite the help of an application, its groups and their commands; blank lines stay."""
    _rewrite(app.registered_commands)
    if isinstance(app.info.help, str):
        app.info.help = joined(app.info.help)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            join_lines(group.typer_instance)


def joined(text: str) -> str:
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _rewrite(commands: Iterable[CommandInfo]) -> None:
    for command in commands:
        said = command.help or inspect.getdoc(command.callback)
        if said:
            command.help = joined(said)
