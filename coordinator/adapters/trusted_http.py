"""httpx with a CA file that may be replaced while the process runs.

A verify context can't forget a CA, so a changed file means a new client; calls under way finish on
the old one. A file that can't be read for the moment leaves what was loaded last.
"""

import ssl
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import structlog

from coordinator.errors import StartFailed

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 1.0
_FINISH_SECONDS = 60.0
_Stamp = tuple[int, int, int]


class TrustedHttp:
    """``ca_file`` None: the system's trust, or plain http. Raises StartFailed for a bad file."""

    def __init__(self, ca_file: Path | None, **options: Any) -> None:
        self._ca_file, self._options = ca_file, options
        self._seen = self._stamp()
        self._looked_at = time.monotonic()
        self._retired: list[tuple[float, httpx.AsyncClient]] = []
        try:
            self._http = self._client()
        except (OSError, ssl.SSLError) as error:
            raise StartFailed(
                f"the CA file {ca_file} can't be used ({error.strerror or error})"
            ) from error

    async def __aenter__(self) -> "TrustedHttp":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _, retired in self._retired:
            await retired.aclose()
        await self._http.aclose()

    async def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """As httpx has it, on a connection that trusts what the file says now."""
        now = time.monotonic()
        if self._ca_file is not None and now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._renew(now)
            await self._close_retired(now)
        return await self._http.request(method, url, **options)

    def _renew(self, now: float) -> None:
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return
        try:
            renewed = self._client()
        except (OSError, ssl.SSLError):
            _log.warning("ca_file_unusable", file=str(self._ca_file))
            return
        self._retired.append((now + _FINISH_SECONDS, self._http))
        self._http, self._seen = renewed, stamp
        _log.info("ca_file_renewed", file=str(self._ca_file))

    async def _close_retired(self, now: float) -> None:
        due = [client for until, client in self._retired if until <= now]
        self._retired = [(until, client) for until, client in self._retired if until > now]
        for client in due:
            await client.aclose()

    def _client(self) -> httpx.AsyncClient:
        verify: ssl.SSLContext | bool = True
        if self._ca_file is not None:
            verify = ssl.create_default_context(cafile=str(self._ca_file))
            # Clusters' own certificates often lack what strict checking asks for since Python 3.13.
            verify.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return httpx.AsyncClient(verify=verify, trust_env=False, **self._options)

    def _stamp(self) -> _Stamp | None:
        if self._ca_file is None:
            return None
        try:
            found = self._ca_file.stat()
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_size)
