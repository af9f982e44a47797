"""A delivery in memory for unit tests: commands in, outcomes out, no file and no process."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from exam_client.core import commands, lifecycle, records
from exam_client.core.commands import Command
from exam_client.core.deciding import decide
from exam_client.core.instants import SECOND, from_datetime
from exam_client.core.paper import Paper
from exam_client.core.state import Draft, State
from exam_client.errors import Refusal
from exam_contract.bundle import Bundle
from exam_contract.control import Desired, Mode
from exam_contract.keys import ExamDocument
from tests.support import authority

START = from_datetime(datetime(2026, 1, 15, 9, 0, tzinfo=UTC))


def bundle(document: ExamDocument | None = None, **members: Any) -> Bundle:
    """Opens at START - 1 min, closes two hours later, ten minutes each, no grace but 2 s."""
    opens = datetime(2026, 1, 15, 8, 59, tzinfo=UTC)
    window = {"opens_at": opens, "closes_at": opens + timedelta(hours=2), "grace_seconds": 2}
    defaults: dict[str, Any] = {"window": window, "time_limit_seconds": 600}
    return authority.bundle(uid="uid-1", document=document, participants=3, **defaults | members)


class Core:
    """A running delivery with a clock that only tests move."""

    def __init__(self, made: Bundle | None = None, mode: Mode | None = Mode.RUN) -> None:
        self.bundle = made or bundle()
        self.now = START
        identity = records.Identity(1, "uid-1", 1, 1, "0" * 16)
        self.state = State(identity)
        self.log: list[Draft] = []
        self.run(commands.StoreBundle(text="{}", paper=Paper(self.bundle)))
        if mode is not None:
            self.run(commands.SetDesired(self.desired(mode)))

    def desired(self, mode: Mode, **members: Any) -> Desired:
        return Desired(
            generation=self.state.whole.generation + 1,
            mode=mode,
            window=members.pop("window", self.bundle.window),
            time_limit_seconds=members.pop("limit", self.bundle.time_limit_seconds),
            **members,
        )

    def run(self, command: Command) -> Any:
        """Decide, 'commit' and apply one command; a refusal leaves as an exception."""
        draft = Draft(self.state, self.now)
        outcome = decide(draft, command)
        self.log.append(draft)
        draft.apply()
        return outcome

    def refused(self, command: Command) -> str:
        """The code of a refusal; nothing may have changed by it."""
        draft = Draft(self.state, self.now)
        try:
            decide(draft, command)
        except Refusal as refusal:
            return str(refusal.code)
        raise AssertionError(f"{command} was not refused")

    def later(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    def tick(self) -> None:
        self.run(commands.Tick(presence={}, delivered_seq=0))

    def sit(self, participant_id: int = 1) -> records.Sitting:
        sitting: records.Sitting = self.run(commands.Begin(participant_id))
        return sitting

    def answer(
        self, question_id: int, answer: Any, base: int | None = None, **members: Any
    ) -> commands.SaveAnswer:
        """An answer command of participant 1, on the revision in force unless told."""
        participant_id = members.pop("participant_id", 1)
        held = self.state.answers.get(participant_id, {}).get(question_id)
        in_force = 0 if held is None else held.revision
        command_id = members.pop("command_id", f"command-{time.monotonic_ns():020d}")
        return commands.SaveAnswer(
            participant_id=participant_id,
            question_id=question_id,
            answer=answer,
            command_id=command_id,
            base_revision=in_force if base is None else base,
            arrived_at=members.pop("arrived_at", self.now),
        )

    def sitting(self, participant_id: int = 1) -> records.Sitting:
        return self.state.sittings[participant_id]

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for _, payload in self.state.recent]


STANDSTILL = lifecycle.FROZEN_GAP_SECONDS
