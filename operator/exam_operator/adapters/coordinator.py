"""Registration with the coordinator, which nobody waits for.

The newest registration of each delivery is kept and sent until the coordinator has it; an older
one that was not sent yet is dropped, since the newer one says everything.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import httpx
import structlog
from pydantic import ValidationError

from exam_contract.registration import DeliveryRegistration, RegistrationReply
from exam_operator.core.world import Key, Registered
from exam_operator.errors import CoordinatorSilent, RegistrationRefused

log = structlog.get_logger(__name__)
_TIMEOUT = httpx.Timeout(5.0, connect=2.0)
_AT_ONCE = 8
_UNREADABLE = httpx.codes.UNPROCESSABLE_ENTITY
_SILENT_REGISTRATION = Registered()


class CoordinatorPort:
    """``PUT /api/internal/deliveries/{uid}`` with the operator's own key."""

    def __init__(self, http: httpx.AsyncClient, url: str, key_file: Path) -> None:
        self._http, self._url, self._key_file = http, url.rstrip("/"), key_file

    async def register(self, uid: str, body: DeliveryRegistration) -> RegistrationReply:
        """Raises CoordinatorSilent, or RegistrationRefused with its words."""
        try:
            reply = await self._put(uid, body)
            if reply.status_code == _UNREADABLE and body.discarded is not None:
                # An older coordinator knows no discard; of the end it is told all the same.
                reply = await self._put(uid, body.model_copy(update={"discarded": None}))
            if reply.is_success:
                return RegistrationReply.model_validate_json(reply.content)
        except (httpx.HTTPError, OSError) as error:
            raise CoordinatorSilent(type(error).__name__) from error
        except ValidationError as error:
            raise CoordinatorSilent("it speaks another contract") from error
        if reply.is_server_error:
            raise CoordinatorSilent(f"it answered {reply.status_code}")
        raise RegistrationRefused(_words(reply))

    async def _put(self, uid: str, body: DeliveryRegistration) -> httpx.Response:
        return await self._http.put(
            f"{self._url}/api/internal/deliveries/{uid}",
            headers={
                "Authorization": f"Bearer {self._key_file.read_text().strip()}",
                "Content-Type": "application/json",
            },
            content=body.model_dump_json(),
            timeout=_TIMEOUT,
        )


class Registrar:
    """Sends registrations in the background and remembers what was answered."""

    def __init__(
        self,
        port: CoordinatorPort,
        now: Callable[[], datetime],
        on_reply: Callable[[Key], None],
    ) -> None:
        self._port, self._now, self._on_reply = port, now, on_reply
        self._known: dict[str, Registered] = {}
        self._waiting: dict[str, Key] = {}
        self._wake = asyncio.Event()
        self._sending: set[str] = set()
        self._gone: set[str] = set()

    def registered(self, uid: str) -> Registered:
        return self._known.get(uid, _SILENT_REGISTRATION)

    def hand_over(self, key: Key, uid: str, body: DeliveryRegistration) -> None:
        """Keep this as the newest word on the delivery, and send it soon."""
        before = self.registered(uid)
        self._known[uid] = replace(before, sent=body, sent_at=self._now())
        self._waiting[uid] = key
        self._gone.discard(uid)
        self._wake.set()

    def forget(self, uid: str) -> None:
        """The object is gone; what is still to be said is said first."""
        self._gone.add(uid)
        self._drop_gone(uid)

    async def run(self) -> None:
        """Send what waits, some at a time and one at a time per delivery, until cancelled."""
        slots = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._wake.wait()
                self._wake.clear()
                for uid, key in self._ready_to_send().items():
                    await slots.acquire()
                    tasks.create_task(self._send(uid, key, slots))

    def _ready_to_send(self) -> Mapping[str, Key]:
        ready = {uid: key for uid, key in self._waiting.items() if uid not in self._sending}
        for uid in ready:
            del self._waiting[uid]
            self._sending.add(uid)
        return ready

    async def _send(self, uid: str, key: Key, slots: asyncio.Semaphore) -> None:
        try:
            body = self.registered(uid).sent
            if body is not None:
                await self._exchange(uid, body)
        finally:
            self._sending.discard(uid)
            self._drop_gone(uid)
            slots.release()
            if uid in self._waiting:
                self._wake.set()
        self._on_reply(key)

    def _drop_gone(self, uid: str) -> None:
        if uid in self._gone and uid not in self._waiting and uid not in self._sending:
            self._gone.discard(uid)
            self._known.pop(uid, None)

    async def _exchange(self, uid: str, body: DeliveryRegistration) -> None:
        answered = self.registered(uid).answers
        try:
            reply = await self._port.register(uid, body)
        except CoordinatorSilent as error:
            self._note(uid, answers=False)
            if answered:
                log.warning("coordinator.silent", delivery_uid=uid, reason=str(error))
        except RegistrationRefused as error:
            self._note(uid, answers=True, refusal=str(error))
            log.warning("coordinator.refused", delivery_uid=uid, reason=str(error))
        else:
            self._known[uid] = replace(
                self.registered(uid), reply=reply, answers=True, refusal=None
            )

    def _note(self, uid: str, *, answers: bool, refusal: str | None = None) -> None:
        self._known[uid] = replace(self.registered(uid), answers=answers, refusal=refusal)


def _words(reply: httpx.Response) -> str:
    try:
        body = reply.json()
    except ValueError:
        return f"the coordinator answered {reply.status_code}"
    if not isinstance(body, dict):
        return f"the coordinator answered {reply.status_code}"
    return str(body.get("detail") or body.get("title") or reply.status_code)[:1000]
