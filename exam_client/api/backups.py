"""A backup as it leaves: a tar that is written while it is sent, to a reader that keeps up."""

import asyncio
import tarfile
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response

from exam_client.api.bodies import CallerGone
from exam_client.services.backing_up import BackingUp, Backup
from exam_contract import backup as contract

PIECE_BYTES = 256 * 1024
STALL_SECONDS = 30.0
"""The copy takes space on the volume: who takes no piece for so long is cut off."""


class BackupStream(Response):
    """Made when it is sent, and its space given back whatever becomes of the caller."""

    def __init__(self, backing_up: BackingUp, stall_seconds: float = STALL_SECONDS) -> None:
        super().__init__(media_type=contract.CONTENT_TYPE)
        self._backing_up, self._stall_seconds = backing_up, stall_seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with self._backing_up.made() as backup:
            headers = [
                (b"content-type", contract.CONTENT_TYPE.encode()),
                (b"content-length", str(_length(backup)).encode()),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for piece in _pieces(backup):
                await self._hand_over(send, piece, more=True)
            await self._hand_over(send, b"", more=False)

    async def _hand_over(self, send: Any, piece: bytes, *, more: bool) -> None:
        try:
            async with asyncio.timeout(self._stall_seconds):
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            raise CallerGone from None


async def _pieces(backup: Backup) -> AsyncIterator[bytes]:
    size = backup.copy.size
    yield _member(contract.VOLUME_KEY, backup.volume_half)
    yield _head(contract.DATABASE, size)
    loop = asyncio.get_running_loop()
    for offset in range(0, size, PIECE_BYTES):
        yield await loop.run_in_executor(None, backup.copy.read, offset, PIECE_BYTES)
    yield _padding(size) + _member(contract.NOTE, _note(backup)) + bytes(2 * tarfile.BLOCKSIZE)


def _length(backup: Backup) -> int:
    """Of the whole tar."""
    small = _member(contract.VOLUME_KEY, backup.volume_half) + _member(contract.NOTE, _note(backup))
    size = backup.copy.size
    return len(small) + tarfile.BLOCKSIZE + size + len(_padding(size)) + 2 * tarfile.BLOCKSIZE


def _note(backup: Backup) -> bytes:
    return backup.note.model_dump_json().encode()


def _member(name: str, content: bytes) -> bytes:
    return _head(name, len(content)) + content + _padding(len(content))


def _head(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
