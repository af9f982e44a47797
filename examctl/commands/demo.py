"""``examctl demo``: a whole delivery on this machine, crashes included, verified from outside."""

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from exam_contract.keys import ExamDocument
from examctl import console
from examctl.commands.simulate import draw_progress
from examctl.console import Output, OutputOption
from examctl.demonstration.objects import EXAMPLES
from examctl.demonstration.performance import Script, perform
from examctl.demonstration.sabotage import Sabotage
from examctl.demonstration.show import show_summary
from examctl.demonstration.stage import Stage, staged
from examctl.errors import ExamctlError, UnreadableInputError
from examctl.files import read_file
from examctl.formats.exam import check, read_exam

ParticipantsOption = Annotated[int, typer.Option("--participants", "-n", min=1, max=5000)]
SeedOption = Annotated[int, typer.Option(help="The same seed invents the same people and answers.")]


def register(app: typer.Typer) -> None:
    """Add ``demo`` and ``demo-samples``."""
    app.command("demo")(demo)
    app.command("demo-samples")(demo_samples)


def demo(
    exam: Annotated[
        Path | None, typer.Option(help="An exam of your own: .json or .csv.", show_default=False)
    ] = None,
    participants: ParticipantsOption = 200,
    items: Annotated[
        int | None, typer.Option(min=1, help="Only the first N items.", show_default=False)
    ] = None,
    seed: SeedOption = 1,
    report: Annotated[
        Path | None, typer.Option(help="Write the report (JSON) here.", show_default=False)
    ] = None,
    stop: Annotated[
        bool, typer.Option("--exit", help="End when done, also on a terminal.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's folder.")] = False,
    sabotage: Annotated[
        Sabotage | None,
        typer.Option(help="Damage something from outside; the demo must notice and fail."),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Assign, sit, crash, recover, transfer, verify: a real delivery on this machine.

    The exam-client is killed twice under load and the coordinator once while sign-ins arrive. Exit
    code 0 only when no acknowledged answer is lost or stored twice and everything verifies.
    """
    document = load_exam(exam or EXAMPLES / "exam.json", items)
    _end_cleanly_when_told()
    stays = sys.stdout.isatty() and not stop and output is Output.TEXT
    with staged(keep=keep, usual_ports=stays) as stage:
        script = Script(document, participants, seed, sabotage, _sitting_seconds(participants))
        found = run_demo(script, stage)
        write_report(found, report, output)
        if stays:
            _stay(stage)
    if keep:
        console.err.print(f"Kept: {stage.home}", markup=False)
    fail_unless_ok(found)


def demo_samples(
    folder: Annotated[Path, typer.Argument(help="A folder of exam CSV files.")],
    participants: ParticipantsOption = 300,
    seed: SeedOption = 1,
    output: OutputOption = Output.TEXT,
) -> None:
    """Run the demo on every CSV of a folder, one after the other."""
    files = sample_files(folder)
    documents = [(file, load_exam(file, None)) for file in files]
    reports: dict[str, Any] = {}
    _end_cleanly_when_told()
    for file, document in documents:
        console.err.print(f"[bold]{file.name}[/]: {len(document.exam.items)} items")
        with staged(keep=False, usual_ports=False) as stage:
            script = Script(document, participants, seed, None, _sitting_seconds(participants))
            reports[file.name] = run_demo(script, stage)
        if output is Output.TEXT:
            show_summary(reports[file.name], console.out)
    if output is Output.JSON:
        console.show_json(reports)
    wrong = [name for name, found in reports.items() if not found["ok"]]
    if wrong:
        raise ExamctlError(f"does not hold for {', '.join(wrong)}")


def _sitting_seconds(participants: int) -> float:
    """Think time is scaled: a small crowd is done sooner, a large one is no stampede."""
    return min(20.0, max(6.0, participants / 10))


def sample_files(folder: Path) -> list[Path]:
    """The CSV files of a folder. Raises UnreadableInputError when there are none."""
    if not folder.is_dir():
        raise UnreadableInputError(
            f"there is no folder {folder}", "name a folder of exam CSV files"
        )
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise UnreadableInputError(
            f"{folder} holds no CSV file", "put exams as stem,A,B,C,D,letter there"
        )
    return files


def load_exam(path: Path, items: int | None) -> ExamDocument:
    """The exam of a file, cut to its first items where that is asked for."""
    document = read_exam(read_file(path), path.name)
    return document if items is None else _cut(document, items)


def run_demo(script: Script, stage: Stage) -> dict[str, Any]:
    """Perform a script with progress on standard error; its report."""
    return perform(script, stage, lambda step: console.err.print(f"[dim]{step}[/]"), draw_progress)


def write_report(found: dict[str, Any], path: Path | None, output: Output) -> None:
    """To the terminal and, where a file is named, there as well."""
    if path is not None:
        try:
            path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise UnreadableInputError(f"{path} cannot be written: {error.strerror}") from error
    if output is Output.JSON:
        console.show_json(found)
    else:
        show_summary(found, console.out)


def fail_unless_ok(found: dict[str, Any]) -> None:
    """Raises ExamctlError, that is exit code 1, for a report that does not hold."""
    if not found["ok"]:
        wrong = [check["name"] for check in found["checks"] if not check["holds"]]
        raise ExamctlError(
            f"the demo does not hold: {', '.join(wrong) or 'see the report'}",
            None if found["sabotage"] is None else f"it was sabotaged ({found['sabotage']})",
        )


def _cut(document: ExamDocument, count: int) -> ExamDocument:
    """The first ``count`` items, with what they need and nothing else."""
    exam = document.exam.model_dump(mode="json")
    placed = [item for section in exam["sections"] for item in section["items"]][:count]
    kept = set(placed)
    sections = []
    for section in exam["sections"]:
        pool = [item for item in section["items"] if item in kept]
        pinned = [item for item in section["pinned_items"] if item in kept]
        if pool:
            sections.append({**section, "items": pool, "pinned_items": pinned, "selection": {}})
    items = [item for item in exam["items"] if item["id"] in kept]
    key = [entry for entry in document.model_dump(mode="json")["key"] if entry["item_id"] in kept]
    names = {"id": f"{exam['id'][:50]}-first-{len(items)}", "sections": sections, "items": items}
    return check({"exam": {**exam, **names}, "key": key}, "the cut exam")


def _end_cleanly_when_told() -> None:
    """SIGTERM ends the demo as Ctrl-C does: with everything it started."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _stay(stage: Stage) -> None:
    """Until Ctrl-C, with everything up."""
    console.out.print(f"\nDashboard: [bold]{stage.first_admin_link()}[/]")
    console.out.print("[dim]The link makes the first admin, once. Ctrl-C ends the demo.[/]")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        console.err.print("[dim]ending[/]")
