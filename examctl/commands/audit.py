"""``examctl audit``: check the coordinator's hash chain, by its API or in PostgreSQL itself."""

from typing import Annotated, Any

import psycopg
import typer
from psycopg.rows import dict_row

from examctl import console
from examctl.console import HomeOption, Output, OutputOption
from examctl.coordinator_api import Coordinator, TokenFileOption, UrlOption
from examctl.errors import ExamctlError, UnreachableError
from examctl.verification.chains import audit_chain_flaws
from examctl.verification.database import read_audit_log


def register(app: typer.Typer) -> None:
    """Add ``audit`` with its command."""
    group = typer.Typer(
        help="Check the audit trail: append-only and hash-chained.", no_args_is_help=True
    )
    group.callback()(_group)
    group.command("verify")(verify)
    app.add_typer(group, name="audit")


def verify(
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url",
            envvar="DATABASE_URL",
            help="Read PostgreSQL directly and trust no service. Else the coordinator is asked.",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Recompute every link of the chain. Exit code 0 only when the whole chain holds."""
    if database_url is not None:
        found = _from_database(database_url)
    else:
        with Coordinator.connect(home, url, token_file) as coordinator:
            found = _from_entries(list(coordinator.pages("/api/audit")))
    if output is Output.JSON:
        console.show_json(found)
    if not found["holds"]:
        raise ExamctlError(
            f"the audit chain is broken: {found['flaws'][0]}",
            "compare with a backup; entries before that one are sound",
        )
    if output is Output.TEXT:
        console.out.print(f"The audit chain holds: {found['entries']} entries.")


def _from_database(database_url: str) -> dict[str, Any]:
    try:
        with psycopg.connect(database_url, connect_timeout=10) as connection:
            return _from_entries(read_audit_log(connection.cursor(row_factory=dict_row)))
    except psycopg.Error as error:
        raise UnreachableError(
            f"PostgreSQL: {str(error).splitlines()[0]}", "check --database-url"
        ) from error


def _from_entries(entries: list[dict[str, Any]]) -> dict[str, Any]:
    flaws = audit_chain_flaws(entries)
    return {"holds": not flaws, "entries": len(entries), "flaws": flaws}


def _group() -> None:
    pass
