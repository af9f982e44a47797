"""The process edge: looks at folders and processes, and obeys a plan's commands with them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import structlog

from exam_contract.control import ClientStatus, Desired
from exam_contract.delivery import EndpointStatus, ExamDelivery, PodStatus
from exam_operator.adapters.coordinator import Registrar
from exam_operator.adapters.exam_client import ControlPort
from exam_operator.adapters.signatures import check_receipt
from exam_operator.core import commands as c
from exam_operator.core import planning
from exam_operator.core.world import Child, Key, Observed, Secret, SecretState
from exam_operator.errors import ClientSilent, EdgeError, ObjectUnknown
from exam_operator.local import kernel, ports
from exam_operator.local.objects import ObjectStore
from exam_operator.local.places import Place, key_file_problem
from exam_operator.local.processes import ClientProcesses, Start
from exam_operator.settings import LocalSettings

log = structlog.get_logger(__name__)
_PROBE_AFTER_SECONDS = 10.0


class ProcessEdge:
    """The second signal (liveness) is asked for only when the first has failed for a while."""

    def __init__(
        self,
        settings: LocalSettings,
        store: ObjectStore,
        processes: ClientProcesses,
        control: ControlPort,
        registrar: Registrar,
        now: Callable[[], datetime],
    ) -> None:
        self._settings, self._store, self._processes = settings, store, processes
        self._control, self._registrar, self._now = control, registrar, now
        self._silent_since: dict[str, datetime] = {}

    def all_keys(self) -> list[Key]:
        return self._store.all_keys()

    def adopt(self) -> None:
        """Take up every exam-client that the operator's predecessor left. Call once, at start."""
        for key in self._store.all_keys():
            self._processes.adopt(self._place(self._store.get(key)))

    def key_of_uid(self, uid: str) -> Key | None:
        """Whose exam-client that is."""
        for key in self._store.all_keys():
            if self._store.get(key).metadata.uid == uid:
                return key
        return None

    async def observe(self, key: Key) -> Observed | None:
        try:
            stored = self._store.get(key)
        except ObjectUnknown:
            return None
        place = self._place(stored)
        client = await self.client_status(place)
        child = await self._child(place, client)
        shown = client.transfer.receipt if client is not None else None
        return Observed(
            object=self._store.get(key),  # again: it may have changed while we asked
            child=child,
            client=client,
            secret=self._secret(stored, place),
            volume=place.look_at_volume(),
            registered=self._registrar.registered(place.uid),
            receipt=check_receipt(shown, place.trust()) if shown is not None else None,
            exits=self._processes.exits(place.uid),
        )

    async def client_status(self, place: Place) -> ClientStatus | None:
        """What the running exam-client says; None when it is silent or not there."""
        record = self._processes.record(place.uid)
        if record is None or not self._processes.is_alive(place.uid):
            return None
        try:
            client = await self._control.status(_control_url(record.port), place.control_key())
        except (ClientSilent, EdgeError):
            self._silent_since.setdefault(place.uid, self._now())
            return None
        if client.delivery_uid != place.uid:
            return None
        self._silent_since.pop(place.uid, None)
        if client.content.ready:
            self._processes.note_ready(place)
        return client

    async def started_now(self, key: Key) -> int:
        """Attempts begun, freshly counted: a deletion must not trust an old count."""
        client = await self.client_status(self._place(self._store.get(key)))
        return client.counts.started if client is not None else 0

    async def apply(self, key: Key, command: c.Command) -> None:
        stored = self._store.get(key)
        place = self._place(stored)
        match command:
            case c.WriteStatus(status):
                await asyncio.to_thread(self._store.write_status, key, status, place.uid)
            case c.RegisterDelivery(body):
                self._registrar.hand_over(key, place.uid, body)
            case c.EnsureSecret(trust, key_secret):
                file = self._key_file(key_secret) if key_secret else None
                await asyncio.to_thread(place.make_secret, trust, file)
            case c.Protect() | c.LiftProtection() | c.EnsureAccess():
                pass  # nobody deletes files behind our back, and ports are part of the start
            case c.EnsureVolume():
                await asyncio.to_thread(place.make_volume)
            case c.PutDesired(desired):
                await self._put_desired(place, desired)
            case c.ReleaseObject():
                self._release(key, place)
            case _:
                await self._apply_to_child(stored, place, command)

    async def _apply_to_child(self, stored: ExamDelivery, place: Place, command: c.Command) -> None:
        match command:
            case c.StartClient(epoch, delivery_id, expects_data):
                template = planning.template_digest(stored.spec)
                port = stored.spec.access.port
                wanted = Start(delivery_id, epoch, template, port, expects_data)
                self._silent_since.pop(place.uid, None)
                self._processes.start(place, wanted)
            case c.StopClient(reason):
                self._processes.stop(place, reason)
            case c.KillClient(reason):
                self._processes.kill(place, reason)
            case c.DeleteSecret(reason):
                self._refuse_while_alive(place)
                log.info("secret.deleted", delivery_uid=place.uid, reason=reason)
                await asyncio.to_thread(place.delete_secret)
            case c.DeleteVolume(reason):
                self._refuse_while_alive(place)
                log.info("volume.deleted", delivery_uid=place.uid, reason=reason)
                await asyncio.to_thread(place.delete_volume)
            case _:
                raise EdgeError(f"the process edge does not know {type(command).__name__}")

    async def _put_desired(self, place: Place, desired: Desired) -> None:
        """Silence and a refusal are both answered by the next look, which sees what is in force."""
        record = self._processes.record(place.uid)
        if record is None:
            return
        try:
            url, key = _control_url(record.port), place.control_key()
            refused = await self._control.put_desired(url, key, desired)
        except ClientSilent:
            return
        if refused is not None:
            log.warning("desired.refused", delivery_uid=place.uid, mode=desired.mode, code=refused)

    def _refuse_while_alive(self, place: Place) -> None:
        if self._processes.is_alive(place.uid) or kernel.is_locked(place.lock):
            raise EdgeError("an exam-client still uses it; nothing is deleted under it")

    def _release(self, key: Key, place: Place) -> None:
        self._processes.forget(place.uid)
        self._silent_since.pop(place.uid, None)
        self._registrar.forget(place.uid)
        place.remove_rest()
        self._store.remove(key)

    async def _child(self, place: Place, client: ClientStatus | None) -> Child | None:
        record = self._processes.record(place.uid)
        if record is None:
            return None
        alive = self._processes.is_alive(place.uid)
        since = self._silent_since.get(place.uid) if alive and client is None else None
        return Child(
            epoch=record.epoch,
            pod=PodStatus(
                name=f"pid-{record.pid}" if alive else None,
                uid=record.pod_uid,
                started_at=record.started_at,
            ),
            endpoint=self._endpoint(record.port),
            alive=alive,
            template=record.template,
            stopping_since=record.stopping_since,
            unanswered_since=since,
            live_probe_failed=await self._probe_failed(record.port, since),
        )

    async def _probe_failed(self, port: int, since: datetime | None) -> bool:
        if since is None or (self._now() - since).total_seconds() < _PROBE_AFTER_SECONDS:
            return False
        return not await self._control.is_live(_control_url(port))

    def _secret(self, stored: ExamDelivery, place: Place) -> Secret:
        secret, reference = place.look_at_secret(), stored.spec.encryption.key_secret_ref
        if secret.state is SecretState.ABSENT and reference is not None:
            return replace(secret, problem=key_file_problem(self._key_file(reference.name)))
        return secret

    def _key_file(self, name: str) -> Path:
        return self._settings.key_secrets / name / "storage.key"

    def _endpoint(self, port: int) -> EndpointStatus:
        settings = self._settings
        return EndpointStatus(
            internal=f"http://{settings.client_host}:{port}",
            public=f"http://{settings.public_host}:{port}",
            control=_control_url(port),
        )

    def _place(self, stored: ExamDelivery) -> Place:
        uid = stored.metadata.uid or ""
        return Place(self._settings.deliveries / uid, uid)


def _control_url(port: int) -> str:
    return f"http://127.0.0.1:{port + ports.CONTROL_OFFSET}"
