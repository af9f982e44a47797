"""The authorities that count, as the CA file names them now: one that was taken out counts no more.

A verify context can't forget an authority, so a changed file means new connections on a new
context; calls under way finish on the old ones. A file that can't be used leaves what was trusted.
"""

import asyncio
import ssl
import time
from pathlib import Path

import httpx
import structlog

log = structlog.get_logger(__name__)
_LOOK_EVERY_SECONDS = 10.0
_FINISH_SECONDS = 30.0
"""Above what any call may take."""
_LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=50)


class Trusting(httpx.AsyncBaseTransport):
    """A transport for ``httpx.AsyncClient``. ``ca_file`` None: what the machine trusts.

    Until the file was read once, nobody is trusted.
    """

    def __init__(self, ca_file: Path | None) -> None:
        self._ca_file, self._loaded = ca_file, b""
        self._retired: list[tuple[float, httpx.AsyncHTTPTransport]] = []
        context = _nobody() if ca_file is not None else ssl.create_default_context()
        self._line = _transport(context)
        self._follow()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._line.handle_async_request(request)

    async def aclose(self) -> None:
        for line in (self._line, *(retired for _, retired in self._retired)):
            await line.aclose()

    async def run(self) -> None:
        """Look at the file until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            await self.renew()

    async def renew(self) -> None:
        """Take over what the file says now."""
        self._follow()
        now = time.monotonic()
        due = [line for until, line in self._retired if until <= now]
        self._retired = [(until, line) for until, line in self._retired if until > now]
        for line in due:
            await line.aclose()

    def _follow(self) -> None:
        if self._ca_file is None:
            return
        try:
            found = self._ca_file.read_bytes()
            if found == self._loaded:
                return
            context = _nobody()
            # Not create_default_context: an empty file would mean every authority of the machine.
            context.load_verify_locations(cadata=found.decode("ascii"))
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            log.error("trust.unreadable", file=str(self._ca_file), reason=str(error))
            return
        self._retired.append((time.monotonic() + _FINISH_SECONDS, self._line))
        self._line, self._loaded = _transport(context), found
        log.info("trust.renewed", file=str(self._ca_file))


def _nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _transport(context: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    return httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=_LIMITS)
