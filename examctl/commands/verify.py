"""``examctl verify``: the participants' ledger against what PostgreSQL holds, trusting nobody."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.table import Table

from examctl import console
from examctl.console import HomeOption, Output, OutputOption
from examctl.errors import ExamctlError, RefusedError, UnreachableError, UnreadableInputError
from examctl.runtime import Runtime
from examctl.verification.checks import Verdict
from examctl.verification.checks import verify as run_checks
from examctl.verification.database import (
    DeliveryUnknownError,
    Stored,
    pinned_keys,
    read_stored,
)
from examctl.verification.history import History, LedgerUnreadableError, read_history


def register(app: typer.Typer) -> None:
    """Add ``verify``."""
    app.command("verify")(verify)


def verify(
    ledger: Annotated[Path, typer.Option(help="The ledger that a simulation wrote.")],
    delivery: Annotated[
        int | None, typer.Option(help="Number of the delivery. Default: the ledger's.")
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url",
            envvar="DATABASE_URL",
            help="PostgreSQL; a read-only account is enough. Default: this machine's own.",
            show_default=False,
        ),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            help="A trust.json kept from the delivery's Secret: believe its keys and not those that"
            " the database holds.",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Check that every acknowledged answer is stored exactly once, as it was acknowledged.

    Recomputes the manifest from the rows, checks both signatures and both audit chains. Exit code 0
    only when everything holds.
    """
    history = load_history(ledger)
    dsn = database_url or Runtime.load(home).postgres_dsn
    if delivery is not None and delivery != history.delivery_id:
        raise UnreadableInputError(f"the ledger is of delivery {history.delivery_id}")
    stored = load_stored(dsn, history.delivery_id)
    if trust is not None:
        stored = replace(stored, signing_keys=load_trust(trust))
    verdict = run_checks(history, stored)
    if output is Output.JSON:
        console.show_json(as_json(verdict))
    else:
        console.out.print(as_table(verdict))
    if not verdict.holds:
        broken = sum(not check.holds for check in verdict.checks)
        untransferred = not verdict.check("manifest_signature") and verdict.figures.revisions == 0
        raise ExamctlError(
            f"{broken} of {len(verdict.checks)} checks do not hold",
            "nothing was transferred yet: verify once the delivery is Validated"
            if untransferred
            else None,
        )


def load_history(path: Path) -> History:
    """The ledger's history. Raises UnreadableInputError."""
    try:
        with path.open("rb") as lines:
            return read_history(lines)
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be read: {error.strerror}") from error
    except LedgerUnreadableError as error:
        raise UnreadableInputError(
            f"{path}: {error}", "name the file that `examctl simulate --ledger` wrote"
        ) from error


def load_stored(dsn: str, delivery_id: int) -> Stored:
    """What PostgreSQL holds. Raises RefusedError and UnreachableError."""
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            return read_stored(connection, delivery_id)
    except DeliveryUnknownError as error:
        raise RefusedError(str(error), "`examctl get` lists the deliveries") from error
    except psycopg.Error as error:
        told = (str(error).splitlines() or ["it does not answer"])[0]
        raise UnreachableError(f"PostgreSQL: {told}", "check --database-url") from error


def load_trust(path: Path) -> dict[str, str]:
    """The keys of a trust.json. Raises UnreadableInputError."""
    try:
        keys = pinned_keys(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise UnreadableInputError(f"{path} cannot be read: {error}") from error
    if not keys:
        raise UnreadableInputError(f"{path} holds no keys", "name a trust.json")
    return keys


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as a report for programs."""
    return {
        "delivery_id": verdict.delivery_id,
        "holds": verdict.holds,
        **asdict(verdict.figures),
        "checks": [asdict(check) for check in verdict.checks],
    }


def as_table(verdict: Verdict) -> Table:
    """The verdict as a table for people."""
    figures = verdict.figures
    table = Table(
        title=f"Delivery {verdict.delivery_id}: {figures.acknowledged} acknowledged,"
        f" {figures.stored} stored, {figures.lost} lost, {figures.duplicated} duplicated",
        title_justify="left",
    )
    table.add_column("check")
    table.add_column("verdict")
    table.add_column("what was found")
    for check in verdict.checks:
        word = "[green]holds[/]" if check.holds else f"[bold red]{check.count} flaws[/]"
        flaws = "\n".join(flaw.replace("[", r"\[") for flaw in check.flaws)
        table.add_row(check.name.replace("_", " "), word, flaws)
    return table
