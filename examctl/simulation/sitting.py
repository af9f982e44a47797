"""One participant's sitting: sign in, enter, answer, change one's mind, lose the network, submit.

The rule that everything else serves: a command whose outcome is unknown is sent again under the
same command id until the exam-client tells its outcome.
"""

import asyncio
import itertools
import random
import ssl
from dataclasses import dataclass, field
from typing import Any

from exam_contract.answers import Answer
from exam_contract.keys import KeyEntry
from examctl.simulation.answering import Question, choose, draw_ability
from examctl.simulation.ledger import Ledger
from examctl.simulation.line import Line, is_excuse
from examctl.simulation.notes import Notes
from examctl.simulation.tally import Tally
from examctl.simulation.wire import Origin, Reply, WireError

_SESSION_LOST = frozenset({"session_ended", "unauthenticated", "token_expired"})
_BEARER = {"X-Session-Transport": "bearer"}
_OVER = frozenset({"deadline_passed", "attempt_closed", "delivery_frozen", "window_closed"})


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the crowd behaves. Shares are chances per answer, or per participant where it says so."""

    think_seconds: float = 2.0
    change_share: float = 0.12
    clear_share: float = 0.01
    skip_share: float = 0.02
    reconnect_share: float = 0.01
    cut_share: float = 0.01
    """Connections cut while an answer is on its way, so that its outcome is unknown."""
    device_change_share: float = 0.05
    """Chance per participant."""
    arrival_seconds: float = 10.0
    """Participants arrive spread over this time."""
    patience_seconds: float = 60.0
    item_limit: int | None = None
    goes_on: bool = False
    """Answers the same items again and again, until the tally says that it is enough."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """One line of the codes file."""

    identifier: str
    access_code: str
    takeover_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Venue:
    """Where the exam is."""

    coordinator_url: str
    delivery_id: int
    keys: dict[int, KeyEntry] = field(default_factory=dict)
    exam_url: str | None = None
    """Talk to the exam-client here instead of where the coordinator says."""
    offline: bool = False
    """Sign in at ``exam_url`` too, as people do while the coordinator is away."""
    trust: ssl.SSLContext | None = None
    """What https certificates are checked against; None: the machine's own authorities."""


class GaveUpError(Exception):
    """The participant could not go on; the message is a problem code or a short reason."""


