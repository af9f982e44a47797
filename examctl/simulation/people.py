"""The codes file of a roster import, read back as credentials."""

from examctl.errors import FieldError, UnreadableInputError
from examctl.formats.text import decode, read_rows, refuse_flaws
from examctl.simulation.sitting import Credentials

_COLUMNS = ("identifier", "access_code", "takeover_codes")


def read_codes(data: bytes, name: str) -> list[Credentials]:
    """Everybody in a codes file. Raises UnreadableInputError."""
    rows = read_rows(decode(data, name), name)
    if tuple(rows[0].cells) != _COLUMNS or len(rows) < 2:
        raise UnreadableInputError(
            f"{name} is no codes file", "name the file that `examctl roster import` wrote"
        )
    wrong = [
        FieldError(f"line {row.line}", f"it has {len(row.cells)} cells and needs {len(_COLUMNS)}")
        for row in rows[1:]
        if len(row.cells) != len(_COLUMNS)
    ]
    refuse_flaws(name, "a codes file", wrong)
    return [
        Credentials(identifier, access_code, tuple(codes.split()))
        for identifier, access_code, codes in (row.cells for row in rows[1:])
    ]
