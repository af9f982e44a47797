"""A pretended exam-client in a pretended pod: control port over TLS on a loopback address.

It reads what is mounted, as the real one does: keys, certificate and the file on its volume.
"""

import base64
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from exam_contract.control import Desired
from exam_contract.results import Receipt
from exam_contract.trust import Signed
from tests.support.pretend_exam import ENROLLED, File, PretendExam

Json = dict[str, Any]
Sign = Callable[[Receipt], Signed]


@dataclass
class Disk:
    """What lies on a volume. ``key``: the storage key that it was encrypted with."""

    file: File | None = None
    key: str | None = None
    wishes: tuple[int, int] = (0, 0)
    """How many have begun and submitted, in all."""
    storage: str = "ok"
    erased: bool = False


@dataclass
class Mounted:
    """What a pod is started with."""

    uid: str
    epoch: int
    delivery_id: int
    pod_uid: str
    keys: dict[str, str]
    certificate: dict[str, str]
    disk: Disk


@dataclass(eq=False)
class Container:
    """One run of the program in a pod. ``exit_code``: set once it has ended."""

    mounted: Mounted
    address: str
    port: int
    exam: PretendExam
    silent: bool = False
    """It answers to nobody, as behind a broken network."""
    exit_code: int | None = None
    exit_reason: str = "Error"
    looks: int = 0
    """How often its status was asked for."""
    _runner: web.AppRunner | None = None

    @property
    def ready(self) -> bool:
        exam = self.exam
        return exam.content_ready and exam.storage == "ok" and not exam.file.fenced

    async def serve(self, folder: Path) -> None:
        app = web.Application()
        app.router.add_get("/status", self._status)
        app.router.add_put("/desired", self._desired)
        app.router.add_get("/healthz/live", self._live)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        context = _tls(folder, self.mounted.certificate)
        await web.TCPSite(self._runner, self.address, self.port, ssl_context=context).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def work(self, sign: Sign | None) -> None:
        """A moment passes; ``sign`` is None while the coordinator is away."""
        disk, exam = self.mounted.disk, self.exam
        exam.content_ready = exam.content_ready or (
            sign is not None and exam.file.transfer != "erased"
        )
        begun, submitted = disk.wishes
        while exam.file.started < min(begun, ENROLLED) and exam.file.mode == "run":
            exam.begin_attempt()
        while exam.file.closed < submitted and exam.file.open:
            exam.close_attempt()
        if exam.storage != "erased":
            exam.storage = disk.storage
        exam.work(sign)
        if exam.file.transfer == "erased":
            disk.file, disk.erased = None, True

    async def _status(self, request: web.Request) -> web.Response:
        self._may_break_off(request)
        self._check(request)
        self.looks += 1
        status = self.exam.status(datetime.now(UTC))
        return web.json_response(status.model_dump(mode="json"))

    async def _desired(self, request: web.Request) -> web.Response:
        self._may_break_off(request)
        self._check(request)
        refused = self.exam.obey(Desired.model_validate_json(await request.read()))
        if refused is not None:
            return web.json_response({"code": refused}, status=409)
        return web.Response(status=204)

    async def _live(self, request: web.Request) -> web.Response:
        self._may_break_off(request)
        return web.json_response({"status": "ok"})

    def _may_break_off(self, request: web.Request) -> None:
        """Silence is quick here: the connection breaks instead of timing out."""
        quiet = self.silent or self.exit_code is not None
        if quiet and request.transport is not None:
            request.transport.abort()

    def _check(self, request: web.Request) -> None:
        wanted = f"Bearer {decoded(self.mounted.keys, 'control.key')}"
        if request.headers.get("Authorization") != wanted:
            raise web.HTTPUnauthorized()


def opened(mounted: Mounted, address: str, port: int, *, fetches: bool) -> Container:
    """The program on its volume; it ends at once when its keys can't read what lies there.

    ``fetches``: a new file gets its content, since the coordinator is there.
    """
    disk, key = mounted.disk, mounted.keys["storage.key"]
    if disk.file is not None and disk.key != key:
        blind = PretendExam(mounted.delivery_id, mounted.uid, mounted.epoch, File())
        return Container(mounted, address, port, blind, exit_code=1)
    fresh = disk.file is None
    disk.file, disk.key = disk.file or File(), key
    exam = PretendExam(mounted.delivery_id, mounted.uid, mounted.epoch, disk.file)
    exam.content_ready = fetches if fresh else disk.file.transfer != "erased"
    exam.storage = disk.storage
    exam.open_file()
    return Container(mounted, address, port, exam)


def decoded(data: Json, name: str) -> str:
    return base64.b64decode(data[name]).decode()


def _tls(folder: Path, certificate: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    chain, key = folder / "tls.crt", folder / "tls.key"
    for path in (chain, key):
        path.write_bytes(base64.b64decode(certificate[path.name]))
    context.load_cert_chain(chain, key)
    return context
