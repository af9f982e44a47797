"""The composition root: opens the volume, wires the parts, runs both servers and every task.

One task group: when the writer, the sender or a server ends with an error, everything ends, and a
supervisor starts a successor that recovers. SIGTERM finishes what was accepted and checkpoints;
SIGUSR1 does so too and stays up, refusing in words, until the SIGTERM.
"""

import asyncio
import contextlib
import gc
import signal
import socket
from dataclasses import dataclass

import structlog
import uvicorn

from exam_client.api import apps
from exam_client.api.express import ExpressProtocol
from exam_client.api.gateway import Gateway
from exam_client.api.receiving import Server, TimedProtocol
from exam_client.core import commands, records
from exam_client.core.state import State
from exam_client.errors import Refusal, StorageFull, VolumeRefused
from exam_client.services import assigning, certificates, erasing, quiescing, status, ticking
from exam_client.services.certificates import Certificates
from exam_client.services.clock import Clock
from exam_client.services.delivery import Delivery, Open
from exam_client.services.handing_over import HandingOver
from exam_client.services.metrics import Metrics
from exam_client.services.sign_in import SignIn
from exam_client.services.tokens import Tokens
from exam_client.settings import (
    Secrets,
    Settings,
    SettingsWrong,
    load_secrets,
    read_bearer,
)
from exam_client.store import journal, volume
from exam_client.store.reading import Reader
from exam_client.store.writer import Writer, WriterDied
from exam_client.sync.coordinator import Coordinator
from exam_client.sync.sender import Sender
from exam_contract.trust import Signed

BACKLOG = 2048
GRACEFUL_SECONDS = 8
KEEP_ALIVE_SECONDS = 75
GC_THRESHOLDS = (20_000, 20, 100)

log = structlog.get_logger("exam_client")


@dataclass(slots=True)
class _Parts:
    """What ``run`` starts and stops."""

    delivery: Delivery
    sign_in: SignIn
    handing_over: HandingOver
    public: Server
    control: Server
    sockets: tuple[socket.socket, socket.socket]


class _Stopped(Exception):
    """SIGTERM or SIGINT: the way out of the task group."""


async def run(settings: Settings) -> int:
    """Run until a signal (0), or until a part dies (1). Raises StartRefused."""
    secrets = load_secrets(settings.secret_dir)
    read_bearer(settings)
    shown = certificates.load(settings)
    sockets = (
        _bind(settings.host, settings.port, "PORT"),
        _bind(settings.control_host, settings.control_port, "CONTROL_PORT"),
    )
    delivery = _open(settings, secrets, shown)
    parts = _wire(delivery, sockets)
    if delivery.parts is not None:
        await _start_writing(delivery, delivery.parts)
    _spare_collections()
    log.info(
        "serving",
        port=sockets[0].getsockname()[1],
        control_port=sockets[1].getsockname()[1],
        tls=shown is not None,
        incarnation=delivery.state.identity.incarnation,
    )
    return await _run_all(parts)


