"""``examctl exam``: check an exam file, and import it as an immutable version."""

from pathlib import Path
from typing import Annotated, Any

import typer

from exam_contract.keys import ExamDocument, content_digest
from examctl import console
from examctl.console import HomeOption, Output, OutputOption
from examctl.coordinator_api import Coordinator, TokenFileOption, UrlOption
from examctl.files import read_file
from examctl.formats.exam import Naming, read_exam

_HELP = """
Check and import exams.

Three kinds of file are read: native JSON (an exam and its key), CSV with a header
(columns [bold]stem[/] and [bold]key[/], options in A, B, C, ...; further columns:
id, type, max_points, section, blueprint, discipline, pilot, rule, tolerance, unit,
max_length), and bare CSV of stem,A,B,C,D,letter.
"""
FileArgument = Annotated[Path, typer.Argument(help="The exam: .json or .csv, in UTF-8.")]
IdOption = Annotated[str | None, typer.Option("--id", help="Exam id. CSV: else the file name.")]
VersionOption = Annotated[str | None, typer.Option("--version", help="Exam version. CSV: else 1.")]
TitleOption = Annotated[str | None, typer.Option("--title", help="Title of the exam.")]
LanguageOption = Annotated[str | None, typer.Option("--language", help="Such as en or de.")]


def register(app: typer.Typer) -> None:
    """Add ``exam`` with its commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True)
    group.command("validate")(validate)
    group.command("import")(import_exam)
    app.add_typer(group, name="exam")


def validate(
    file: FileArgument,
    exam_id: IdOption = None,
    version: VersionOption = None,
    title: TitleOption = None,
    language: LanguageOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Check an exam file without importing it: content, key, and that the two fit."""
    document = read_exam(read_file(file), file.name, Naming(exam_id, version, title, language))
    _show(_summary(document), "is sound", output)


def import_exam(
    file: FileArgument,
    exam_id: IdOption = None,
    version: VersionOption = None,
    title: TitleOption = None,
    language: LanguageOption = None,
    home: HomeOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Import an exam version. The same content again changes nothing; other content is refused."""
    document = read_exam(read_file(file), file.name, Naming(exam_id, version, title, language))
    with Coordinator.connect(home, url, token_file) as coordinator:
        new = upload(coordinator, document)
    said = "is imported" if new else "was imported before, with the same content"
    _show(_summary(document) | {"created": new}, said, output)


def upload(coordinator: Coordinator, document: ExamDocument) -> bool:
    """Send a document; whether it was new. Raises RefusedError for other content."""
    reply = coordinator.post("/api/exams", document.model_dump(mode="json"))
    return reply.status_code == 201


def _summary(document: ExamDocument) -> dict[str, Any]:
    exam = document.exam
    kinds: dict[str, int] = {}
    for item in exam.items:
        kinds[item.type] = kinds.get(item.type, 0) + 1
    return {
        "exam_id": exam.id,
        "version": exam.version,
        "title": exam.title,
        "content_digest": content_digest(exam),
        "items": len(exam.items),
        "types": kinds,
        "sections": len(exam.sections),
    }


def _show(summary: dict[str, Any], said: str, output: Output) -> None:
    if output is Output.JSON:
        console.show_json(summary)
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in summary["types"].items())
    name = f"{summary['exam_id']} {summary['version']}"
    console.out.print(f"Exam {name} {said}: {summary['items']} items ({kinds}).", markup=False)
    console.out.print(f"Content digest: {summary['content_digest']}", markup=False)
