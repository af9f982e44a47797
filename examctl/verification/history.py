"""The ledger as the checker reads it: what was asked, and what participants were told of it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from examctl.verification.hashing import canonical, sha256

FORMAT = 1
Name = tuple[int, str]
"""Participant id and command id: what names a command."""


class LedgerUnreadableError(ValueError):
    """The ledger is not one; the message says where."""


@dataclass(slots=True)
class Command:
    """One answer command and everything that was said about it."""

    participant: int
    question: int
    answer: str
    """Canonical JSON text."""
    order: int
    """Position of its first invocation in the ledger."""
    acknowledged: tuple[int, int, str] | None = None
    """Revision, seq and saved_at as told; None while nobody said ok."""
    refused_for_good: str | None = None
    """The code of a refusal that says: not stored as counted."""


@dataclass(slots=True)
class History:
    """All commands of one ledger, and what is wrong with the ledger itself."""

    delivery_id: int = 0
    commands: dict[Name, Command] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)
    """Places where the exam-client said two things about one command."""

    def acknowledged(self) -> dict[Name, Command]:
        return {name: one for name, one in self.commands.items() if one.acknowledged is not None}


def read_history(lines: Iterable[bytes]) -> History:
    """Read a ledger. A last line cut off by a crash is left out: it told nobody anything."""
    history = History()
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            break
        try:
            entry = json.loads(line)
            _fold(history, entry, number)
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerUnreadableError(f"line {number} is no ledger entry: {error!r}") from error
    if history.delivery_id == 0:
        raise LedgerUnreadableError("the first line of a ledger says which delivery it is of")
    return history


def _fold(history: History, entry: dict[str, Any], number: int) -> None:
    match entry["kind"]:
        case "begin":
            if entry["format"] != FORMAT:
                raise ValueError(f"format {entry['format']} is not {FORMAT}")
            history.delivery_id = int(entry["delivery_id"])
        case "invoke":
            _invoke(history, entry, number)
        case "ok":
            told = (int(entry["revision"]), int(entry["seq"]), str(entry["saved_at"]))
            _acknowledge(history, _command(history, entry), told, entry["command"])
        case "fail":
            if entry["status"] < 500 and entry["code"] not in _SAYS_NOTHING:
                _command(history, entry).refused_for_good = str(entry["code"])
        case "indeterminate":
            _command(history, entry)
        case "end":
            pass
        case kind:
            raise ValueError(f"unknown kind {kind!r}")


_SAYS_NOTHING = frozenset(
    {"session_ended", "unauthenticated", "token_expired", "too_many_attempts", "not_registered"}
)
"""Refusals before the command was looked at: an earlier send of it may still have been stored."""


def _invoke(history: History, entry: dict[str, Any], number: int) -> None:
    answer = canonical(entry["answer"])
    if sha256(answer) != entry["digest"]:
        raise ValueError("the digest is not the answer's")
    name = (int(entry["participant"]), str(entry["command"]))
    fresh = Command(name[0], int(entry["question"]), answer.decode(), number)
    known = history.commands.setdefault(name, fresh)
    if (known.question, known.answer) != (fresh.question, fresh.answer):
        raise ValueError("the command was invoked with another answer before")


def _command(history: History, entry: dict[str, Any]) -> Command:
    return history.commands[(int(entry["participant"]), str(entry["command"]))]


def _acknowledge(history: History, command: Command, told: tuple[int, int, str], name: str) -> None:
    if command.acknowledged is not None and command.acknowledged[:2] != told[:2]:
        history.contradictions.append(f"command {name} was acknowledged with two revisions")
    command.acknowledged = told
