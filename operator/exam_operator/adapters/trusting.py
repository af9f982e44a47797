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
_KEPT = httpx.Limits(max_connections=50, max_keepalive_connections=20)
_ONCE = httpx.Limits(max_connections=200, max_keepalive_connections=0)
"""For exam-clients: each is asked so seldom that its connection would not be found open, and the
pool looks at every one that it keeps, at every request."""


class Trusting(httpx.AsyncBaseTransport):
    """A transport for ``httpx.AsyncClient``. ``ca_file`` None: what the machine trusts.

    Until the file was read once, nobody is trusted.
    """

    def __init__(self, ca_file: Path | None) -> None:
        self._ca_file, self._loaded = ca_file, b""
        self._retired: list[tuple[float, _Lines]] = []
        context = _nobody() if ca_file is not None else ssl.create_default_context()
        self._lines = _Lines(context)
        self._follow()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._lines.of(request).handle_async_request(request)

    async def aclose(self) -> None:
        for lines in (self._lines, *(retired for _, retired in self._retired)):
            await lines.aclose()

    async def run(self) -> None:
        """Look at the file until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            await self.renew()

    async def renew(self) -> None:
        """Take over what the file says now."""
        self._follow()
        now = time.monotonic()
        due = [lines for until, lines in self._retired if until <= now]
        self._retired = [(until, lines) for until, lines in self._retired if until > now]
        for lines in due:
            await lines.aclose()

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
        self._retired.append((time.monotonic() + _FINISH_SECONDS, self._lines))
        self._lines, self._loaded = _Lines(context), found
        log.info("trust.renewed", file=str(self._ca_file))


class _Lines:
    """Connections on one verify context."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._kept, self._once = _transport(context, _KEPT), _transport(context, _ONCE)

    def of(self, request: httpx.Request) -> httpx.AsyncHTTPTransport:
        """An exam-client is asked at its pod's address, by a name of its own."""
        return self._once if "sni_hostname" in request.extensions else self._kept

    async def aclose(self) -> None:
        await self._kept.aclose()
        await self._once.aclose()


def _nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _transport(context: ssl.SSLContext, limits: httpx.Limits) -> httpx.AsyncHTTPTransport:
    return httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)
