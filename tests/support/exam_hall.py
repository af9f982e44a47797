"""A running exam-client whose participants sit in a browser, and the desk of its invigilators.

One process serves many tests: each takes a seat, that is, a participant of its own.
"""

import itertools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext

from exam_contract.actions import ActionOutcome
from exam_contract.bundle import Bundle
from exam_contract.keys import ExamDocument
from tests.support import authority, loopback, page_exam
from tests.support.certificates import Issuer
from tests.support.client_process import Rig, Sitter, rig

Json = dict[str, Any]
SEATS = 40
SHORT_SEATS = 2
SHORT_SECONDS = 10
"""The last seats have a few seconds of time; the others' accommodation makes it an hour."""


@dataclass
class Hall:
    """One delivery; ``seat`` gives the next participant's."""

    rig: Rig
    numbers: Iterator[int]
    short: Iterator[int]

    def seat(self) -> "Seat":
        return Seat(self, next(self.numbers))

    def short_seat(self) -> "Seat":
        return Seat(self, next(self.short))


@dataclass
class Seat:
    """A participant, what is stored for them, and what invigilators do about them."""

    hall: Hall
    participant_id: int

    @property
    def url(self) -> str:
        return self.hall.rig.client.url

    @property
    def uid(self) -> str:
        return self.hall.rig.client.uid

    @property
    def access_code(self) -> str:
        return f"code-{self.participant_id}"

    @property
    def takeover_code(self) -> str:
        return f"printed-{self.participant_id}"

    def entrance(self) -> str:
        """Where the coordinator sends a participant who has signed in."""
        token = self.hall.rig.client.authority.participant_token(self.uid, self.participant_id)
        return f"{self.url}/#token={token}"

    def elsewhere(self) -> Sitter:
        """The same participant on another device, without a browser."""
        return self.hall.rig.sitter(self.participant_id)

    def take_over(self) -> None:
        """Move the exam to another device by the code printed for it."""
        client = self.hall.rig.client
        reply = loopback.post(
            f"{self.url}/exam/takeover",
            json={"code": self.takeover_code, "device_id": uuid.uuid4().hex},
            headers={
                "Authorization": "Bearer "
                + client.authority.participant_token(self.uid, self.participant_id)
            },
        )
        assert reply.status_code == 200, reply.text

    def stored(self, context: BrowserContext) -> Json:
        """The answers in force, as the browser's own session may read them."""
        reply = context.request.get(f"{self.url}/exam/progress")
        assert reply.ok, reply.text()
        answers: Json = reply.json()["answers"]
        return {item: held["answer"] for item, held in answers.items()}

    def revisions(self, context: BrowserContext) -> dict[str, int]:
        """How often each answer was written."""
        answers: Json = context.request.get(f"{self.url}/exam/progress").json()["answers"]
        return {item: held["revision"] for item, held in answers.items()}

    def write(self, context: BrowserContext, question_id: int, answer: object) -> None:
        """An answer by the same session that the page does not know of."""
        body = {"question_id": question_id, "answer": answer, "base_revision": 0}
        reply = context.request.post(
            f"{self.url}/exam/answer",
            data=body | {"command_id": uuid.uuid4().hex},
            headers={"Origin": self.url},
        )
        assert reply.ok, reply.text()

    def pause(self) -> None:
        self._act(kind="pause")

    def resume(self) -> None:
        self._act(kind="resume")

    def grant(self, seconds: int) -> None:
        self._act(kind="grant_time", seconds=seconds)

    def announce(self, text: str) -> None:
        self._act(kind="announce", text=text)

    def _act(self, **members: object) -> None:
        whom = {"actor": "staff:1", "reason": "a test", "participant_ids": [self.participant_id]}
        token = self.hall.rig.client.authority.service_token(self.uid)
        reply = loopback.post(
            f"{self.url}/api/actions",
            json={"action_id": str(uuid.uuid4())} | whom | members,
            headers={"Authorization": f"Bearer {token}"},
        )
        assert reply.status_code == 200, reply.text
        outcome = ActionOutcome.model_validate_json(reply.content)
        assert outcome.applied == [self.participant_id]


@contextmanager
def open_hall(folder: Path, issuer: Issuer | None = None, **changes: object) -> Iterator[Hall]:
    """Start an exam-client with the page's exam, changed as said; it ends with the block."""
    document = ExamDocument.model_validate(
        {"exam": page_exam.exam(**changes), "key": page_exam.key()}
    )
    made = rig(folder, issuer, document=document, time_limit_seconds=SHORT_SECONDS)
    people = [_person(number) for number in range(1, SEATS + 1)]
    made.bundle = Bundle.model_validate(made.bundle.model_dump() | {"participants": people})
    made.coordinator.bundle = authority.signed_bundle(made.client.authority, made.bundle)
    try:
        made.client.start_ready(bundle=made.bundle)
        first_short = SEATS - SHORT_SEATS + 1
        yield Hall(made, itertools.count(1), itertools.count(first_short))
    finally:
        made.close()


def _person(number: int) -> Json:
    extra = 0 if number > SEATS - SHORT_SEATS else 3600 - SHORT_SECONDS
    return authority.person(
        number,
        name="Amara Okafor",
        code_verifier=authority.verifier(f"code-{number}"),
        takeover_verifiers=[authority.verifier(f"printed-{number}")],
        accommodation={"extra_seconds": extra},
    )
