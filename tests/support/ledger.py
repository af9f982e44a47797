"""Participants who answer without pause through crashes, and what they were promised."""

import secrets
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from exam_contract.results import Row
from tests.support import loopback
from tests.support.client_process import Rig, Sitter
from tests.support.waiting import PATIENCE_SECONDS

Json = dict[str, Any]
_REPLY_SECONDS = 10.0  # then the command is sent again


@dataclass
class Ledger:
    """Acknowledged commands: command id to (participant, question, revision)."""

    acknowledged: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    def compare(self, revisions: list[Row], owners: dict[int, int]) -> tuple[list[str], list[str]]:
        """Command ids that are lost (or changed), and those that are stored more than once."""
        stored = Counter(row["command_id"] for row in revisions)
        found = {
            row["command_id"]: (owners[row["attempt_id"]], row["question_id"], row["revision"])
            for row in revisions
        }
        lost = [known for known, what in self.acknowledged.items() if found.get(known) != what]
        return lost, [known for known, count in stored.items() if count > 1]


class Load:
    """One thread per participant; a command without a reply is sent again until it has one."""

    def __init__(self, rig: Rig, sitters: list[Sitter], questions: list[int]) -> None:
        self.ledger = Ledger()
        self._rig, self._questions = rig, questions
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._sit, args=(sitter,), daemon=True) for sitter in sitters
        ]

    def start(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> Ledger:
        """No new commands; what is under way gets its reply first."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=PATIENCE_SECONDS)
            assert not thread.is_alive(), "a participant never got a reply"
        return self.ledger

    @property
    def count(self) -> int:
        return len(self.ledger.acknowledged)

    def _sit(self, sitter: Sitter) -> None:
        verify = self._rig.client.verify
        with loopback.Client(headers=sitter.headers, timeout=_REPLY_SECONDS, verify=verify) as http:
            number = 0
            while not self._stop.is_set():
                question = self._questions[number % len(self._questions)]
                number += 1
                self._answer(http, sitter, question, "ABCD"[number % 4])

    def _answer(self, http: httpx.Client, sitter: Sitter, question: int, answer: str) -> None:
        command = {
            "question_id": question,
            "answer": answer,
            "command_id": secrets.token_urlsafe(16),
            "base_revision": sitter.revisions.get(question, 0),
        }
        while True:
            try:
                reply = http.post(f"{self._rig.client.url}/exam/answer", json=command)
            except httpx.HTTPError:
                if self._stop.wait(0.02):
                    return
                continue
            if reply.status_code == 200:
                break
            self.ledger.refused[reply.json()["code"]] += 1
            if self._stop.wait(0.02):
                return
        sitter.revisions[question] = reply.json()["revision"]
        known = (sitter.participant_id, question, reply.json()["revision"])
        self.ledger.acknowledged[command["command_id"]] = known  # type: ignore[index]