class Sitting:
    """A participant from sign-in to submission. ``run`` is called once."""

    def __init__(
        self,
        venue: Venue,
        who: Credentials,
        behaviour: Behaviour,
        rng: random.Random,
        ledger: Ledger,
        tally: Tally,
    ) -> None:
        self._venue, self._who, self._behaviour = venue, who, behaviour
        self._rng, self._tally = rng, tally
        # Apart, so that what the network does never changes what the participant decides.
        self._chance_rng = random.Random(rng.random())  # noqa: S311 - not a secret
        self._notes = Notes(ledger, tally)
        self._desk = self._line_to(venue.coordinator_url)
        self._exam = self._line_to(venue.exam_url) if venue.exam_url else None
        self._ability = draw_ability(rng)
        self._device = self._random_id()
        self._session = ""
        self._codes = list(who.takeover_codes)
        self._revisions: dict[int, int] = {}
        self._answers: dict[int, Answer] = {}

    async def run(self) -> None:
        """Sit the whole exam. Raises GaveUpError or OutOfPatienceError."""
        try:
            await asyncio.sleep(self._rng.uniform(0, self._behaviour.arrival_seconds))
            await self._enter()
            self._tally.signed_in += 1
            self._tally.moved()
            start = await self._begin()
            self._tally.started += 1
            await self._work(start)
            await self._complete()
        finally:
            self._desk.connection.drop()
            if self._exam is not None:
                self._exam.connection.drop()

    async def _sign_in(self) -> str:
        body = {
            "delivery_id": self._venue.delivery_id,
            **self._by_code(),
        }
        reply = _good(await self._desk.call("POST", "/api/participant/sign-in", body=body))
        self._desk.connection.drop()
        self._notes.participant = int(reply.body["participant_id"])
        self._tally.admitted += 1
        self._tally.moved()
        if self._exam is None:
            self._exam = self._line_to(reply.body["exam_url"])
        return str(reply.body["token"])

    async def _enter(self) -> None:
        """Sign in and exchange the token for a session; a late exchange begins again."""
        if self._venue.offline:
            await self._enter_offline()
            return
        for _ in range(5):
            token = await self._sign_in()
            headers = {"Authorization": f"Bearer {token}", **_BEARER}
            path = f"/exam/start?device_id={self._device}"
            reply = await self._line.call("GET", path, headers=headers)
            if reply.code not in _SESSION_LOST:
                self._session = str(_good(reply).body["session"])
                return
        raise GaveUpError("token_expired")

    async def _enter_offline(self) -> None:
        """The exam-client checks the access code itself."""
        body = {**self._by_code(), "device_id": self._device}
        reply = await self._line.call("POST", "/exam/sign-in", headers=_BEARER, body=body)
        self._notes.participant = int(_good(reply).body["participant"]["id"])
        self._session = str(reply.body["session"])

    async def _begin(self) -> dict[str, Any]:
        limit = self._line.limit()
        for turn in range(1_000_000):
            reply = await self._call("POST", "/exam/start", {})
            if reply.code not in ("not_open_yet", "attempt_paused"):
                return dict(_good(reply).body)
            await self._line.pause(turn, limit, reply.code)
        raise GaveUpError("not_open_yet")

    async def _work(self, start: dict[str, Any]) -> None:
        items = [item for section in start["sections"] for item in section["items"]]
        items = items[: self._behaviour.item_limit]
        free = start["exam"]["navigation"] == "free" and start["exam"]["review"]["change_answers"]
        again = [item for item in items if self._chance(self._behaviour.change_share)] * free
        self._tally.expected += len(items) + len(again)
        changes_device_at = -1
        if self._codes and self._chance(self._behaviour.device_change_share):
            changes_device_at = self._rng.randrange(len(items))
        for position, item in enumerate(items + again):
            if position == changes_device_at:
                await self._change_device()
            if self._chance(self._behaviour.reconnect_share):
                self._reconnect()
            if not await self._answer_item(item, is_change=position >= len(items)):
                return
        if self._behaviour.goes_on:
            await self._go_on(items)

    async def _go_on(self, items: list[int]) -> None:
        """Change answers until it is enough, or the time is over."""
        for item in itertools.cycle(items):
            if self._tally.enough:
                return
            self._tally.expected += 1
            if not await self._answer_item(item, is_change=True):
                return

    async def _answer_item(self, item: int, *, is_change: bool) -> bool:
        """Look at a question, think, answer. False when the time is over."""
        reply = await self._call("GET", f"/exam/question/{item}")
        if reply.code in _OVER:
            return False
        question: Question = _good(reply).body
        await asyncio.sleep(self._think_seconds())
        if not is_change and self._chance(self._behaviour.skip_share):
            self._tally.expected -= 1
            return True
        answer = choose(self._rng, question, self._venue.keys.get(item), self._ability)
        if is_change and self._chance(self._behaviour.clear_share):
            answer = None
        return await self._submit(item, answer)

    async def _submit(self, item: int, answer: Answer) -> bool:
        """Have an answer acknowledged. False when the time is over; raises GaveUpError."""
        for turn in range(20):
            command = self._random_id()
            reply = await self._settle(item, answer, command)
            if reply.ok:
                self._note_revision(item, answer, reply)
                return True
            if reply.code in _OVER:
                return False
            if reply.code == "revision_conflict":
                self._revisions[item] = int(reply.body["revision"])
            elif reply.code == "attempt_paused":
                await asyncio.sleep(0.5)
            elif turn > 2 or reply.code not in _SESSION_LOST:
                raise GaveUpError(reply.code)
        raise GaveUpError("no_progress")

    async def _settle(self, item: int, answer: Answer, command: str) -> Reply:
        """Send one command until its outcome is known; every step goes to the ledger."""
        limit = self._line.limit()
        for turn in range(1_000_000):
            base = self._revisions.get(item, 0)
            self._notes.invoked(item, command, answer, base, send=turn + 1)
            try:
                reply, sent, received = await self._send(item, answer, command, first=turn == 0)
            except WireError as error:
                self._notes.unknown(item, command, error)
                await self._line.pause(turn, limit, str(error))
                continue
            if reply.ok:
                await self._notes.acknowledged(item, command, reply, sent, received)
                return reply
            self._notes.refused(item, command, reply)
            if reply.code in _SESSION_LOST:
                await self._enter()
            elif not is_excuse(reply):
                self._tally.refused[reply.code] += 1
                return reply
            await self._line.pause(turn, limit, reply.code)
        raise GaveUpError("no_outcome")

    async def _send(
        self, item: int, answer: Answer, command: str, *, first: bool
    ) -> tuple[Reply, float, float]:
        body = {
            "question_id": item,
            "answer": answer,
            "command_id": command,
            "base_revision": self._revisions.get(item, 0),
        }
        cuts = first and self._chance(self._behaviour.cut_share)
        patience = self._chance_rng.uniform(0.0005, 0.005) if cuts else 10.0
        self._tally.reconnects += cuts
        loop = asyncio.get_running_loop()
        sent = loop.time()
        self._tally.in_flight += 1
        self._tally.moved()
        try:
            reply = await self._line.connection.request(
                "POST",
                "/exam/answer",
                headers=self._authorised(),
                body=body,
                timeout_seconds=patience,
            )
        finally:
            self._tally.in_flight -= 1
        return reply, sent, loop.time()

    async def _change_device(self) -> None:
        """Go on at another device with a one-time code; the old session ends."""
        device, code = self._random_id(), self._codes.pop()
        headers, body = dict(_BEARER), {"code": code, "device_id": device}
        if self._venue.offline:
            body |= self._by_code()
        else:
            headers["Authorization"] = f"Bearer {await self._sign_in()}"
        self._reconnect()
        reply = await self._line.call("POST", "/exam/takeover", headers=headers, body=body)
        if not reply.ok:
            self._tally.refused[reply.code] += 1
            return
        self._device, self._session = device, str(reply.body["session"])
        self._tally.device_changes += 1

    async def _complete(self) -> None:
        reply = await self._call("POST", "/exam/complete", {})
        if not reply.ok and reply.code not in _OVER:
            raise GaveUpError(reply.code)
        self._tally.completed += 1
        self._tally.moved()

    async def _call(self, method: str, path: str, body: object = None) -> Reply:
        """A call with the session; enters again when the session has ended."""
        for _ in range(3):
            reply = await self._line.call(method, path, headers=self._authorised(), body=body)
            if reply.code not in _SESSION_LOST:
                return reply
            await self._enter()
        raise GaveUpError("session_ended")

    @property
    def _line(self) -> Line:
        if self._exam is None:
            raise GaveUpError("not_signed_in")
        return self._exam

    def _line_to(self, url: str) -> Line:
        patience = self._behaviour.patience_seconds
        return Line(Origin.parse(url), self._chance_rng, patience, self._venue.trust)

    def _by_code(self) -> dict[str, str]:
        return {"identifier": self._who.identifier, "access_code": self._who.access_code}

    def _authorised(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._session}"}

    def _reconnect(self) -> None:
        self._line.connection.drop()
        self._tally.reconnects += 1

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share

    def _think_seconds(self) -> float:
        mean = self._behaviour.think_seconds
        return min(self._rng.expovariate(1 / mean), 5 * mean) if mean > 0 else 0.0

    def _random_id(self) -> str:
        return f"{self._chance_rng.getrandbits(128):032x}"

    def _note_revision(self, item: int, answer: Answer, reply: Reply) -> None:
        if item in self._answers:
            self._tally.changed += 1
        else:
            self._tally.answered += 1
        self._answers[item] = answer
        self._revisions[item] = int(reply.body["revision"])


def _good(reply: Reply) -> Reply:
    if not reply.ok:
        raise GaveUpError(reply.code)
    return reply
