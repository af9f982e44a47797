"""Makes and holds what belongs to a delivery: keys, volume claim, and their protection.

Keys and claim are made once, held by our finalizer while their data is not handed over, and from
then on owned by the object, so that its deletion takes them along without the operator.
"""

import asyncio
import base64
import contextlib
import secrets
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from exam_contract.delivery import FINALIZER, NAMESPACE_LABEL
from exam_contract.trust import TrustRoot
from exam_operator.cluster.api import ClusterApi, Kind
from exam_operator.cluster.memory import Known, Looked, Memory, finalizers, key_of
from exam_operator.core import access, manifests, names, sightings
from exam_operator.core.world import SecretState
from exam_operator.errors import AlreadyThere, EdgeError, Refused

Json = dict[str, Any]
LOOK_EVERY = timedelta(seconds=2)
"""Shorter than any calm wait, so that each look of a quiet delivery sees its keys anew."""
_LOOKS_A_SECOND = 20


class Holding:
    """``look_at_secret`` never asks more than 20 times a second, for all deliveries together."""

    def __init__(self, api: ClusterApi, memory: Memory, now: Callable[[], datetime]) -> None:
        self._api, self._memory, self._now = api, memory, now
        self._second, self._looks = 0, 0
        self._marking = asyncio.Lock()
        self._marked: set[str] = set()
        self._protecting: Counter[str] = Counter()

    async def look_at_secret(self, known: Known) -> Json | None:
        """The keys, looked at anew unless they were a moment ago. Raises EdgeError."""
        if known.secret.known and not self._may_look_again(known):
            return known.secret.found
        name, namespace = names.child_name(known.uid), known.stored.metadata.namespace
        found = await self._api.get(Kind.SECRET, namespace, name)
        known.secret.forget()
        self._take_over(known, found)
        return found

    async def make_secret(self, known: Known, trust: TrustRoot, key_secret: str | None) -> None:
        """Draw the keys, once; ``key_secret`` names the Secret to copy storage.key from."""
        storage_key = await self._given_key(known, key_secret)
        parts = {
            "storage.key": storage_key or secrets.token_bytes(sightings.STORAGE_KEY_BYTES),
            "control.key": secrets.token_hex(32).encode(),
            "trust.json": trust.model_dump_json().encode(),
        }
        data = {name: base64.b64encode(part).decode() for name, part in parts.items()}
        made = await self._create(Kind.SECRET, known, manifests.keys(known.stored, data))
        known.secret.forget()
        if made is not None:
            self._take_over(known, made)

    async def make_claim(self, known: Known) -> None:
        """The volume; it carries the digest of the keys that belong to it."""
        found = await self.look_at_secret(known)
        state = sightings.secret(found, None, known.uid).state
        if found is None or state is not SecretState.PRESENT:
            raise EdgeError("the volume waits for its keys")
        digest = sightings.secret_digest(sightings.decoded(found))
        made = await self._create(Kind.CLAIM, known, manifests.claim(known.stored, digest))
        known.claim.forget()
        if made is not None:
            known.claim.see(made)

    async def protect(self, known: Known) -> None:
        """Label the namespace, guard it against disruption, hold the object; in this order."""
        namespace = known.stored.metadata.namespace
        self._protecting[namespace] += 1
        try:
            if namespace not in self._marked:
                async with self._marking:
                    if namespace not in self._marked:  # nor by who waited here before
                        await self._mark(namespace)
            await self._set_finalizers(known, [*finalizers(known.raw), FINALIZER])
        finally:
            self._protecting[namespace] -= 1

    async def lift(self, known: Known) -> None:
        """Give pod, claim and keys into the hands of the object, then let the object go."""
        meta, name = known.stored.metadata, names.child_name(known.uid)
        label = {"metadata": {"labels": {names.PROTECTED_LABEL: None}}}
        await self._api.merge(Kind.POD, meta.namespace, name, label)
        for kind, looked in ((Kind.CLAIM, known.claim), (Kind.SECRET, known.secret)):
            await self._hand_over(kind, known)
            looked.forget()
        await self._adopt_certificate(known)
        await self._set_finalizers(known, _without_ours(known.raw))
        await self.tidy(meta.namespace)

    async def release(self, known: Known) -> None:
        """Nothing is left below the object."""
        await self._adopt_certificate(known)
        await self._set_finalizers(known, _without_ours(known.raw))
        self._memory.drop(key_of(known.raw), known.uid)
        await self.tidy(known.stored.metadata.namespace)

    async def tidy(self, namespace: str) -> None:
        """Unlabel a namespace that holds no untransferred data any more."""
        async with self._marking:
            if self._holds(namespace):
                return
            held = await self._api.listed(Kind.DELIVERY, namespace)
            if self._holds(namespace) or any(FINALIZER in finalizers(raw) for raw in held):
                return
            self._marked.discard(namespace)  # before anything is awaited: a new one marks it again
            label = {"metadata": {"labels": {NAMESPACE_LABEL: None}}}
            await self._api.merge(Kind.NAMESPACE, None, namespace, label)

    async def keep_marked(self, namespace: str) -> None:
        """Label and budget as they should be, whatever somebody did to them."""
        if not self._holds(namespace):
            await self.tidy(namespace)
            return
        async with self._marking:
            await self._mark(namespace)

    def _holds(self, namespace: str) -> bool:
        return bool(self._protecting[namespace]) or any(self._memory.protected_in(namespace))

    async def _mark(self, namespace: str) -> None:
        label = {"metadata": {"labels": {NAMESPACE_LABEL: "true"}}}
        await self._api.merge(Kind.NAMESPACE, None, namespace, label)
        try:
            budget = access.disruption_budget(namespace)
            await self._api.create(Kind.DISRUPTION_BUDGET, namespace, budget)
        except AlreadyThere:
            pass
        self._marked.add(namespace)

    async def destroy(self, kind: Kind, known: Known, looked: Looked) -> None:
        """Delete claim or keys, and let them go. Raises EdgeError while a pod is there."""
        meta, name = known.stored.metadata, names.child_name(known.uid)
        if await self._api.get(Kind.POD, meta.namespace, name) is not None:
            known.pod.forget()
            raise EdgeError("an exam-client is still there; nothing is deleted under it")
        found = await self._api.get(kind, meta.namespace, name)
        looked.forget()
        if found is None or _label(found) != known.uid:
            return
        await self._api.delete(kind, meta.namespace, name, found["metadata"]["uid"])
        await self._hand_over(kind, known)

    async def _hand_over(self, kind: Kind, known: Known) -> None:
        meta, name = known.stored.metadata, names.child_name(known.uid)
        found = await self._api.get(kind, meta.namespace, name)
        if found is None or _label(found) != known.uid:
            return
        seen = found["metadata"]
        owners = [
            *(one for one in seen.get("ownerReferences") or [] if one["uid"] != known.uid),
            names.owner(known.stored),
        ]
        change = {
            "resourceVersion": seen["resourceVersion"],
            "finalizers": _without_ours(found),
            "ownerReferences": owners,
        }
        await self._api.merge(kind, meta.namespace, name, {"metadata": change})

    async def _adopt_certificate(self, known: Known) -> None:
        """cert-manager leaves the Secret behind that it filled; it is to go with the object."""
        namespace, name = known.stored.metadata.namespace, names.tls_name(known.uid)
        found = await self._api.get(Kind.SECRET, namespace, name)
        if found is None or _label(found) != known.uid or found["metadata"].get("ownerReferences"):
            return
        change = {
            "resourceVersion": found["metadata"]["resourceVersion"],
            "ownerReferences": [names.owner(known.stored)],
        }
        await self._api.merge(Kind.SECRET, namespace, name, {"metadata": change})

    async def _set_finalizers(self, known: Known, wanted: list[str]) -> None:
        if wanted == finalizers(known.raw):
            return
        meta = known.raw["metadata"]
        change = {"resourceVersion": meta["resourceVersion"], "finalizers": wanted}
        raw = await self._api.merge(
            Kind.DELIVERY, meta["namespace"], meta["name"], {"metadata": change}
        )
        if raw is not None:
            self._memory.see(raw)

    def _take_over(self, known: Known, found: Json | None) -> None:
        known.secret.see(found)
        known.secret_at = self._now()
        if found is not None:
            _learn(known, found)

    async def _create(self, kind: Kind, known: Known, manifest: Json) -> Json | None:
        try:
            return await self._api.create(kind, known.stored.metadata.namespace, manifest)
        except AlreadyThere:  # made by us a moment ago, or somebody else's: the next look tells
            return None

    async def _given_key(self, known: Known, name: str | None) -> bytes | None:
        """Raises Refused in words when the Secret of ``encryption.keySecretRef`` is no key."""
        if name is None:
            return None
        found = await self._api.get(Kind.SECRET, known.stored.metadata.namespace, name)
        key = sightings.decoded(found).get("storage.key", b"") if found else b""
        if len(key) != sightings.STORAGE_KEY_BYTES:
            raise Refused(
                "KeySecretUnusable",
                f"encryption.keySecretRef: Secret {name} must exist with 32 bytes in storage.key",
            )
        return key

    def _may_look_again(self, known: Known) -> bool:
        now = self._now()
        every = max(LOOK_EVERY, timedelta(seconds=len(self._memory) / _LOOKS_A_SECOND))
        if known.secret_at is not None and now - known.secret_at < every:
            return False
        second = int(now.timestamp())
        if second != self._second:
            self._second, self._looks = second, 0
        self._looks += 1
        return self._looks <= _LOOKS_A_SECOND


def _learn(known: Known, found: Json) -> None:
    """The control key and the trust root stay known, even if the Secret is lost.

    From somebody else's nothing is learned; from what belongs to the volume, anew.
    """
    data, wanted = sightings.decoded(found), sightings.digest_on(known.claim.found)
    if wanted is None and sightings.foreign(found, known.uid):
        return
    whole = all(data.get(part) for part in sightings.SECRET_PARTS)
    proven = whole and sightings.secret_digest(data) == wanted
    control = data.get("control.key", b"").strip()
    if (proven or known.control_key is None) and control.isascii() and control.isalnum():
        known.control_key = control.decode()
    if (proven or known.trust is None) and data.get("trust.json"):
        with contextlib.suppress(ValidationError):  # that it was altered is told by its digest
            known.trust = TrustRoot.model_validate_json(data["trust.json"])


def _without_ours(raw: Json) -> list[str]:
    return [one for one in finalizers(raw) if one != FINALIZER]


def _label(found: Json) -> str | None:
    label: str | None = (found["metadata"].get("labels") or {}).get(names.DELIVERY_LABEL)
    return label
