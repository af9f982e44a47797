"""People who sit an exam in the cluster, the ledger of what they were told, and the checker.

The simulator and the checker are examctl's own: the same that ``examctl simulate`` and
``examctl verify`` run.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import uvloop

from exam_contract.delivery import ExamDelivery, Phase
from exam_contract.keys import ExamDocument, KeyEntry, content_digest
from exam_contract.people import Accommodation
from examctl.commands.exam import upload
from examctl.commands.roster import import_with_codes
from examctl.commands.verify import load_history, load_stored
from examctl.demonstration.people import invent_roster
from examctl.formats.exam import read_exam
from examctl.simulation import crowd
from examctl.simulation.ledger import Ledger
from examctl.simulation.people import read_codes
from examctl.simulation.sitting import Behaviour, Credentials, Venue
from examctl.simulation.tally import Tally
from examctl.verification.checks import Verdict, verify
from examctl.verification.database import Stored, pinned_keys
from tests.support.cluster import objects, script
from tests.support.cluster.api import Json
from tests.support.cluster.installation import Installation
from tests.support.cluster.objects import Delivery

_EXAM = script.ROOT / "examples" / "exam.json"
Meanwhile = Callable[[Tally], Awaitable[None]]


@dataclass(frozen=True)
class Imported:
    """An exam and a roster that the coordinator has; ``codes`` lets people sign in.

    ``accommodations``: of everybody, by identifier.
    """

    document: ExamDocument
    roster: str
    codes: Path
    accommodations: dict[str, Accommodation]

    @property
    def exam(self) -> dict[str, str]:
        """``spec.exam`` of a delivery."""
        exam = self.document.exam
        digest = content_digest(exam)
        return {"id": exam.id, "version": exam.version, "contentDigest": digest}

    @property
    def keys(self) -> dict[int, KeyEntry]:
        """What people of some ability answer by."""
        return {entry.item_id: entry for entry in self.document.key}

    def some(self, count: int) -> "Imported":
        """The same exam with the codes of those who come; the others never do."""
        lines = self.codes.read_text().splitlines(keepends=True)
        codes = self.codes.with_suffix(".some.csv")
        codes.write_text("".join(lines[: 1 + count]))
        return replace(self, codes=codes)

    def people(self) -> list[Credentials]:
        return read_codes(self.codes.read_bytes(), self.codes.name)


def bring_exam(
    installation: Installation, folder: Path, *, name: str, participants: int, seed: int = 1
) -> Imported:
    """The example exam, and a roster of invented people under that name."""
    document = read_exam(_EXAM.read_bytes(), _EXAM.name)
    codes = folder / f"{name}.codes.csv"
    people = invent_roster(participants, seed)
    with installation.coordinator() as coordinator:
        upload(coordinator, document)
        roster = import_with_codes(coordinator, name, people, codes)
    own = {one.identifier: one.accommodation for one in people}
    return Imported(document, roster, codes, own)


def apply(
    installation: Installation,
    namespace: str,
    folder: Path,
    name: str,
    *,
    participants: int,
    opens_in: timedelta = timedelta(seconds=-5),
    closes_in: timedelta = timedelta(hours=12),
    spec: Json | None = None,
) -> tuple[Delivery, Imported]:
    """A delivery of the example exam for invented people, just applied."""
    imported = bring_exam(installation, folder, name=name, participants=participants)
    delivery = objects.apply_example(
        installation.api,
        namespace,
        name,
        exam=imported.exam,
        roster=imported.roster,
        participants=participants,
        opens_in=opens_in,
        closes_in=closes_in,
        spec=spec,
    )
    return delivery, imported


def begin(
    installation: Installation,
    namespace: str,
    folder: Path,
    name: str,
    *,
    participants: int,
    spec: Json | None = None,
) -> "ExamDay":
    """As ``apply``, and it runs."""
    delivery, imported = apply(
        installation, namespace, folder, name, participants=participants, spec=spec
    )
    delivery.wait_phase(Phase.RUNNING)
    return ExamDay(installation, delivery, imported, folder / f"{name}.jsonl")


@dataclass
class ExamDay:
    """One sitting: who sits, what they were told, and what became of it."""

    installation: Installation
    delivery: Delivery
    imported: Imported
    ledger: Path
    venue: Venue | None = None
    """Where they sit, if not where the coordinator sends them."""
    tally: Tally = field(init=False)
    keys: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.tally = Tally(len(self.imported.people()))
        # From the delivery's own Secret, before anything could be altered.
        held = self.installation.api.get("secrets", self.delivery.children, self.delivery.namespace)
        self.keys = pinned_keys(json.loads(base64.b64decode(held["data"]["trust.json"])))

    def sit(
        self, behaviour: Behaviour, *, seed: int = 1, meanwhile: Meanwhile | None = None
    ) -> None:
        """Everybody sits; ``meanwhile`` runs beside them, with the tally to wait on.

        Ends when everybody has submitted or given up; nobody may have given up.
        """
        with (
            Ledger(self.ledger) as book,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(self._sit(behaviour, seed, book, meanwhile))
        assert not self.tally.gave_up, dict(self.tally.gave_up)

    def stored(self) -> Stored:
        """What the cluster's PostgreSQL holds of the delivery."""
        with self.installation.database() as dsn:
            return load_stored(dsn, _number(self.delivery.read()))

    def verdict(self) -> Verdict:
        """The independent checker over the ledger and the cluster's PostgreSQL."""
        return verify(load_history(self.ledger), replace(self.stored(), signing_keys=self.keys))

    def assert_nothing_lost(self) -> Verdict:
        """Every acknowledged answer is stored exactly once, and everything signed holds."""
        verdict = self.verdict()
        flaws = {check.name: check.flaws for check in verdict.checks if not check.holds}
        assert verdict.holds, f"{verdict.figures}: {flaws}"
        assert verdict.figures.acknowledged == self.tally.acknowledged
        return verdict

    async def _sit(
        self, behaviour: Behaviour, seed: int, book: Ledger, meanwhile: Meanwhile | None
    ) -> None:
        venue = self.venue or Venue(
            self.installation.url,
            _number(self.delivery.read()),
            self.imported.keys,
            trust=self.installation.trust,
        )
        async with asyncio.TaskGroup() as tasks:
            if meanwhile is not None:
                tasks.create_task(_as_coroutine(meanwhile(self.tally)))
            people = self.imported.people()
            await crowd.sit(venue, people, behaviour, seed, book, self.tally)


async def _as_coroutine(waiting: Awaitable[None]) -> None:
    await waiting


def _number(found: ExamDelivery) -> int:
    assert found.status.delivery_id is not None, "the delivery is not registered yet"
    return found.status.delivery_id
