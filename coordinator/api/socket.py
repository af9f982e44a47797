"""The committee's WebSocket: checks who is there, loads what they ask for, and leaves the rest to
the hub."""

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from coordinator.api.deps import Principal, check_origin, exam_of, identify, runtime_of
from coordinator.core.permissions import Permission, exams_with, holds
from coordinator.core.session import Load, Session
from coordinator.core.vault import token_hash
from coordinator.errors import CsrfRefused, DatabaseUnavailable, Forbidden, NotFound, Refused
from coordinator.hub.connection import Connection, Gone, Loaded
from coordinator.services.feed import catch_up
from coordinator.services.runtime import Runtime
from coordinator.store import events
from exam_contract.messages import CLOSE_FORBIDDEN, CLOSE_UNAUTHENTICATED, Snapshot

router = APIRouter()
_MOST_RESUMED = 1000


class _Wire:
    """Starlette's socket as the hub sees it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> str:
        try:
            return await self._socket.receive_text()
        except (WebSocketDisconnect, KeyError, RuntimeError) as error:
            raise Gone from error

    async def send(self, text: str) -> None:
        try:
            await self._socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise Gone from error

    async def close(self, code: int, reason: str) -> None:
        try:
            await self._socket.close(code, reason)
        except RuntimeError:
            return  # the peer was quicker


@router.websocket("/api/ws")
async def committee_socket(socket: WebSocket) -> None:
    """``exam_contract.messages``; closes 4401 without a session, 4403 without the permission."""
    runtime = runtime_of(socket)
    await socket.accept()
    try:
        principal = await _admit(socket, runtime)
    except Refused as refused:
        await socket.close(
            CLOSE_FORBIDDEN
            if isinstance(refused, Forbidden | CsrfRefused)
            else CLOSE_UNAUTHENTICATED,
            refused.detail,
        )
        return
    connection = Connection(
        _Wire(socket),
        runtime.hub,
        _Loader(runtime, principal),
        Session(runtime.settings.ping_seconds),
        principal.staff_id,
        None if principal.token is None else token_hash(principal.token),
        principal.known.account.grants,
        principal.known.expires_at,
        runtime.metrics.frames.inc,
    )
    with runtime.metrics.sockets.track_inprogress():
        await connection.run()


async def _admit(socket: WebSocket, runtime: Runtime) -> Principal:
    if socket.headers.get("origin") is not None:
        check_origin(socket, runtime)
    principal = await identify(socket, runtime)
    grants = principal.known.account.grants
    if exams_with(grants, Permission.WATCH) == frozenset():
        raise Forbidden("this needs the permission to watch an exam")
    return principal


class _Loader:
    """Snapshots and resumes for one account. Permissions are those at the time of connecting;
    a change of roles closes the socket."""

    def __init__(self, runtime: Runtime, principal: Principal) -> None:
        self._runtime, self._principal = runtime, principal

    async def __call__(self, load: Load) -> Loaded:
        runtime = self._runtime
        exam_id = await exam_of(runtime, str(load.delivery_id))
        if exam_id is None:
            raise NotFound("there is no such delivery")
        if not holds(self._principal.known.account.grants, Permission.WATCH, exam_id):
            raise Forbidden("you may not watch this delivery")
        try:
            return await self._from_database(load)
        except DatabaseUnavailable:
            # The exam-client may answer all the same; what is committed later comes later.
            known = runtime.hub.heads().get(load.delivery_id, 0)
            return await self._snapshot(load.delivery_id, load.resume_from or known)

    async def _from_database(self, load: Load) -> Loaded:
        if load.resume_from is not None:
            resumed = await self._resume(load.delivery_id, load.resume_from)
            if resumed is not None:
                return resumed
        # The number first: an event that comes in between is sent again, which does no harm.
        return await self._snapshot(load.delivery_id, await self._head(load.delivery_id))

    async def _resume(self, delivery_id: int, resume_from: int) -> Loaded | None:
        missed = await catch_up(self._runtime.database, delivery_id, max(0, resume_from))
        if len(missed) >= _MOST_RESUMED or (missed and missed[0].stream != resume_from + 1):
            return None  # too much, or from before a restore: a snapshot is the way
        if not missed and resume_from > await self._head(delivery_id):
            return None
        return Loaded(max(0, resume_from), None, missed, self._health(delivery_id))

    async def _snapshot(self, delivery_id: int, stream: int) -> Loaded:
        delivery = await self._runtime.delivery(delivery_id)
        live = await self._runtime.live.read(delivery)
        snapshot = Snapshot(delivery_id=delivery_id, stream=stream, live=live)
        return Loaded(stream, snapshot.model_dump_json(), health=self._health(delivery_id))

    async def _head(self, delivery_id: int) -> int:
        async with self._runtime.database.read() as db:
            return (await events.heads(db, [delivery_id])).get(delivery_id, 0)

    def _health(self, delivery_id: int) -> str | None:
        watched = self._runtime.health.get(delivery_id)
        return None if watched is None else watched.message().model_dump_json()
