"""One look at a delivery in a cluster: from memory while all is quiet, from the API when it is not.

A watch may lose an end; so whoever does not answer, and every phase in which something is made or
taken away, is looked at in the API itself.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from exam_contract.control import ClientStatus
from exam_contract.delivery import END_PHASES, FINALIZER, Phase
from exam_operator.adapters.coordinator import Registrar
from exam_operator.adapters.exam_client import ControlPort
from exam_operator.adapters.signatures import check_receipt
from exam_operator.cluster.api import ClusterApi, Kind
from exam_operator.cluster.complaints import Complaints
from exam_operator.cluster.holding import Holding
from exam_operator.cluster.memory import Known, Looked, finalizers
from exam_operator.cluster.reaching import Reaching, url_of_running
from exam_operator.core import manifests, names, sightings
from exam_operator.core.world import Child, Exit, Observed, Trouble, Volume
from exam_operator.errors import ClientSilent

Json = dict[str, Any]
_QUIET = frozenset({Phase.PREPARED, Phase.RUNNING})
_SUSPICION = timedelta(seconds=10)
_NODE_FRESH = timedelta(seconds=5)
_JUST_HEARD_SECONDS = 1.0
_MAKING_SECONDS = 15.0


class Looking:
    """Fills one ``Observed``."""

    def __init__(
        self,
        api: ClusterApi,
        control: ControlPort,
        registrar: Registrar,
        holding: Holding,
        reaching: Reaching,
        platform: manifests.Platform,
        now: Callable[[], datetime],
    ) -> None:
        self._api, self._control, self._registrar = api, control, registrar
        self._holding, self._reaching, self._now = holding, reaching, now
        self._platform, self._complaints = platform, Complaints(api, now)
        self._nodes: dict[str, tuple[datetime, tuple[str | None, bool]]] = {}

    async def look(self, known: Known) -> Observed:
        """Raises EdgeError where the API does not answer."""
        phase = known.stored.status.phase
        secret = await self._secret(known)
        client = await self._ask(known)
        seen = known.pod.known and known.claim.known
        if client is None or not seen or phase not in _QUIET:
            before = known.pod.found
            await self._look_again(known)
            if known.pod.found != before:
                client = await self._ask(known)
        shown = client.transfer.receipt if client is not None else None
        child, volume = await self._child(known, client), await self._volume(known)
        access = known.access if phase in END_PHASES else await self._reaching.look(known)
        known.judged = (known.raw, known.stored)
        return Observed(
            object=known.stored,
            child=child,
            client=client,
            secret=sightings.secret(secret, sightings.digest_on(known.claim.found), known.uid),
            volume=volume,
            registered=self._registrar.registered(known.uid),
            receipt=check_receipt(shown, known.trust) if shown is not None else None,
            exits=tuple(known.exits),
            access=access,
            refused=known.refusal(self._now()),
            unstarted=known.unstarted,
            protected=FINALIZER in finalizers(known.raw),
        )

    def note_pod(self, known: Known, pod: Json | None) -> bool:
        """Take over a pod, or that it is gone; says whether anything changed.

        One under the delivery's name that is somebody else's is not there: it only holds the place.
        """
        pod = None if sightings.foreign(pod, known.uid) else pod
        before = known.pod.found
        if not known.pod.see(pod):
            return False
        if before is not None and (pod is None or pod["metadata"]["uid"] != _uid(before)):
            gone = Exit(self._now(), known.was_ready, asked=True, reason="PodDeleted")
            known.note_exit(_uid(before), _restarts(before), gone)
            known.silent_since = None
        if pod is not None:
            known.was_ready = known.was_ready or sightings.is_ready(pod)
            self._note_end(known, pod)
        return True

    async def ask(self, known: Known) -> ClientStatus | None:
        """What the exam-client says; None when it is silent or not there."""
        return await self._ask(known)

    async def _look_again(self, known: Known) -> None:
        namespace, name = known.stored.metadata.namespace, names.child_name(known.uid)
        if _is_over(known) and known.claim.known and known.claim.found is None:
            return
        if _is_untouched(known):
            return
        # Who starts an exam-client has written its epoch before: without one there is no pod.
        if known.stored.status.epoch > 0 and not _just_heard(known, known.pod):
            self.note_pod(known, await self._api.get(Kind.POD, namespace, name))
        if not _just_heard(known, known.claim):
            known.claim.see(await self._api.get(Kind.CLAIM, namespace, name))

    async def _secret(self, known: Known) -> Json | None:
        if _is_untouched(known):
            return None
        if _is_over(known) and known.secret.known and known.secret.found is None:
            return None
        return await self._holding.look_at_secret(known)

    def _note_end(self, known: Known, pod: Json) -> None:
        """A container that ended, by its place in the row of its pod's containers."""
        end = sightings.exits(pod, was_ready=known.was_ready)
        if end is None:
            return
        again = _restarts(pod)
        place = again if sightings.ended_now(pod) else again - 1
        known.note_exit(_uid(pod), place, end)

    async def _ask(self, known: Known) -> ClientStatus | None:
        url = url_of_running(known.pod.found)
        if url is None or known.control_key is None:
            return None
        server = names.dns_name(known.uid, known.stored.metadata.namespace)
        try:
            client = await self._control.status(url, known.control_key, server_name=server)
        except ClientSilent:
            known.silent_since = known.silent_since or self._now()
            return None
        if client.delivery_uid != known.uid:
            return None
        known.silent_since = None
        known.was_ready = known.was_ready or client.content.ready
        return client

    async def _child(self, known: Known, client: ClientStatus | None) -> Child | None:
        pod = known.pod.found
        if pod is None:
            return None
        since = known.silent_since if client is None else None
        suspect = since is not None and self._now() - since >= _SUSPICION
        trouble, lost = await self._node(pod) if suspect or _is_leaving(pod) else (None, False)
        probed = suspect and await self._is_dead(known, pod)
        around = sightings.Around(
            endpoint=self._reaching.endpoint(known, pod),
            unanswered_since=since,
            live_probe_failed=probed,
            node_trouble=trouble,
            node_lost=lost,
            platform=manifests.platform_digest(known.stored, self._platform),
            complaint=await self._complaint(pod),
        )
        return sightings.child(pod, around)

    async def _is_dead(self, known: Known, pod: Json) -> bool:
        url, namespace = url_of_running(pod), known.stored.metadata.namespace
        server = names.dns_name(known.uid, namespace)
        return url is not None and not await self._control.is_live(url, server_name=server)

    async def _node(self, pod: Json) -> tuple[str | None, bool]:
        name = pod.get("spec", {}).get("nodeName")
        if not name:
            return None, False
        now = self._now()
        self._nodes = {
            one: looked for one, looked in self._nodes.items() if now - looked[0] < _NODE_FRESH
        }
        if name not in self._nodes:
            found = await self._api.get(Kind.NODE, None, name)
            self._nodes[name] = (now, sightings.node_trouble(found))
        return self._nodes[name][1]

    async def _volume(self, known: Known) -> Volume:
        claim = known.claim.found
        if claim is not None and claim.get("status", {}).get("phase") == "Pending":
            complaint = await self._complaints.about(claim)
        else:
            complaint = None
        warning = None if complaint is None else complaint.message
        return sightings.volume(claim, known.stored, warning)

    async def _complaint(self, pod: Json) -> Trouble | None:
        """What keeps a pod from beginning though a node took it."""
        if not sightings.is_stuck(pod):
            return None
        return await self._complaints.about(pod)


def _is_untouched(known: Known) -> bool:
    """Nothing is made in this phase, and nobody else makes what bears this uid."""
    status = known.stored.status
    return status.phase is Phase.ASSIGNED and status.epoch == 0


def _just_heard(known: Known, looked: Looked) -> bool:
    """While a delivery is made, what the API said lately is what it would say again.

    Whatever is wrong about that, the next look after the start finds and mends.
    """
    status = known.stored.status
    if status.phase is not Phase.PREPARING:
        return False
    return looked.heard_within(_JUST_HEARD_SECONDS if status.epoch > 0 else _MAKING_SECONDS)


def _is_over(known: Known) -> bool:
    """An end without a pod: nothing moves here by itself any more."""
    ended = known.stored.status.phase in END_PHASES
    return ended and known.pod.known and known.pod.found is None


def _uid(pod: Json) -> str:
    return str(pod["metadata"]["uid"])


def _restarts(pod: Json) -> int:
    return sightings.restart_count(pod)


def _is_leaving(pod: Json) -> bool:
    return pod["metadata"].get("deletionTimestamp") is not None
