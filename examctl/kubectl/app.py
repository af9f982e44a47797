"""The plugin ``kubectl exam``: kubectl finds ``kubectl-exam`` on the PATH and hands it its words.

Exit codes and errors are those of examctl. It needs the rights of the person who runs it and
nothing that runs in the cluster but the API server, and for `export` the delivery's own pod.
"""

import sys

import typer

from examctl import help_texts
from examctl.kubectl import backup, report, status, steering
from examctl.main import run as run_app

_HELP = """
Look at exam deliveries in a cluster, and act on one when something is wrong.

A first look: [bold]kubectl exam status -A[/]. To write an incident down:
[bold]kubectl exam report NAME -n exams[/].

The kubeconfig is found as kubectl finds it; options stand behind the verb.

Exit codes: 0 done, 1 failed, 2 wrong usage or unreadable input, 3 refused by
a rule or for want of a right, 4 not reachable or not in time.
"""


def build_app() -> typer.Typer:
    """The typer application with every verb."""
    app = typer.Typer(
        name="kubectl exam",
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for module in (status, steering, backup, report):
        module.register(app)
    help_texts.join_lines(app)
    return app


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    return run_app(arguments, build_app, "kubectl exam")


def main() -> None:
    """Entry point of the ``kubectl-exam`` script."""
    sys.exit(run(sys.argv[1:]))
