"""The checks, each a pure function from the ledger's history and the stored rows to a verdict.

Run from the outside in: what participants were told, then what is stored, then what was signed.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from examctl.verification import signed
from examctl.verification.chains import audit_chain_flaws, client_chain_flaws
from examctl.verification.database import Row, Stored
from examctl.verification.history import Command, History, Name

MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Check:
    """A verdict; ``flaws`` are examples in words (never answers or names), ``count`` all."""

    name: str
    holds: bool
    count: int = 0
    flaws: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """``acknowledged``: distinct commands a participant was told are durable. ``stored``: how many
    of them are stored; ``lost`` the rest; ``duplicated``: stored more than once."""

    acknowledged: int
    stored: int
    lost: int
    duplicated: int
    altered: int
    uninvoked: int
    revisions: int
    answers: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of one delivery. ``holds`` only when every one does."""

    delivery_id: int
    figures: Figures
    checks: list[Check] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)

    def check(self, name: str) -> bool:
        """Whether the check of that name holds."""
        return next(check.holds for check in self.checks if check.name == name)


def verify(history: History, stored: Stored) -> Verdict:
    """Every check of a ledger against one delivery's stored rows."""
    revisions = _revisions_by_command(stored)
    lost, repeated, altered = _acknowledged_flaws(history, revisions)
    duplicated = repeated + _row_duplicates(stored)
    uninvoked = _uninvoked(history, revisions)
    checks = [
        _check("acknowledged_are_stored", lost),
        _check("stored_exactly_once", duplicated),
        _check("stored_as_acknowledged", altered),
        _check("nothing_uninvoked", uninvoked),
        _check("revisions_monotonic", _revision_flaws(stored)),
        _check("last_acknowledged_in_force", _in_force_flaws(history, stored)),
        _check("acknowledgements_consistent", history.contradictions),
        _check("scores_recomputed", ["stored points differ"] * stored.score_mismatches),
        _check("manifest_matches_rows", signed.manifest_flaws(stored)),
        _check("manifest_signature", signed.manifest_signature_flaws(stored)),
        _check("receipt_matches_rows", signed.receipt_flaws(stored)),
        _check("receipt_signature", signed.receipt_signature_flaws(stored)),
        _check("client_audit_chain", client_chain_flaws(stored)),
        _check("coordinator_audit_chain", audit_chain_flaws(stored.audit_log)),
    ]
    acknowledged = len(history.acknowledged())
    figures = Figures(
        acknowledged,
        acknowledged - len(lost),
        len(lost),
        len(duplicated),
        len(altered),
        len(uninvoked),
        len(stored.tables["answer_revisions"]),
        len(stored.tables["answers"]),
    )
    return Verdict(stored.delivery_id, figures, checks)


def _check(name: str, flaws: list[str]) -> Check:
    return Check(name, not flaws, len(flaws), tuple(flaws[:MOST_EXAMPLES]))


def _participants_by_attempt(stored: Stored) -> dict[int, int]:
    return {row["id"]: row["participant_id"] for row in stored.tables["attempts"]}


def _revisions_by_command(stored: Stored) -> dict[Name, list[Row]]:
    participants = _participants_by_attempt(stored)
    found: dict[Name, list[Row]] = defaultdict(list)
    for row in stored.tables["answer_revisions"]:
        found[(participants.get(row["attempt_id"], 0), row["command_id"])].append(row)
    return found


def _acknowledged_flaws(
    history: History, revisions: dict[Name, list[Row]]
) -> tuple[list[str], list[str], list[str]]:
    """Acknowledged commands that are lost, stored again, or stored differently than told."""
    lost, repeated, altered = [], [], []
    for name, command in history.acknowledged().items():
        rows = revisions.get(name, [])
        if not rows:
            lost.append(f"{_named(name, command)} is not stored")
            continue
        if len(rows) > 1:
            repeated += [f"{_named(name, command)} is stored {len(rows)} times"] * (len(rows) - 1)
        if difference := _difference(command, rows[0]):
            altered.append(f"{_named(name, command)}: {difference}")
    return lost, repeated, altered


def _named(name: Name, command: Command) -> str:
    return f"participant {name[0]}, question {command.question}, command {name[1]}"


