"""Who guesses too often at a sign-in has to wait, at whichever replica they come next.

Failures are counted in each process; replicas tell each other of theirs by notices that name a
hash, never an account or an address. One that is lost gives away a few tries more.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from coordinator.core.throttle import Throttle
from coordinator.errors import TooManyAttempts

Tell = Callable[[str, int, int], None]
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class _Counted:
    number: int
    throttle: Throttle


@dataclass(frozen=True, slots=True)
class SignInThrottles:
    """Failures per account and address together, per account, and per address."""

    pair: _Counted
    account: _Counted
    address: _Counted
    tell: Tell = field(repr=False)

    def check(self, account: str, address: str, now: float) -> None:
        """Raises TooManyAttempts."""
        wait = max(
            counted.throttle.wait_seconds(str(key), now)
            for counted, key in self._keys(account, address)
        )
        if wait:
            raise TooManyAttempts(f"wait {wait} seconds and try again", retry_after=wait)

    def failed(self, account: str, address: str, now: float) -> None:
        for counted, key in self._keys(account, address):
            counted.throttle.failed(str(key), now)
            self.tell("failed", key, counted.number)

    def succeeded(self, account: str, address: str) -> None:
        """An address proves nothing: others guess from it too."""
        for counted, key in self._keys(account, address):
            if counted is not self.address:
                counted.throttle.succeeded(str(key))
                self.tell("passed", key, counted.number)

    def numbered(self) -> dict[int, Throttle]:
        """What other replicas' notices are about."""
        return {one.number: one.throttle for one in (self.pair, self.account, self.address)}

    def _keys(self, account: str, address: str) -> Iterator[tuple[_Counted, int]]:
        yield self.pair, _hash("pair", account, address)
        yield self.account, _hash("account", account)
        yield self.address, _hash("address", address)


def of_staff(tell: Tell) -> SignInThrottles:
    return _throttles(0, 300, tell)


def of_participants(tell: Tell) -> SignInThrottles:
    """A whole exam hall comes from one address, and mistypes; codes are too long to be guessed."""
    return _throttles(3, 5000, tell)


def _throttles(first: int, per_address: int, tell: Tell) -> SignInThrottles:
    return SignInThrottles(
        pair=_Counted(first, Throttle(5, _SECONDS)),
        account=_Counted(first + 1, Throttle(30, _SECONDS)),
        address=_Counted(first + 2, Throttle(per_address, _SECONDS)),
        tell=tell,
    )


def _hash(*parts: str) -> int:
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return int.from_bytes(digest[:7], "big")
