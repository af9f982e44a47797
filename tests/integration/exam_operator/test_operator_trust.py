"""Whom the operator believes: what the CA file says now, and nobody who was taken out of it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from exam_operator.adapters import trusting
from exam_operator.adapters.exam_client import new_http
from exam_operator.adapters.trusting import Trusting
from tests.support.certificates import Issuer
from tests.support.waiting import PATIENCE_SECONDS, until_async


@contextlib.asynccontextmanager
async def secured(folder: Path) -> AsyncIterator[str]:
    """An https server that keeps connections and says ok to everything."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def believes(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url, timeout=PATIENCE_SECONDS)).text == "ok"
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            raise
        return False


async def test_an_authority_that_is_taken_out_is_believed_no_more(tmp_path: Path) -> None:
    old, new = Issuer("old"), Issuer("new")
    old.folder(tmp_path / "old")
    new.folder(tmp_path / "new")
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes(old.pem)
    trust = Trusting(trusted)
    async with (
        secured(tmp_path / "old") as at_old,
        secured(tmp_path / "new") as at_new,
        new_http(trust) as http,
    ):
        assert (await believes(http, at_old), await believes(http, at_new)) == (True, False)
        trusted.write_bytes(new.pem + old.pem)
        await trust.renew()
        assert (await believes(http, at_old), await believes(http, at_new)) == (True, True)
        trusted.write_bytes(new.pem)
        await trust.renew()
        # The connection of a moment ago is open still; it carries no new call.
        assert (await believes(http, at_old), await believes(http, at_new)) == (False, True)


async def test_nobody_is_believed_before_the_file_is_there(tmp_path: Path) -> None:
    issuer = Issuer()
    issuer.folder(tmp_path / "tls")
    trust = Trusting(tmp_path / "ca.crt")
    async with secured(tmp_path / "tls") as url, new_http(trust) as http:
        assert not await believes(http, url)
        (tmp_path / "ca.crt").write_bytes(issuer.pem)
        await trust.renew()
        assert await believes(http, url)


@pytest.mark.parametrize("content", [b"", b"nonsense", "Schlüssel".encode()])
async def test_a_file_that_is_no_use_leaves_what_was_trusted(
    tmp_path: Path, content: bytes
) -> None:
    issuer = Issuer()
    issuer.folder(tmp_path / "tls")
    trusted = tmp_path / "tls" / "ca.crt"
    trust = Trusting(trusted)
    async with secured(tmp_path / "tls") as url, new_http(trust) as http:
        trusted.write_bytes(content)
        await trust.renew()
        assert await believes(http, url)


async def test_the_file_is_followed_and_old_lines_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusting, "_LOOK_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(trusting, "_FINISH_SECONDS", 0.0)
    first, second = Issuer("first"), Issuer("second")
    second.folder(tmp_path / "tls")
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes(first.pem)
    trust = Trusting(trusted)
    async with (
        secured(tmp_path / "tls") as url,
        new_http(trust) as http,
        asyncio.TaskGroup() as tasks,
    ):
        following = tasks.create_task(trust.run())
        assert not await believes(http, url)
        trusted.write_bytes(second.pem)
        await until_async(lambda: believes(http, url), what="the new authority")

        async def closed() -> bool:
            return trust._retired == []

        await until_async(closed, what="the end of the old line")
        following.cancel()
