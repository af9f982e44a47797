"""``examctl simulate``: participants over real HTTP, with a ledger of all they were told."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examctl import console
from examctl.console import HomeOption, Output, OutputOption
from examctl.coordinator_api import UrlOption
from examctl.errors import ExamctlError, UnreadableInputError
from examctl.files import read_file
from examctl.formats.exam import read_exam
from examctl.runtime import Runtime
from examctl.simulation import crowd
from examctl.simulation.ledger import Ledger
from examctl.simulation.people import read_codes
from examctl.simulation.sitting import Behaviour, Credentials, Venue
from examctl.simulation.tally import Tally

_REFRESH_SECONDS = 0.2


def register(app: typer.Typer) -> None:
    """Add ``simulate``."""
    app.command("simulate")(simulate)


def simulate(
    delivery: Annotated[int, typer.Option(help="Number of the delivery.")],
    codes: Annotated[Path, typer.Option(help="Codes file of the roster import.")],
    ledger: Annotated[Path, typer.Option(help="Where to write the ledger; a new file, 0600.")],
    exam: Annotated[
        Path | None,
        typer.Option(help="The exam with its key, for answers by ability instead of chance."),
    ] = None,
    participants: Annotated[
        int | None, typer.Option(min=1, help="Only the first N of the codes file.")
    ] = None,
    think: Annotated[float, typer.Option(min=0, help="Mean seconds per question.")] = 2.0,
    arrival: Annotated[float, typer.Option(min=0, help="All arrive within these seconds.")] = 10.0,
    change: Annotated[float, typer.Option(min=0, max=1, help="Share of answers changed.")] = 0.12,
    reconnect: Annotated[
        float, typer.Option(min=0, max=1, help="Share of answers with a lost connection.")
    ] = 0.02,
    device_change: Annotated[
        float, typer.Option(min=0, max=1, help="Share of participants who change the device.")
    ] = 0.05,
    patience: Annotated[
        float, typer.Option(min=1, help="Seconds to go on trying while a service is away.")
    ] = 120.0,
    offline_at: Annotated[
        str | None,
        typer.Option(help="URL of the exam-client, to sign in there while no coordinator is."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same decisions.")] = 1,
    home: HomeOption = None,
    url: UrlOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Let participants sit an exam: sign-in, answers, second thoughts, lost networks, submission.

    The ledger holds every request and reply about answers; `examctl verify` compares it with what
    is stored.
    """
    people = read_codes(read_file(codes), codes.name)[:participants]
    keys = {}
    if exam is not None:
        keys = {entry.item_id: entry for entry in read_exam(read_file(exam), exam.name).key}
    coordinator = offline_at or url or Runtime.load(home).coordinator_url
    venue = Venue(coordinator, delivery, keys, offline_at, offline=offline_at is not None)
    behaviour = Behaviour(
        think_seconds=think,
        change_share=change,
        reconnect_share=reconnect / 2,
        cut_share=reconnect / 2,
        device_change_share=device_change,
        arrival_seconds=arrival,
        patience_seconds=patience,
    )
    if not people:
        raise UnreadableInputError(f"{codes} names nobody")
    tally = Tally(len(people))
    with Ledger(ledger) as book, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_sit_with_progress(venue, people, behaviour, seed, book, tally))
    _show(tally, output)
    if tally.gave_up:
        raise ExamctlError(f"{tally.gave_up.total()} participants could not finish")


async def _sit_with_progress(
    venue: Venue,
    people: list[Credentials],
    behaviour: Behaviour,
    seed: int,
    book: Ledger,
    tally: Tally,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        drawing = tasks.create_task(draw_progress(tally))
        await crowd.sit(venue, people, behaviour, seed, book, tally)
        drawing.cancel()


async def draw_progress(tally: Tally) -> None:
    """A progress bar on standard error, until it is cancelled."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console.err, transient=True) as progress:
        answers = progress.add_task("answers acknowledged", total=None)
        finished = progress.add_task("participants done", total=tally.participants)
        while True:
            progress.update(answers, completed=tally.acknowledged, total=tally.expected or None)
            progress.update(finished, completed=tally.finished)
            await asyncio.sleep(_REFRESH_SECONDS)


def summary(tally: Tally) -> dict[str, Any]:
    """The tally as JSON data."""
    return {
        "participants": tally.participants,
        "signed_in": tally.signed_in,
        "started": tally.started,
        "completed": tally.completed,
        "acknowledged": tally.acknowledged,
        "answered": tally.answered,
        "changed": tally.changed,
        "reconnects": tally.reconnects,
        "device_changes": tally.device_changes,
        "indeterminate": tally.indeterminate,
        "resends": tally.resends,
        "refused": dict(tally.refused),
        "gave_up": dict(tally.gave_up),
        "latency": tally.latencies.summary().to_dict(),
    }


def latency_table(tally: Tally) -> Table:
    """Percentiles and histogram of answers, for people."""
    found = tally.latencies.summary()
    title = f"answers: p50 {found.p50_ms:.1f} ms, p90 {found.p90_ms:.1f}, p99 {found.p99_ms:.1f}"
    table = Table(title=f"{title}, max {found.max_ms:.1f}", title_justify="left", box=None)
    table.add_column("up to", justify="right")
    table.add_column("answers", justify="right")
    table.add_column("")
    most = max(found.histogram.values(), default=0) or 1
    for edge, count in found.histogram.items():
        if count:
            label = "longer" if edge == "inf" else f"{edge} ms"
            table.add_row(label, str(count), "█" * max(1, round(40 * count / most)))
    return table


def _show(tally: Tally, output: Output) -> None:
    if output is Output.JSON:
        console.show_json(summary(tally))
        return
    console.out.print(
        f"{tally.completed} of {tally.participants} participants submitted;"
        f" {tally.acknowledged} answers acknowledged, {tally.changed} of them changes,"
        f" {tally.reconnects} reconnects, {tally.device_changes} device changes,"
        f" {tally.resends} resends."
    )
    console.out.print(latency_table(tally))
    for reason, count in tally.gave_up.items():
        console.out.print(f"{count} could not finish: {reason}", markup=False)
