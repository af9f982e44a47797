"""The cluster edge: looks at a delivery's objects, and obeys a plan's commands with them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError

from exam_contract.control import Desired
from exam_contract.delivery import ExamDeliveryStatus
from exam_operator.adapters.coordinator import Registrar
from exam_operator.adapters.exam_client import ControlPort
from exam_operator.cluster.api import ClusterApi, Kind
from exam_operator.cluster.holding import Holding
from exam_operator.cluster.looking import Looking
from exam_operator.cluster.memory import Known, Memory, key_of
from exam_operator.cluster.reaching import Reaching, url_of_running
from exam_operator.cluster.telling import Telling
from exam_operator.core import commands as c
from exam_operator.core import manifests, names, planning, recovery, sightings
from exam_operator.core.world import Key, Observed, Trouble
from exam_operator.errors import AlreadyThere, Busy, ClientSilent, EdgeError, Refused, Stale

Json = dict[str, Any]
log = structlog.get_logger(__name__)


class ClusterEdge:
    """Nothing is ever force-deleted, and no running pod is touched for the operator's own sake."""

    def __init__(
        self,
        api: ClusterApi,
        memory: Memory,
        control: ControlPort,
        registrar: Registrar,
        holding: Holding,
        reaching: Reaching,
        platform: manifests.Platform,
        now: Callable[[], datetime],
    ) -> None:
        self._api, self._memory, self._control = api, memory, control
        self._registrar, self._holding, self._reaching = registrar, holding, reaching
        self._platform, self._now = platform, now
        self.telling = Telling(api, now)
        self.looking = Looking(api, control, registrar, holding, reaching, platform, now)

    def all_keys(self) -> list[Key]:
        return self._memory.keys()

    async def observe(self, key: Key) -> Observed | None:
        known = self._memory.get(key) or await self._find(key)
        return None if known is None else await self.looking.look(known)

    async def apply(self, key: Key, command: c.Command) -> None:
        known = self._memory.get(key)
        if known is None or known.judged is None:
            raise Stale("the object is gone, or another one by now")
        try:
            await self._obey(key, known, command)
        except Refused as refusal:
            trouble = Trouble(refusal.reason, str(refusal))
            known.refused[type(command).__name__] = (trouble, self._now())
            raise
        except Stale:
            await self._find(key)
            raise
        known.refused.pop(type(command).__name__, None)

    async def _obey(self, key: Key, known: Known, command: c.Command) -> None:
        match command:
            case c.WriteStatus(status):
                await self._write_status(known, status)
            case c.RegisterDelivery(body):
                self._registrar.hand_over(key, known.uid, body)
            case c.Protect():
                await self._holding.protect(known)
            case c.LiftProtection():
                await self._holding.lift(known)
            case c.EnsureAccess():
                await self._reaching.ensure(known)
            case c.ReleaseObject():
                await self._holding.release(known)
            case c.StartClient() | c.StopClient() | c.PutDesired() | c.KillClient():
                await self._obey_about_client(known, command)
            case _:
                await self._obey_about_data(known, command)

    async def _obey_about_data(self, known: Known, command: c.Command) -> None:
        match command:
            case c.EnsureSecret(trust, key_secret):
                await self._holding.make_secret(known, trust, key_secret)
            case c.EnsureVolume():
                await self._holding.make_claim(known)
            case c.DeleteSecret():
                await self._holding.destroy(Kind.SECRET, known, known.secret)
            case c.DeleteVolume():
                await self._holding.destroy(Kind.CLAIM, known, known.claim)
            case _:
                raise EdgeError(f"the cluster edge does not know {type(command).__name__}")

    async def _obey_about_client(
        self, known: Known, command: c.StartClient | c.StopClient | c.PutDesired | c.KillClient
    ) -> None:
        match command:
            case c.StartClient():
                await self._start(known, command)
            case c.StopClient(reason, hung):
                await self._stop(known, reason, hung=hung)
            case c.PutDesired(desired):
                await self._put_desired(known, desired)
            case c.KillClient():
                pass  # the kubelet does, once the grace of the deletion that was asked for is over

    async def _write_status(self, known: Known, status: ExamDeliveryStatus) -> None:
        """The version that was judged, or nothing: an epoch is never given twice."""
        if known.judged is None:
            raise Stale("another object by now")
        raw, stored = known.judged
        meta = raw["metadata"]
        document = {
            **stored.to_dict(),
            "metadata": {
                name: meta[name] for name in ("name", "namespace", "uid", "resourceVersion")
            },
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        self._memory.see(await self._api.replace_status(Kind.DELIVERY, document))
        self.telling.tell(stored, status)

    async def _start(self, known: Known, wanted: c.StartClient) -> None:
        stored = known.stored
        template = planning.template_digest(stored.spec)
        start = manifests.Start(
            wanted.epoch, wanted.delivery_id, template, known.origin, wanted.expects_data
        )
        manifest = manifests.pod(stored, start, self._platform)
        try:
            made = await self._api.create(Kind.POD, stored.metadata.namespace, manifest)
        except AlreadyThere:
            known.pod.forget()
            await self._check_whose(known, wanted.epoch)
            raise Stale("a pod of that name is there already") from None
        except (Busy, Refused, Stale):
            known.unstarted = wanted.epoch
            raise
        known.silent_since, known.was_ready, known.unstarted = None, False, None
        self.looking.note_pod(known, made)
        log.info("client.started", delivery_uid=known.uid, epoch=wanted.epoch)

    async def _check_whose(self, known: Known, epoch: int) -> None:
        """Raises Refused where the place is held by a pod that is not the delivery's."""
        name = names.child_name(known.uid)
        found = await self._api.get(Kind.POD, known.stored.metadata.namespace, name)
        if sightings.foreign(found, known.uid):
            known.unstarted = epoch
            raise Refused("NameTaken", sightings.name_taken("pod", name))

    async def _stop(self, known: Known, reason: str, *, hung: bool) -> None:
        pod = known.pod.found
        if pod is None:
            return
        meta = pod["metadata"]
        log.info("client.stopping", delivery_uid=known.uid, reason=reason, hung=hung)
        grace = recovery.HUNG_GRACE_SECONDS if hung else None
        place = (meta["namespace"], meta["name"], meta["uid"])
        await self._api.delete(Kind.POD, *place, grace_seconds=grace)
        found = await self._api.get(Kind.POD, meta["namespace"], meta["name"])
        self.looking.note_pod(known, found)

    async def _put_desired(self, known: Known, desired: Desired) -> None:
        """Silence and a refusal are both answered by the next look, which sees what is in force."""
        url, key = url_of_running(known.pod.found), known.control_key
        if url is None or key is None:
            return
        server = names.dns_name(known.uid, known.stored.metadata.namespace)
        try:
            refused = await self._control.put_desired(url, key, desired, server_name=server)
        except ClientSilent:
            return
        if refused is not None:
            log.warning("desired.refused", delivery_uid=known.uid, mode=desired.mode, code=refused)

    async def catch_up(self, namespace: str) -> list[Key]:
        """Compare memory with the API: the net under every watch. Returns what there is to do."""
        before = self._memory.uids_in(namespace)
        listed = await self._api.listed(Kind.DELIVERY, namespace)
        there = {raw["metadata"]["uid"] for raw in listed}
        gone = [key for key, uid in before.items() if uid not in there]
        for key in gone:
            self._memory.drop(key, before[key])
        return [*gone, *(key_of(raw) for raw in listed if self._is_news(raw))]

    def _is_news(self, raw: Json) -> bool:
        try:
            return self._memory.see(raw)[1]
        except ValidationError:
            return False  # the watch has told of it already

    async def _find(self, key: Key) -> Known | None:
        """The object as the API has it now."""
        raw = await self._api.get(Kind.DELIVERY, key.namespace, key.name)
        if raw is None:
            self._memory.drop(key)
            return None
        try:
            return self._memory.see(raw)[0]
        except ValidationError as error:
            faults = error.error_count()
            raise EdgeError(f"this operator can't read the object ({faults} faults)") from None
