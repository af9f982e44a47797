"""How a participant gets a session: by token, by code while the coordinator is away, by takeover.

Codes are argon2id: checked in a small pool of threads, behind a bounded queue and a throttle, so
that a flood of guesses neither blocks the exam nor gets far.
"""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from exam_client.core import commands, records
from exam_client.errors import Refusal
from exam_client.services.delivery import Delivery, session_hash
from exam_client.services.throttle import Throttle
from exam_client.services.tokens import Token
from exam_contract.problems import ProblemCode

_THREADS = 2
_WAITING = 64
_NOBODY = (
    "$argon2id$v=19$m=19456,t=2,p=1$hMzqrdGxp/u3AqoNNO8xjw$"
    "K4YDmG4NbaX/aCn4wvRWa4QmEDKypYWWlGlmXoUUveU"
)
"""Checked for unknown identifiers, so that they take as long as known ones."""


@dataclass(frozen=True, slots=True)
class Admission:
    """``token`` is None when the session that came with the request goes on."""

    participant_id: int
    sitting: records.Sitting
    token: str | None


class SignIn:
    """The doors of one delivery."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        self._by_name = Throttle(tries=5, seconds_per_try=15)
        self._by_address = Throttle(tries=400, seconds_per_try=0.2)
        self._takeovers = Throttle(tries=5, seconds_per_try=20)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def by_token(self, text: str, device_id: str, present: str | None) -> Admission:
        """Exchange a delivery token. Raises Refusal."""
        delivery = self._delivery
        delivery.refuse_unless_writable()
        participant_id, token = self._token(text)
        session = secrets.token_urlsafe(32)
        outcome: commands.SignedIn = await delivery.submit(
            commands.CheckIn(
                participant_id=participant_id,
                device_id=device_id,
                session_hash=session_hash(session),
                jti=token.jti,
                token_expires_at=token.expires_at,
                present_session=None if present is None else session_hash(present),
            )
        )
        return self._admitted(participant_id, outcome, session)

    async def by_code(self, identifier: str, code: str, device_id: str, address: str) -> Admission:
        """Offline sign-in against the bundle; refused while the coordinator is there."""
        delivery = self._delivery
        delivery.refuse_unless_writable()
        await self._refuse_while_reachable()
        participant_id = await self._identified(identifier, code, address)
        session = secrets.token_urlsafe(32)
        outcome: commands.SignedIn = await delivery.submit(
            commands.CheckIn(
                participant_id=participant_id,
                device_id=device_id,
                session_hash=session_hash(session),
                offline=True,
            )
        )
        return self._admitted(participant_id, outcome, session)

    async def take_over_by_token(self, text: str, code: str, device_id: str) -> Admission:
        participant_id, token = self._token(text)
        return await self._take_over(participant_id, code, device_id, token)

    async def take_over_by_code(
        self, identifier: str, access_code: str, code: str, device_id: str, address: str
    ) -> Admission:
        await self._refuse_while_reachable()
        participant_id = await self._identified(identifier, access_code, address)
        return await self._take_over(participant_id, code, device_id, None)

    def _token(self, text: str) -> tuple[int, Token]:
        delivery = self._delivery
        delivery.paper()
        participant_id, token = delivery.tokens.participant(text, delivery.clock())
        if participant_id not in delivery.state.people:
            raise Refusal(ProblemCode.TOKEN_INVALID, "you are not enrolled in this delivery")
        return participant_id, token

    async def _refuse_while_reachable(self) -> None:
        delivery = self._delivery
        paper = delivery.paper()
        assert delivery.parts is not None  # noqa: S101  paper() refuses an erased delivery
        if await delivery.parts.sender.confirm_reachable():
            raise Refusal(
                ProblemCode.SIGN_IN_AT_COORDINATOR,
                "the coordinator is there: sign in on its page",
                sign_in_url=paper.bundle.sign_in_url,
            )

    async def _identified(self, identifier: str, code: str, address: str) -> int:
        delivery = self._delivery
        now = delivery.clock()
        self._by_address.take(address, now)
        self._by_name.take(identifier.casefold(), now)
        participant_id = delivery.state.by_identifier.get(identifier)
        person = None if participant_id is None else delivery.state.people[participant_id]
        matches = await self._matching([person.code_verifier if person else _NOBODY], code)
        if person is None or matches is None:
            await self._note("sign_in_failed", participant_id)
            raise Refusal(ProblemCode.SIGN_IN_FAILED, "check the identifier and the access code")
        self._by_name.forgive(identifier.casefold())
        return person.id

    async def _take_over(
        self, participant_id: int, code: str, device_id: str, token: Token | None
    ) -> Admission:
        delivery = self._delivery
        delivery.refuse_unless_writable()
        self._takeovers.take(str(participant_id), delivery.clock())
        offered = self._offered_codes(participant_id)
        found = await self._matching([verifier for _, verifier in offered], code)
        if found is None:
            await self._note("takeover_refused", participant_id)
            raise Refusal(
                ProblemCode.TAKEOVER_REFUSED, "ask an invigilator for a code and type it as it is"
            )
        session = secrets.token_urlsafe(32)
        outcome: commands.SignedIn = await delivery.submit(
            commands.TakeOver(
                participant_id=participant_id,
                device_id=device_id,
                session_hash=session_hash(session),
                code_reference=offered[found][0],
                jti=None if token is None else token.jti,
                token_expires_at=0 if token is None else token.expires_at,
                offline=token is None,
            )
        )
        self._takeovers.forgive(str(participant_id))
        return self._admitted(participant_id, outcome, session)

    def _offered_codes(self, participant_id: int) -> list[tuple[str, str]]:
        """Codes that could still be used: issued live first, then the printed ones."""
        state, now = self._delivery.state, self._delivery.clock()
        live = [
            (code.action_id, code.verifier)
            for code in state.issued.get(participant_id, ())
            if code.expires_at > now
        ]
        printed = [
            (f"printed:{index}", verifier)
            for index, verifier in enumerate(state.people[participant_id].takeover_verifiers)
        ]
        return [
            (reference, verifier)
            for reference, verifier in [*live, *printed]
            if (participant_id, reference) not in state.used_codes
        ]

    async def _matching(self, verifiers: list[str], code: str) -> int | None:
        """The index of the verifier that the code fits."""
        if self._waiting >= _WAITING:
            raise Refusal(
                ProblemCode.TOO_MANY_ATTEMPTS, "too many sign-ins at once; try again", retry_after=2
            )
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, _first_match, verifiers, code)
        finally:
            self._waiting -= 1

    async def _note(self, action: str, participant_id: int | None) -> None:
        await self._delivery.submit(
            commands.NoteAudit("anonymous", action, {"participant_id": participant_id})
        )

    @staticmethod
    def _admitted(participant_id: int, outcome: commands.SignedIn, session: str) -> Admission:
        token = None if outcome.reused else session
        return Admission(participant_id, outcome.sitting, token)


def _first_match(verifiers: list[str], code: str) -> int | None:
    hasher = PasswordHasher()
    for index, verifier in enumerate(verifiers):
        try:
            hasher.verify(verifier, code)
        except (VerificationError, InvalidHashError):
            continue
        return index
    return None
