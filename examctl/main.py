"""The command line. Every module in ``examctl.commands`` adds its commands by ``register(app)``.

Exit codes: 0 done, 1 failed, 2 wrong usage or unreadable input, 3 refused by a rule, 4 not
reachable. Errors are words on standard error; MEDXAMION_DEBUG=1 adds the traceback.
"""

import importlib
import os
import pkgutil
import sys
from collections.abc import Callable
from typing import Protocol, cast

import typer

from examctl import commands, console, help_texts
from examctl.errors import ExamctlError

_HELP = """
Run, watch and check exam deliveries.

A first look: [bold]examctl demo[/]. On one machine: [bold]examctl up[/], then
[bold]examctl apply -f examples/delivery.yaml[/] and [bold]examctl get[/].

Exit codes: 0 done, 1 failed, 2 wrong usage or unreadable input, 3 refused by a rule,
4 not reachable.
"""


class CommandModule(Protocol):
    """What a module in ``examctl.commands`` offers."""

    def register(self, app: typer.Typer) -> None: ...


def build_app() -> typer.Typer:
    """The typer application with every command registered, in the order of module names."""
    app = typer.Typer(
        name="examctl",
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for found in sorted(pkgutil.iter_modules(commands.__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{commands.__name__}.{found.name}")
        cast(CommandModule, module).register(app)
    help_texts.join_lines(app)
    return app


def main() -> None:
    """Entry point of the ``examctl`` script."""
    sys.exit(run(sys.argv[1:]))


def run(
    arguments: list[str],
    build: Callable[[], typer.Typer] = build_app,
    name: str = "examctl",
) -> int:
    """Run one command line and return its exit code."""
    try:
        build()(args=arguments, prog_name=name)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except ExamctlError as error:
        console.show_error(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the outermost guard: words, never a traceback
        return _unexpected(error)
    return 0


def _root() -> None:
    pass


def _unexpected(error: Exception) -> int:
    if os.environ.get("MEDXAMION_DEBUG"):
        console.err.print_exception()
    hint = "set MEDXAMION_DEBUG=1 and run it again to see where; please report it"
    console.show_error(ExamctlError(f"{type(error).__name__}: {error}", hint))
    return 1
