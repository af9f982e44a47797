"""What one participant notes about an answer command: the ledger line and the count, together."""

from datetime import UTC, datetime

from exam_contract.answers import Answer
from exam_contract.base import rfc3339
from exam_contract.canonical import digest
from examctl.simulation.ledger import Acknowledged, Indeterminate, Invoke, Ledger, Refused
from examctl.simulation.tally import Tally
from examctl.simulation.wire import NotSentError, Reply, WireError


class Notes:
    """Notes of one participant, named at sign-in."""

    def __init__(self, ledger: Ledger, tally: Tally) -> None:
        self._ledger, self._tally = ledger, tally
        self.participant = 0

    def invoked(self, item: int, command: str, answer: Answer, base: int, send: int) -> None:
        """Before a command leaves for the ``send``-th time."""
        entry = Invoke(now(), self.participant, item, command, base, answer, digest(answer), send)
        self._ledger.write(entry)
        self._tally.resends += send > 1

    async def acknowledged(
        self, item: int, command: str, reply: Reply, sent: float, received: float
    ) -> None:
        """It counts once the ledger is on the disk."""
        told = reply.body
        took_ms = round((received - sent) * 1000, 3)
        entry = Acknowledged(
            now(),
            self.participant,
            item,
            command,
            told["revision"],
            told["seq"],
            told["saved_at"],
            took_ms,
        )
        self._ledger.write(entry)
        await self._ledger.durable()
        self._tally.accepted(sent, received)

    def refused(self, item: int, command: str, reply: Reply) -> None:
        """The exam-client said no, or not now."""
        entry = Refused(now(), self.participant, item, command, reply.status, reply.code)
        self._ledger.write(entry)

    def unknown(self, item: int, command: str, error: WireError) -> None:
        """No reply. A command that certainly never left is noted and not counted as unknown."""
        self._tally.indeterminate += not isinstance(error, NotSentError)
        entry = Indeterminate(now(), self.participant, item, command, str(error)[:200])
        self._ledger.write(entry)


def now() -> str:
    """The wall clock as the ledger writes it."""
    return rfc3339(datetime.now(UTC))