def _spare_collections() -> None:
    """What exists now lives as long as the process: looking through it again and again for garbage
    took a tenth of the time under load, in pauses that participants would notice."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()


def _open(settings: Settings, secrets: Secrets, shown: Certificates | None) -> Delivery:
    """Lock the volume and open what is on it: a living delivery, or the traces of an erased one."""
    folder = settings.volume_dir.resolve()
    lock = volume.VolumeLock(folder)
    clock, metrics = Clock(), Metrics()
    identity = records.Identity(settings.delivery_id, settings.delivery_uid, settings.epoch, 0, "")
    finished = erasing.resume(folder, identity)
    if finished is not None:
        return _delivery(settings, secrets, shown, clock, metrics, *finished)
    place = journal.Place(
        folder=folder,
        delivery_id=settings.delivery_id,
        delivery_uid=settings.delivery_uid,
        epoch=settings.epoch,
        storage_half=secrets.storage_half.get_secret_value(),
        ballast_bytes=settings.ballast_bytes,
        expects_data=settings.expects_data,
    )
    opened = journal.open_journal(place, lock, clock())
    delivery = _delivery(settings, secrets, shown, clock, metrics, opened.state, None)
    delivery.parts = _open_parts(delivery, opened)
    return delivery


def _delivery(
    settings: Settings,
    secrets: Secrets,
    shown: Certificates | None,
    clock: Clock,
    metrics: Metrics,
    state: State,
    receipt: Signed | None,
) -> Delivery:
    delivery = Delivery(
        settings=settings,
        secrets=secrets,
        clock=clock,
        metrics=metrics,
        tokens=Tokens(secrets.trust, settings.delivery_uid),
        coordinator=Coordinator(settings, state.identity),
        state=state,
        parts=None,
        certificates=shown,
        erased_receipt=receipt,
    )
    status.watch(delivery)
    return delivery


def _open_parts(delivery: Delivery, opened: journal.Journal) -> Open:
    reader = Reader(opened)
    state = delivery.state

    async def outbox(after: int, limit: int) -> list[tuple[int, bytes]]:
        if delivery.parts is None:
            return []
        recent = list(state.recent)
        if recent and recent[0][0] <= after + 1:
            start = after + 1 - recent[0][0]
            return recent[start : start + limit]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(reader.pool, reader.outbox, after, limit)

    sender = Sender(
        delivery.coordinator,
        opened.signing_key.public,
        outbox,
        lambda: state.last_seq,
        state.whole.delivered_seq,
    )
    writer = Writer(opened, delivery.clock, delivery.metrics, sender.wake)
    return Open(writer=writer, reader=reader, sender=sender)


def _wire(delivery: Delivery, sockets: tuple[socket.socket, socket.socket]) -> _Parts:
    sign_in, handing_over = SignIn(delivery), HandingOver(delivery)
    shown, settings = delivery.certificates, delivery.settings
    public = _config(apps.public_app(delivery, sign_in))
    control = _config(apps.control_app(delivery, handing_over))
    seconds = settings.receipt_seconds
    return _Parts(
        delivery=delivery,
        sign_in=sign_in,
        handing_over=handing_over,
        public=Server(public, seconds, shown.public if shown else None),
        control=Server(control, seconds, shown.control if shown else None),
        sockets=sockets,
    )


def _config(app: Gateway) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        workers=1,
        loop="uvloop",
        http=ExpressProtocol if app.express is not None else TimedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        backlog=BACKLOG,
    )


async def _start_writing(delivery: Delivery, parts: Open) -> None:
    """Before anybody is served: recovery and its outage credit are durable."""
    parts.writer.start()
    if parts.writer.journal.recovered:
        try:
            await parts.writer.submit(commands.Recovered())
        except Refusal as refusal:
            raise VolumeRefused(f"nothing can be written to the volume: {refusal}") from None


async def _run_all(parts: _Parts) -> int:
    stop, rest = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, rest.set)
    code = 1
    try:
        async with asyncio.TaskGroup() as group:
            for server, bound in zip((parts.public, parts.control), parts.sockets, strict=True):
                group.create_task(_serve(server, bound))
                group.create_task(server.cut_slow_for_ever())
            _start_tasks(group, parts)
            group.create_task(_wait_and_quiesce(parts, rest))
            group.create_task(_wait_and_stop(parts, stop))
    except* _Stopped:
        code = 0
    except* WriterDied as died:
        log.error("writer_ended", reason=str(died.exceptions[0]))
    return code


def _start_tasks(group: asyncio.TaskGroup, parts: _Parts) -> None:
    delivery = parts.delivery
    group.create_task(parts.handing_over.run())
    if delivery.certificates is not None:
        seconds = delivery.settings.tls_poll_seconds
        group.create_task(delivery.certificates.follow_for_ever(seconds))
    if delivery.parts is not None:
        group.create_task(delivery.parts.writer.ended())
        group.create_task(delivery.parts.sender.run())
        group.create_task(ticking.tick_for_ever(delivery))
        group.create_task(assigning.fetch_bundle(delivery))


async def _serve(server: Server, bound: socket.socket) -> None:
    await server.serve(sockets=[bound])


async def _wait_and_quiesce(parts: _Parts, rest: asyncio.Event) -> None:
    """SIGUSR1, from a pod's preStop: once, whatever comes after."""
    await rest.wait()
    await quiescing.quiesce(parts.delivery, set(parts.public.server_state.tasks))


async def _wait_and_stop(parts: _Parts, stop: asyncio.Event) -> None:
    """503 for new work, finish what was accepted, checkpoint, leave."""
    await stop.wait()
    log.info("stopping")
    delivery = parts.delivery
    delivery.stop_serving()
    opened = delivery.parts
    if opened is not None:
        await opened.writer.call(lambda: None)
    parts.public.should_exit = parts.control.should_exit = True
    # uvicorn has no event for this; its own shutdown polls in the same way.
    while parts.public.server_state.tasks or parts.control.server_state.tasks:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    parts.sign_in.close()
    if opened is not None:
        opened.reader.close()
        with contextlib.suppress(StorageFull):
            await opened.writer.checkpoint(close=True)
        await opened.writer.stop()
    await delivery.coordinator.close()
    log.info("stopped")
    raise _Stopped


def _bind(host: str, port: int, name: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        # From here on whoever connects waits for the recovery instead of being refused; and two
        # sockets may be bound to one port, but not listen on it.
        bound.listen(BACKLOG)
    except OSError as error:
        raise SettingsWrong(
            f"port {port} of {host} cannot be used ({error.strerror});"
            f" set MEDXAMION_CLIENT_{name} to a free one"
        ) from None
    bound.setblocking(False)
    return bound
