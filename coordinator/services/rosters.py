"""Rosters: imported whole or not at all; codes are drawn here and shown once."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from coordinator.core import rosters as rules
from coordinator.core.codes import RANDOM_BYTES, code
from coordinator.errors import InvalidField
from coordinator.services.hashing import Hashing
from coordinator.services.work import Work
from coordinator.store import rosters
from coordinator.store.rosters import StoredEntry
from exam_contract.people import RosterEntry

TAKEOVER_CODES = 2


@dataclass(frozen=True, slots=True)
class Codes:
    """What is printed for one participant."""

    identifier: str
    access_code: str = field(repr=False)
    takeover_codes: list[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked roster with its codes, ready to be stored."""

    name: str
    entries: list[StoredEntry]
    codes: list[Codes] = field(repr=False)


def check(rows: list[Any]) -> list[RosterEntry]:
    """Every row sound, identifiers unique. Raises InvalidField naming rows."""
    entries, errors = rules.check(rows)
    if errors:
        listed = [
            {"row": error.row, "field": error.field, "message": error.message}
            for error in errors[:100]
        ]
        raise InvalidField(
            f"{len(errors)} error(s) in the roster; nothing was imported", errors=listed
        )
    return entries


async def prepare(hashing: Hashing, name: str, entries: list[RosterEntry]) -> Prepared:
    """Draw codes and hash them, outside of any transaction."""
    drawn = [
        Codes(entry.identifier, _draw(), [_draw() for _ in range(TAKEOVER_CODES)])
        for entry in entries
    ]
    hashed = await hashing.hash_codes([[row.access_code, *row.takeover_codes] for row in drawn])
    stored = [
        StoredEntry(
            position=position,
            identifier=entry.identifier,
            name=entry.name,
            email=entry.email,
            time_multiplier=entry.accommodation.time_multiplier,
            extra_seconds=entry.accommodation.extra_seconds,
            code_verifier=verifiers[0],
            takeover_verifiers=verifiers[1:],
        )
        for position, (entry, verifiers) in enumerate(zip(entries, hashed, strict=True), start=1)
    ]
    return Prepared(name, stored, drawn)


async def store(work: Work, prepared: Prepared) -> str:
    """The roster's id: its name as a slug, with a number where that is taken."""
    roster_id = await rosters.add(
        work.db, rules.slug(prepared.name), prepared.name, prepared.entries
    )
    work.record("roster_imported", f"roster:{roster_id}", participants=len(prepared.entries))
    return roster_id


def _draw() -> str:
    return code(secrets.token_bytes(RANDOM_BYTES))
