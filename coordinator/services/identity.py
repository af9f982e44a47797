"""Who calls the internal door: by key files on one machine, by ServiceAccount tokens in a cluster.

A token is reviewed by the Kubernetes API and the verdict kept for at most five minutes. While the
API is away, tokens are verified against the cluster's public keys, fetched while it was there; what
can't be verified is not believed, and its caller is told to come again.
"""

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog

from coordinator.adapters.token_reviews import ApiAway, IssuerKeys, TokenReviews
from coordinator.core import identity
from coordinator.core.identity import Account, Identified, KeyUnknown, Proof, TokenRefused
from coordinator.errors import NotReady, Unauthenticated
from exam_contract.canonical import digest_bytes

_log = structlog.get_logger(__name__)
REVIEWED_SECONDS = 300.0
_REFUSED_SECONDS = 10.0
_OFFLINE_SECONDS = 10.0
_PAUSE_SECONDS = 2.0
_KEYS_SECONDS = 300.0
_KEYS_RETRY_SECONDS = 5.0
_MOST_TOKENS = 4096


class Callers(Protocol):
    """What the internal door asks of a bearer."""

    async def operator(self, bearer: str) -> None:
        """Raises Unauthenticated, NotReady."""

    async def exam_client(self, bearer: str) -> Proof:
        """What the bearer proves; ``core.identity`` compares it with the registered row.
        Raises Unauthenticated, NotReady.
        """

    async def run(self) -> None:
        """Keeps what it needs fresh, for the life of the process."""


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """One machine: 0600 files. Read at every call, since the operator may have made a new one."""

    operator_key_file: Path | None

    async def operator(self, bearer: str) -> None:
        expected = self._expected()
        if expected is None or not hmac.compare_digest(bearer.encode(), expected.encode()):
            raise Unauthenticated("the operator's key is not the one of this coordinator")

    async def exam_client(self, bearer: str) -> Proof:
        return identity.ServiceKey(digest_bytes(bearer.encode()))

    async def run(self) -> None:
        return

    def _expected(self) -> str | None:
        if self.operator_key_file is None:
            return None
        try:
            return self.operator_key_file.read_text().strip() or None
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class Expected:
    """Whose tokens are accepted. ``operator``: ``namespace:name``."""

    audience: str
    operator: str
    client_account: str


@dataclass(slots=True)
class _Known:
    """Verdicts by token hash, bounded: the one used longest ago goes first."""

    verdicts: OrderedDict[bytes, tuple[Identified | str, float]] = field(
        default_factory=OrderedDict
    )

    def get(self, key: bytes, now: float) -> Identified | str | None:
        found = self.verdicts.get(key)
        if found is None or found[1] <= now:
            return None
        self.verdicts.move_to_end(key)
        return found[0]

    def keep(self, key: bytes, verdict: Identified | str, until: float) -> None:
        self.verdicts[key] = (verdict, until)
        self.verdicts.move_to_end(key)
        while len(self.verdicts) > _MOST_TOKENS:
            self.verdicts.popitem(last=False)


class ClusterTokens:
    """Kubernetes: TokenReview, and the cluster's keys for when the API is away."""

    def __init__(
        self,
        reviews: TokenReviews,
        expected: Expected,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._reviews, self._expected = reviews, expected
        self._clock, self._now = clock, now
        # Apart, so that a flood of bad tokens can't push out the verdicts on good ones.
        self._accepted, self._refused = _Known(), _Known()
        self._flights: dict[bytes, asyncio.Lock] = {}
        self._keys: IssuerKeys | None = None
        self._away_until = 0.0

    async def operator(self, bearer: str) -> None:
        account = await self._identify(bearer)
        if f"{account.namespace}:{account.name}" != self._expected.operator:
            raise Unauthenticated("the token is not that of the operator's ServiceAccount")

    async def exam_client(self, bearer: str) -> Proof:
        account = await self._identify(bearer)
        if account.name != self._expected.client_account:
            raise Unauthenticated("the token is not that of an exam-client's ServiceAccount")
        return account

    async def run(self) -> None:
        """Fetch the cluster's keys now and then, so that they are there when the API is not."""
        while True:
            fetched = await self.fetch_keys()
            await asyncio.sleep(_KEYS_SECONDS if fetched else _KEYS_RETRY_SECONDS)

    async def fetch_keys(self) -> bool:
        """Whether the API gave them."""
        try:
            self._keys = await self._reviews.issuer_keys()
        except ApiAway as away:
            _log.warning("cluster_keys_unavailable", reason=str(away), known=self._keys is not None)
            return False
        return True

    async def _identify(self, token: str) -> Account:
        """One question to the API at a time for a token. Raises Unauthenticated, NotReady."""
        key = hashlib.sha256(token.encode()).digest()
        known = self._remembered(key)
        if known is None:
            lock = self._flights.setdefault(key, asyncio.Lock())
            try:
                async with lock:
                    known = self._remembered(key) or await self._verdict(key, token)
            finally:
                self._flights.pop(key, None)
        if isinstance(known, str):
            raise Unauthenticated(known)
        return known.account

    def _remembered(self, key: bytes) -> Identified | str | None:
        known = self._accepted.get(key, self._clock()) or self._refused.get(key, self._clock())
        if isinstance(known, Identified) and known.expires_at <= self._now():
            return None
        return known

    async def _verdict(self, key: bytes, token: str) -> Identified | str:
        try:
            found, seconds = await self._verify(token)
        except TokenRefused as refused:
            self._refused.keep(key, str(refused), self._clock() + _REFUSED_SECONDS)
            return str(refused)
        self._accepted.keep(key, found, self._clock() + seconds)
        return found

    async def _verify(self, token: str) -> tuple[Identified, float]:
        audience = self._expected.audience
        said = identity.peek(token, audience, self._now())
        if self._clock() >= self._away_until:
            try:
                status = await self._reviews.review(token, audience)
            except ApiAway as away:
                self._away_until = self._clock() + _PAUSE_SECONDS
                _log.warning("token_review_unavailable", reason=str(away))
            else:
                return identity.reviewed(status, said, audience), REVIEWED_SECONDS
        return self._offline(token), _OFFLINE_SECONDS

    def _offline(self, token: str) -> Identified:
        """The pod may be gone by now; the registered row is the judge of that."""
        cluster = self._keys
        if cluster is None:
            raise _unverifiable()
        try:
            return identity.verified(
                token, cluster.keys, cluster.issuer, self._expected.audience, self._now()
            )
        except KeyUnknown as error:
            raise _unverifiable() from error


def _unverifiable() -> NotReady:
    return NotReady("the Kubernetes API is away and the token can't be verified without it yet")
