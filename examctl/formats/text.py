"""Bytes to text and to CSV rows, losing nothing: white space and quotes in cells stay as they are.

A wrong encoding is refused instead of guessed: a guess turns Greek letters into other letters.
"""

import codecs
import csv
import io
from dataclasses import dataclass

from examctl.errors import FieldError, UnreadableInputError

MOST_FLAWS = 20
"""How many flaws of one file are told at once; a file of another kind would else tell thousands."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_HINT = "save the file as UTF-8 (in a spreadsheet: CSV UTF-8) and try again"


@dataclass(frozen=True, slots=True)
class Row:
    """One CSV record; ``line`` is where it begins in the file, from 1."""

    line: int
    cells: list[str]


def decode(data: bytes, name: str) -> str:
    """UTF-8 text without its byte order mark. Raises UnreadableInputError."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            raise UnreadableInputError(f"{name} is {encoding}, not UTF-8", _HINT)
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong = f"byte 0x{data[error.start]:02X} in line {line} is not UTF-8"
        raise UnreadableInputError(f"{name}: {wrong}", _HINT) from error
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise UnreadableInputError(
            f"{name}: line {line} holds a NUL character", "this looks like a binary file"
        )
    if not text.strip():
        raise UnreadableInputError(f"{name} is empty", "check that the export was complete")
    return text


def read_rows(text: str, name: str) -> list[Row]:
    """Every record that is not an empty line. Raises UnreadableInputError for broken quoting."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    begins = 1
    try:
        for cells in reader:
            if cells:
                rows.append(Row(begins, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise _broken(name, begins, str(error)) from error
    return rows


def refuse_flaws(name: str, what: str, flaws: list[FieldError]) -> None:
    """Raise UnreadableInputError with the first flaws when there are any."""
    if not flaws:
        return
    shown = tuple(flaws[:MOST_FLAWS])
    hint = "mend these places and try again; nothing was imported"
    if len(flaws) > len(shown):
        hint = f"{len(flaws) - len(shown)} more were found; {hint}"
    raise UnreadableInputError(f"{name} is not {what}", hint, shown)


def _broken(name: str, line: int, reason: str) -> UnreadableInputError:
    if "unexpected end" in reason:
        message = f"{name}: the record that begins in line {line} opens a quote and never closes it"
        return UnreadableInputError(
            message, "the file is cut off, or a quote inside a cell is not doubled"
        )
    if "field larger" in reason:
        message = f"{name}: the record that begins in line {line} holds a cell of over 128 KiB"
        return UnreadableInputError(message, "probably a quote before it is never closed")
    message = f"{name}: the record that begins in line {line} is quoted wrongly ({reason})"
    return UnreadableInputError(message, 'write a quote inside a quoted cell twice: ""')
