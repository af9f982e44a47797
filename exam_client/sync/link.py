"""The connection to the coordinator: verified with COORDINATOR_CA_FILE as it is at each request.

When that file changes, a new client takes over, and the one before ends with its last request: a
certificate that was taken out is believed no longer.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import structlog

from exam_client.errors import CoordinatorAway

log = structlog.get_logger("exam_client.link")


@dataclass(slots=True, eq=False)
class _Line:
    http: httpx.AsyncClient
    in_flight: int = 0


class Link:
    """``request`` as httpx has it. Without a file, the machine's own certificates are believed."""

    def __init__(self, base_url: str, ca_file: Path | None, headers: dict[str, str]) -> None:
        self._base_url, self._ca_file, self._headers = base_url, ca_file, headers
        self._believed = b""
        self._told: str | None = None
        self._closed = False
        self._line: _Line | None = None if ca_file else self._new_line(_verify(base_url))

    async def request(self, method: str, path: str, **members: Any) -> httpx.Response:
        """Raises httpx.HTTPError, or CoordinatorAway while nothing is there to verify with."""
        before, line = self._line, self._present_line()
        line.in_flight += 1
        try:
            await self._end_if_superseded(before)
            return await line.http.request(method, path, **members)
        finally:
            line.in_flight -= 1
            await self._end_if_superseded(line)

    async def close(self) -> None:
        """For good: whatever comes later is told that nobody is there."""
        self._closed = True
        line, self._line = self._line, None
        if line is not None:
            await line.http.aclose()

    async def _end_if_superseded(self, line: _Line | None) -> None:
        if line is not None and line is not self._line and line.in_flight == 0:
            await line.http.aclose()

    def _present_line(self) -> _Line:
        if self._ca_file is not None and not self._closed:
            try:
                self._follow(self._ca_file.read_bytes())
                self._told = None
            except (OSError, ValueError) as error:
                self._tell(f"{self._ca_file} holds no certificates to verify with ({error})")
        if self._line is None:
            raise CoordinatorAway(self._told or "the exam-client is stopping")
        return self._line

    def _follow(self, found: bytes) -> None:
        if found == self._believed and self._line is not None:
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Not create_default_context: an empty file would mean every authority of the machine.
        context.load_verify_locations(cadata=found.decode("ascii"))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._line, self._believed = self._new_line(verify=context), found

    def _tell(self, trouble: str) -> None:
        if trouble != self._told:
            log.error("coordinator_ca_broken", reason=trouble)
        self._told = trouble

    def _new_line(self, verify: ssl.SSLContext | bool) -> _Line:
        # No proxy from the environment: the coordinator is reached directly or not at all.
        http = httpx.AsyncClient(
            base_url=self._base_url, headers=self._headers, verify=verify, trust_env=False
        )
        return _Line(http)


def _verify(base_url: str) -> ssl.SSLContext | bool:
    """All authorities of the machine, but for plain http: reading them delays every recovery."""
    return base_url.startswith("https:") or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
