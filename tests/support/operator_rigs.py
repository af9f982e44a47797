"""The rigs of the operator's scenarios: a simulated world, and real processes on this machine."""

import asyncio
import contextlib
import functools
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from exam_contract.delivery import API_VERSION, ExamDelivery, ExamDeliveryStatus
from exam_operator.local.records import ClientRecord
from exam_operator.local.service import LocalOperator, listen, local_operator
from exam_operator.settings import LocalSettings
from tests.support import deliveries, loopback, ports
from tests.support.operator_scenarios import Check
from tests.support.pretend_client import COMMAND, SPARE_COMMAND, wish
from tests.support.pretend_coordinator import PretendCoordinator
from tests.support.simulated_world import SimulatedWorld
from tests.support.waiting import until, until_async

TOKEN = "edge-token"


class SimulatedRig:
    """Time is moved, not waited for."""

    def __init__(self) -> None:
        self.world = SimulatedWorld()

    async def status(self) -> ExamDeliveryStatus:
        assert self.world.stored is not None
        return self.world.stored.status

    async def until(self, check: Check, what: str) -> ExamDeliveryStatus:
        for _ in range(3000):
            self.world.settle(0.1)
            if check(await self.status()):
                return await self.status()
        raise AssertionError(f"never came: {what}; it is {(await self.status()).phase}")

    async def edit(self, **spec: object) -> None:
        self.world.edit(**spec)

    async def annotate(self, **annotations: str) -> None:
        self.world.annotate(**annotations)

    async def sit(self, begun: int, submitted: int) -> None:
        assert self.world.child is not None
        exam = self.world.child.exam
        while exam.file.started < begun:
            exam.begin_attempt()
        while exam.file.closed < submitted:
            exam.close_attempt()

    async def crash(self) -> None:
        self.world.crash()

    async def coordinator(self, *, up: bool) -> None:
        self.world.coordinator_up = up

    async def restart_operator(self) -> None:
        self.world.forget()
        self.world.turn()

    async def exam_client(self) -> str | None:
        return self.world.child.uid if self.world.child else None

    async def is_erased(self) -> bool:
        return not (self.world.secret or self.world.volume)


