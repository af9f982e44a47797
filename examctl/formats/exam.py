"""An exam file to an ExamDocument, whichever of the three forms it has.

Native JSON is recognised by its first character, a CSV with a header by its ``stem`` column, and
anything else is a bare CSV of ``stem,A,B,C,D,letter``.
"""

from dataclasses import dataclass

from pydantic import ValidationError

from exam_contract.content import undelivered_types
from exam_contract.keys import ExamDocument, KeyMismatch, bind_key
from examctl.errors import FieldError, UnreadableInputError
from examctl.formats import exam_json, text
from examctl.formats.exam_bare_csv import read_bare_csv
from examctl.formats.exam_header_csv import has_header, read_header_csv
from examctl.formats.exam_json import read_json

_WHAT = "an exam that can be imported"


@dataclass(frozen=True, slots=True)
class Naming:
    """What a CSV cannot say of itself; for JSON, given values replace those of the file."""

    exam_id: str | None = None
    version: str | None = None
    title: str | None = None
    language: str | None = None


def read_exam(data: bytes, name: str, naming: Naming | None = None) -> ExamDocument:
    """The exam in the file ``name``, with a key that fits it. Raises UnreadableInputError."""
    naming = naming or Naming()
    content = text.decode(data, name)
    if content.lstrip()[0] in "{[":
        return check(_named(read_json(content, name), naming), name)
    rows = text.read_rows(content, name)
    reader = read_header_csv if has_header(rows) else read_bare_csv
    parts = reader(rows, name)
    frame = {
        "id": naming.exam_id or slug(name),
        "version": naming.version or "1",
        "title": naming.title or _title(name),
        "language": naming.language or "en",
    }
    return check({"exam": frame | parts.content, "key": parts.key}, name, parts.places)


def check(document: object, name: str, places: dict[int, str] | None = None) -> ExamDocument:
    """Validate a document of any origin; ``places`` says in which row of a CSV an item stands."""
    try:
        read = ExamDocument.model_validate_json(exam_json.dump(document))
    except ValidationError as error:
        flaws = exam_json.flaws(error, document, places or {})
        text.refuse_flaws(name, _WHAT, flaws)
        raise UnreadableInputError(f"{name} is not {_WHAT}") from error
    text.refuse_flaws(name, _WHAT, _undelivered(read))
    try:
        bind_key(read)
    except KeyMismatch as error:
        raise UnreadableInputError(
            f"{name}: {error}", "mend the key and try again; nothing was imported"
        ) from error
    return read


def slug(name: str) -> str:
    """An exam id out of a file name."""
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in stem)
    return "-".join(part for part in kept.split("-") if part)[:63].strip("-") or "exam"


def _title(name: str) -> str:
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return stem.replace("_", " ").replace("-", " ").strip().capitalize()[:500] or "Exam"


def _named(document: object, naming: Naming) -> object:
    given = {
        "id": naming.exam_id,
        "version": naming.version,
        "title": naming.title,
        "language": naming.language,
    }
    replaced = {field: value for field, value in given.items() if value is not None}
    if not replaced or not isinstance(document, dict) or not isinstance(document.get("exam"), dict):
        return document
    return {**document, "exam": {**document["exam"], **replaced}}


def _undelivered(document: ExamDocument) -> list[FieldError]:
    return [
        FieldError(f"item {item_id}", f"{kind} can be described but not sat yet; leave it out")
        for item_id, kind in undelivered_types(document.exam)
    ]
