"""argon2id on a small pool of threads, so that sign-ins neither block the loop nor pile up.

Passwords are chosen by people and cost 19 MiB and two passes (28 ms). Codes are drawn by us with 60
random bits: guessing one is hopeless at any cost per try, so their verifiers are cheap (8 MiB, one
pass), and a roster of hundreds imports in a second or two.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from coordinator.errors import NotReady

_T = TypeVar("_T")
_PASSWORDS = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_CODES = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1)
_MOST_WAITING = 2000
_TIMEOUT_SECONDS = 30.0


class Hashing:
    """The pool. Refuses with ``not_ready`` when too many wait."""

    def __init__(self, threads: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(
            threads or max(2, os.cpu_count() or 2), thread_name_prefix="argon2"
        )
        self._waiting = 0
        self._no_password = _PASSWORDS.hash(os.urandom(16).hex())
        self._no_code = _CODES.hash(os.urandom(16).hex())

    def __enter__(self) -> "Hashing":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def hash_password(self, password: str) -> str:
        return await self._run(lambda: _PASSWORDS.hash(password))

    async def hash_codes(self, codes: list[list[str]]) -> list[list[str]]:
        """Verifiers of lists of codes, in the same shape."""
        rows = [self._run(_row_hasher(row)) for row in codes]
        return list(await asyncio.gather(*rows))

    async def password_fits(self, verifier: str | None, password: str) -> bool:
        """The same work whether the account exists (``verifier`` None) or not."""
        return await self._fits(verifier, self._no_password, password)

    async def code_fits(self, verifier: str | None, code: str) -> bool:
        """The same work whether the identifier is enrolled (``verifier`` None) or not."""
        return await self._fits(verifier, self._no_code, code)

    async def _fits(self, verifier: str | None, nobody: str, secret: str) -> bool:
        fits = await self._run(lambda: _verify(verifier or nobody, secret))
        return fits and verifier is not None

    async def _run(self, job: Callable[[], _T]) -> _T:
        if self._waiting >= _MOST_WAITING:
            raise NotReady("too many sign-ins at once; try again in a few seconds")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                return await loop.run_in_executor(self._pool, job)
        except TimeoutError as error:
            raise NotReady("too many sign-ins at once; try again in a few seconds") from error
        finally:
            self._waiting -= 1


def _row_hasher(row: list[str]) -> Callable[[], list[str]]:
    return lambda: [_CODES.hash(code) for code in row]


def _verify(verifier: str, secret: str) -> bool:
    try:
        return _PASSWORDS.verify(verifier, secret)
    except (VerificationError, InvalidHashError):
        return False