class ProcessRig:
    """The real process edge with its loopback API, and a pretended exam-client as a process."""

    def __init__(self, home: Path, coordinator: PretendCoordinator, base: int) -> None:
        self.home, self.fake = home, coordinator
        (home / "operator.key").write_text(coordinator.key)
        (home / "local.token").write_text(TOKEN)
        self.settings = LocalSettings(
            home=home,
            coordinator_url=coordinator.url,
            operator_key_file=home / "operator.key",
            token_file=home / "local.token",
            first_client_port=base + ports.CLIENTS.start,
            last_client_port=base + ports.CLIENTS[-1],
            client_command=COMMAND,
            spare_command=SPARE_COMMAND,
        )
        self.operator: LocalOperator | None = None
        self.port = base
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._restarts: asyncio.Queue[asyncio.Event] = asyncio.Queue(4)

    async def run(self) -> None:
        """Operator after operator, until cancelled; each leaves all it began as it is."""
        while True:
            self._stop, up = asyncio.Event(), await self._restarts.get()
            with contextlib.closing(listen("127.0.0.1", self.port)) as listener:
                async with local_operator(self.settings) as operator:
                    self.operator = operator
                    up.set()
                    await operator.run(listener, self._stop)
            self._ended.set()

    async def start_operator(self) -> None:
        up = asyncio.Event()
        await self._restarts.put(up)
        await up.wait()

    async def restart_operator(self) -> None:
        self._ended.clear()
        self._stop.set()
        await self._ended.wait()
        await self.start_operator()
        await until_async(self._answers, what="the loopback API")

    async def call(
        self,
        method: str,
        path: str = "",
        body: object = None,
        *,
        token: str = TOKEN,
        content: bytes | None = None,
    ) -> httpx.Response:
        base = f"http://127.0.0.1:{self.port}/apis/{API_VERSION}/namespaces/default/examdeliveries"
        headers = {"Authorization": f"Bearer {token}"}
        async with loopback.AsyncClient() as http:
            return await http.request(
                method, base + path, json=body, content=content, headers=headers
            )

    async def create(self, name: str = "morning", **spec: Any) -> ExamDelivery:
        now = datetime.now(UTC)
        wanted = deliveries.document(
            name,
            **{
                "opens_at": now - timedelta(seconds=5),
                "closes_at": now + timedelta(hours=1),
                **spec,
            },
        )
        reply = await self.call("POST", "", wanted)
        assert reply.status_code == 201, reply.text
        return ExamDelivery.model_validate(reply.json())

    async def stored(self, name: str = "morning") -> ExamDelivery:
        reply = await self.call("GET", f"/{name}")
        assert reply.status_code == 200, reply.text
        return ExamDelivery.model_validate(reply.json())

    async def status(self) -> ExamDeliveryStatus:
        return (await self.stored()).status

    async def until(self, check: Check, what: str) -> ExamDeliveryStatus:
        async def checked() -> ExamDeliveryStatus | None:
            status = await self.status()
            return status if check(status) else None

        found = await until_async(checked, what=what)
        assert found is not None
        return found

    async def edit(self, **spec: object) -> None:
        document = (await self.stored()).to_dict()
        document["spec"] |= spec
        await self._put(document)

    async def annotate(self, **annotations: str) -> None:
        stored = deliveries.with_annotations(await self.stored(), **annotations)
        await self._put(stored.to_dict())

    async def sit(self, begun: int, submitted: int) -> None:
        wish((await self.folder()) / "volume", begun=begun, submitted=submitted)

    async def crash(self) -> None:
        pid = (await self.record()).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    async def coordinator(self, *, up: bool) -> None:
        if up:
            await asyncio.to_thread(self.fake.start)
        else:
            await asyncio.to_thread(self.fake.stop)

    async def exam_client(self) -> str | None:
        record = await self.record()
        return record.pod_uid if _runs(record) else None

    async def exam_client_or_none(self) -> str | None:
        """Like ``exam_client``, where there may never have been one."""
        there = (await self.folder() / "client.json").exists()
        return await self.exam_client() if there else None

    async def is_erased(self) -> bool:
        folder = await self.folder()
        return not (folder / "volume").exists() and not (folder / "secret").exists()

    async def record(self) -> ClientRecord:
        return ClientRecord.model_validate_json((await self.folder() / "client.json").read_text())

    async def folder(self) -> Path:
        uid = (await self.stored()).metadata.uid
        assert uid is not None
        return self.home / "deliveries" / uid

    def end_all(self) -> None:
        """What the test left running."""
        for path in self.home.glob("deliveries/*/client.json"):
            record = ClientRecord.model_validate_json(path.read_text())
            if _runs(record) and record.pid is not None:
                os.kill(record.pid, signal.SIGKILL)
                until(functools.partial(_is_gone, record), what="the end of an exam-client")

    async def _put(self, document: dict[str, Any]) -> None:
        del document["metadata"]["resourceVersion"]
        reply = await self.call("PUT", f"/{document['metadata']['name']}", document)
        assert reply.status_code == 200, reply.text

    async def _answers(self) -> bool:
        try:
            return (await self.call("GET")).is_success
        except httpx.HTTPError:
            return False


@contextlib.asynccontextmanager
async def process_rig(home: Path) -> AsyncIterator[ProcessRig]:
    """A rig whose operator runs, and nothing of which runs on afterwards."""
    coordinator = await asyncio.to_thread(PretendCoordinator().start)
    with ports.block() as base:
        rig = ProcessRig(home, coordinator, base)
        try:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(rig.run())
                await rig.start_operator()
                try:
                    yield rig
                finally:
                    running.cancel()
        finally:
            rig.end_all()
            await asyncio.to_thread(coordinator.stop)


def _is_gone(record: ClientRecord) -> bool:
    return not _runs(record)


def _runs(record: ClientRecord) -> bool:
    try:
        text = Path(f"/proc/{record.pid}/stat").read_text()
    except OSError:
        return False
    return text[text.rindex(")") + 2] not in "ZX"