def _difference(command: Command, row: Row) -> str:
    if row["question_id"] != command.question:
        return f"stored for question {row['question_id']}"
    if row["answer"] != command.answer:
        return "another answer is stored"
    if command.acknowledged is None:
        return ""
    revision, seq, saved_at = command.acknowledged
    if (row["revision"], row["seq"]) != (revision, seq):
        told = f"revision {revision} and seq {seq} were told"
        return f"{told}, {row['revision']} and {row['seq']} are stored"
    if row["submitted_at"] != saved_at:
        return "another time was told"
    return "" if row["counted"] else "it was acknowledged and does not count"


def _row_duplicates(stored: Stored) -> list[str]:
    """The same revision twice, or two current answers to one question."""
    revisions = Counter(
        (row["attempt_id"], row["question_id"], row["revision"])
        for row in stored.tables["answer_revisions"]
        if row["counted"]
    )
    answers = Counter((row["attempt_id"], row["question_id"]) for row in stored.tables["answers"])
    attempts = Counter(row["participant_id"] for row in stored.tables["attempts"])
    flaws = [f"attempt {a}, question {q}: two current answers" for a, q in _twice(answers)]
    flaws += [f"participant {one}: two attempts" for one in _twice(attempts)]
    return flaws + [
        f"attempt {a}, question {q}: revision {r} stands twice" for a, q, r in _twice(revisions)
    ]


def _twice(counted: Counter[Any]) -> list[Any]:
    return [value for value, count in counted.items() if count > 1]


def _uninvoked(history: History, revisions: dict[Name, list[Row]]) -> list[str]:
    """Stored commands that nobody sent, or that were refused and count nevertheless."""
    flaws = []
    for name, rows in revisions.items():
        command = history.commands.get(name)
        if command is None:
            flaws.append(f"participant {name[0]}: command {name[1]} was never sent")
        elif command.acknowledged is None:
            if rows[0]["answer"] != command.answer or rows[0]["question_id"] != command.question:
                flaws.append(f"{_named(name, command)}: another answer is stored")
            elif command.refused_for_good and rows[0]["counted"]:
                flaws.append(f"{_named(name, command)}: refused, and it counts")
    return flaws


def _revision_flaws(stored: Stored) -> list[str]:
    """Per question 1, 2, 3, ... in commit order; seq rises strictly over the whole delivery.

    Revisions that came too late are kept without either: they do not count.
    """
    flaws = []
    rows = [row for row in stored.tables["answer_revisions"] if row["counted"]]
    chains: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in rows:
        chains[(row["attempt_id"], row["question_id"])].append(row["revision"])
    for (attempt, question), numbers in chains.items():
        if numbers != list(range(1, len(numbers) + 1)):
            flaws.append(f"attempt {attempt}, question {question}: revisions {numbers[:10]}")
    for before, after in pairwise(rows):
        if after["seq"] <= before["seq"]:
            flaws.append(f"revision row {after['id']}: seq {after['seq']} does not rise")
    return flaws


def _in_force_flaws(history: History, stored: Stored) -> list[str]:
    """The answer in force is the newest counted revision, and no older than the last told one."""
    participants = _participants_by_attempt(stored)
    newest: dict[tuple[int, int], Row] = {}
    for row in stored.tables["answer_revisions"]:
        place = (participants.get(row["attempt_id"], 0), row["question_id"])
        if row["counted"] and row["revision"] >= newest.get(place, row)["revision"]:
            newest[place] = row
    current = {
        (participants.get(row["attempt_id"], 0), row["question_id"]): row
        for row in stored.tables["answers"]
    }
    flaws = [
        f"participant {place[0]}, question {place[1]}: the answer in force is not the newest"
        for place, row in newest.items()
        if place not in current
        or (current[place]["answer"], current[place]["revision"])
        != (row["answer"], row["revision"])
    ]
    flaws += [
        f"participant {place[0]}, question {place[1]}: an answer without a revision"
        for place in current.keys() - newest.keys()
    ]
    return flaws + _stale_flaws(history, current)


def _stale_flaws(history: History, current: dict[tuple[int, int], Row]) -> list[str]:
    told: dict[tuple[int, int], int] = {}
    for command in history.acknowledged().values():
        place = (command.participant, command.question)
        revision = command.acknowledged[0] if command.acknowledged else 0
        told[place] = max(told.get(place, 0), revision)
    return [
        f"participant {place[0]}, question {place[1]}: revision {revision} was told and"
        f" {current[place]['revision'] if place in current else 'none'} is in force"
        for place, revision in told.items()
        if place not in current or current[place]["revision"] < revision
    ]
