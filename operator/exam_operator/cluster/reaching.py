"""Keeps the way to each exam-client: Service, Ingress or HTTPRoute, certificate, and its URL.

Looked at when the object changes, when the Service does, and every few minutes; made or mended when
a plan asks for it.
"""

import base64
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from exam_contract.delivery import EndpointStatus, ExamDelivery
from exam_operator.adapters import certificates
from exam_operator.adapters.certificates import Authority
from exam_operator.cluster import backend_tls
from exam_operator.cluster.api import ClusterApi, Kind
from exam_operator.cluster.backend_tls import BackendTls
from exam_operator.cluster.memory import Known
from exam_operator.core import access, names, sightings
from exam_operator.core.manifests import CONTROL_PORT, PUBLIC_PORT, Platform
from exam_operator.core.world import Access, Trouble
from exam_operator.errors import AlreadyThere, Refused

Json = dict[str, Any]
_LOOK_EVERY = timedelta(minutes=5)
_LOOK_AGAIN = timedelta(seconds=5)
_NODE_HOST_FRESH = timedelta(seconds=30)
_CERT_MANAGER_PATIENCE = timedelta(seconds=15)
_ADDRESS_KINDS = ("ExternalIP", "InternalIP", "Hostname")
_WAYS_IN = {"Ingress": Kind.INGRESS, "HTTPRoute": Kind.HTTP_ROUTE}


class Reaching:
    """``authority`` is None where cert-manager signs; ``public_host``: of NodePort URLs."""

    def __init__(
        self,
        api: ClusterApi,
        platform: Platform,
        authority: Authority | None,
        backend_tls: BackendTls,
        public_host: str | None,
        now: Callable[[], datetime],
    ) -> None:
        self._api, self._platform, self._authority = api, platform, authority
        self._backend_tls, self._public_host, self._now = backend_tls, public_host, now
        self._host_of_a_node: tuple[datetime, str] | None = None

    async def look(self, known: Known) -> Access:
        """How the way stands; from memory where it was looked at lately. Raises EdgeError."""
        if known.access_generation < 0 and known.stored.status.epoch == 0:
            return known.access  # nothing was made yet: there is nothing to look at
        generation, since = known.stored.metadata.generation, known.access_at
        settled = known.access.ready and known.access.trouble is None
        ends = known.access.certificate_ends
        if known.silent_since is not None or (ends is not None and ends <= self._now()):
            settled = False  # its certificate may be the reason
        patience = _LOOK_EVERY if settled else _LOOK_AGAIN
        fresh = since is not None and self._now() - since < patience
        if fresh and known.access_generation == generation:
            return known.access
        try:
            known.access = await self._look(known)
        except Refused as refusal:
            known.access = Access(ready=False, trouble=Trouble(refusal.reason, str(refusal)))
        known.access_at, known.access_generation = self._now(), generation
        return known.access

    async def ensure(self, known: Known) -> None:
        """Make or mend all of it. Raises EdgeError."""
        known.access_at, known.access_generation = None, known.stored.metadata.generation
        stored, namespace = known.stored, known.stored.metadata.namespace
        left = await self._left_over(stored)
        for kind, one in left:
            await self._api.delete(kind, namespace, one["metadata"]["name"], one["metadata"]["uid"])
        made = dict[Kind, Json | None]()
        for kind, manifest in await self._standing(stored, known.origin):
            made[kind] = await self._ensure_one(kind, namespace, manifest)
        anew = all(one is not None for one in made.values())
        service = made.get(Kind.SERVICE)
        if service is not None:
            known.service.see(service)
        known.origin = await self._origin(known, service)
        ends = await self._ensure_certificate(known, anew=anew)
        if anew and not left and made.keys() == {Kind.SERVICE} and known.origin and ends:
            # Nothing but what was made just now: it need not be looked at.
            known.access, known.access_at = Access(ready=True, certificate_ends=ends), self._now()

    def endpoint(self, known: Known, pod: Json | None) -> EndpointStatus:
        """Where it is reached, by whom; as it was told last, until it is worked out anew."""
        meta = known.stored.metadata
        inside = f"https://{names.dns_name(known.uid, meta.namespace)}:{PUBLIC_PORT}"
        control = None if pod is None else control_url(pod)
        public = known.origin or known.stored.status.endpoint.public
        return EndpointStatus(internal=inside, public=public, control=control)

    async def _look(self, known: Known) -> Access:
        namespace = known.stored.metadata.namespace
        service = await self._api.get(Kind.SERVICE, namespace, names.of(known.stored))
        known.service.see(service)
        known.origin = await self._origin(known, service)
        trouble: Trouble | None = None
        for kind, manifest in await self._standing(known.stored, known.origin):
            found = service
            if kind is not Kind.SERVICE:
                found = await self._api.get(kind, namespace, manifest["metadata"]["name"])
            if found is None or _asked(found) != _asked(manifest):
                return Access(ready=False)
            trouble = trouble or sightings.attachment_trouble(found)
        if known.origin is None or not await self._is_closed(known):
            return Access(ready=False)  # the Service has no port yet, or another way is open still
        if known.stored.spec.access.type == "HTTPRoute" and await self._backend_tls.kind() is None:
            trouble = backend_tls.UNSERVED
        return await self._look_at_certificate(known, trouble)

    async def _look_at_certificate(self, known: Known, trouble: Trouble | None) -> Access:
        """``trouble``: what is told of a way that stands."""
        held = await self._held(known)
        expires = certificates.expires_at(held)
        if expires is None and self._authority is None:
            return Access(ready=False, trouble=self._pending(known.stored))
        if expires is not None and expires <= self._now():
            return Access(ready=False, certificate_ends=expires)
        ready = self._authority is None or self._is_current(known, held)
        return Access(ready=ready, trouble=trouble, certificate_ends=expires)

    def _pending(self, stored: ExamDelivery) -> Trouble | None:
        """Told only when it takes longer than it should."""
        created = stored.metadata.creation_timestamp
        if created is not None and self._now() - created < _CERT_MANAGER_PATIENCE:
            return None
        message = "cert-manager has not issued the certificate; see its Certificate object"
        return Trouble("CertificatePending", message)

    def _is_current(self, known: Known, held: Mapping[str, bytes]) -> bool:
        trusted = self._authority.trusted() if self._authority else None
        return certificates.is_current(held, self._hosts(known), trusted, self._now())

    async def _standing(self, stored: ExamDelivery, origin: str | None) -> list[tuple[Kind, Json]]:
        """Everything but the certificate's Secret; what a route needs stands before it."""
        wanted = [(Kind.SERVICE, access.service(stored, self._platform))]
        match stored.spec.access.type:
            case "Ingress":
                wanted.append((Kind.INGRESS, access.ingress(stored, self._platform)))
            case "HTTPRoute":
                wanted += await self._backend_tls.wanted(stored)
                wanted.append((Kind.HTTP_ROUTE, access.http_route(stored, self._platform)))
            case "ClusterIP" | "NodePort":
                pass
        issuer = self._platform.cert_manager_issuer
        if issuer is not None and self._authority is None:
            hosts = access.certificate_hosts(stored, _host_of(origin))
            wanted.append((Kind.CERTIFICATE, access.certificate(stored, hosts, issuer)))
        return wanted

    async def _is_closed(self, known: Known) -> bool:
        """Looked at once for each spec: only an edit or the operator opens a way."""
        generation = known.stored.metadata.generation
        if known.closed_generation != generation and not await self._left_over(known.stored):
            known.closed_generation = generation
        return known.closed_generation == generation

    async def _left_over(self, stored: ExamDelivery) -> list[tuple[Kind, Json]]:
        """An edit may have asked for another way: the old one must not stay open."""
        if stored.metadata.generation <= 1:
            return []
        others = [kind for word, kind in _WAYS_IN.items() if word != stored.spec.access.type]
        if Kind.HTTP_ROUTE in others:
            others += [kind for kind in [await self._backend_tls.kind()] if kind is not None]
        namespace, name = stored.metadata.namespace, names.of(stored)
        looked = [(kind, await self._api.get(kind, namespace, name)) for kind in others]
        return [(kind, found) for kind, found in looked if found is not None]

    async def _ensure_one(self, kind: Kind, namespace: str, manifest: Json) -> Json | None:
        """The object where it was made anew."""
        name = manifest["metadata"]["name"]
        try:
            return await self._api.create(kind, namespace, manifest)
        except AlreadyThere:
            found = await self._api.get(kind, namespace, name)
        if found is not None and _asked(found) != _asked(manifest):
            asked = access.body(manifest)
            if kind is Kind.INGRESS:  # a merge keeps what is not named
                asked["spec"] = {"tls": None, **asked["spec"]}
            notes = {"annotations": manifest["metadata"]["annotations"]}
            await self._api.merge(kind, namespace, name, {"metadata": notes, **asked})
        return None

    async def _ensure_certificate(self, known: Known, *, anew: bool) -> datetime | None:
        """When it ends, where it was made anew; ``anew``: there will hardly be one yet."""
        if self._authority is None:
            return None
        if not anew and self._is_current(known, await self._held(known)):
            return None
        issued = self._authority.issue(self._hosts(known), self._now())
        data = {name: base64.b64encode(pem).decode() for name, pem in issued.items()}
        manifest = access.certificate_secret(known.stored, data)
        namespace, name = known.stored.metadata.namespace, manifest["metadata"]["name"]
        try:
            await self._api.create(Kind.SECRET, namespace, manifest)
        except AlreadyThere:
            if not anew or not self._is_current(known, await self._held(known)):
                await self._api.merge(Kind.SECRET, namespace, name, {"data": data})
            return None
        return certificates.expires_at(issued)

    async def _held(self, known: Known) -> dict[str, bytes]:
        name = names.tls_name(known.uid)
        found = await self._api.get(Kind.SECRET, known.stored.metadata.namespace, name)
        return {} if found is None else sightings.decoded(found)

    def _hosts(self, known: Known) -> tuple[str, ...]:
        return access.certificate_hosts(known.stored, _host_of(known.origin))

    async def _origin(self, known: Known, service: Json | None) -> str | None:
        """The public URL; None while the Service has no port yet. ``service``: as just seen."""
        wanted, namespace = known.stored.spec.access, known.stored.metadata.namespace
        match wanted.type:
            case "Ingress" | "HTTPRoute":
                port = "" if wanted.port in (None, 443) else f":{wanted.port}"
                return f"https://{wanted.host}{port}"
            case "ClusterIP":
                return f"https://{names.dns_name(known.uid, namespace)}:{PUBLIC_PORT}"
            case "NodePort":
                if service is None:
                    service = await self._api.get(Kind.SERVICE, namespace, names.of(known.stored))
                port_number = _node_port(service)
                if port_number is None:
                    return None
                host = wanted.host or self._public_host or await self._node_host()
                return f"https://{_bracketed(host)}:{port_number}"

    async def _node_host(self) -> str:
        """The address of a node that is ready; a trial's way, since nodes come and go."""
        now, last = self._now(), self._host_of_a_node
        if last is None or now - last[0] >= _NODE_HOST_FRESH:
            self._host_of_a_node = last = (now, await self._find_node_host())
        return last[1]

    async def _find_node_host(self) -> str:
        for node in await self._api.listed(Kind.NODE, None):
            addresses = node.get("status", {}).get("addresses") or []
            by_kind = {one["type"]: one["address"] for one in addresses}
            for kind in _ADDRESS_KINDS:
                if kind in by_kind and sightings.node_trouble(node) == (None, False):
                    return str(by_kind[kind])
        message = "no node is ready, so a NodePort has no address; set operator.publicHost"
        raise Refused("NoNodeAddress", message)


def control_url(pod: Json) -> str | None:
    """Of the control port that this very pod was started with; None without an address."""
    address = pod.get("status", {}).get("podIP")
    port = sightings.control_port(pod) or CONTROL_PORT
    return f"https://{_bracketed(address)}:{port}" if address else None


def url_of_running(pod: Json | None) -> str | None:
    """Of the control port, where there is somebody who could answer."""
    return control_url(pod) if pod is not None and sightings.is_running(pod) else None


def _bracketed(host: str) -> str:
    """As a URL has it."""
    return f"[{host}]" if ":" in host else host


def _asked(manifest: Json) -> str | None:
    notes = manifest["metadata"].get("annotations") or {}
    asked: str | None = notes.get(names.WANTED_ANNOTATION)
    return asked


def _node_port(service: Json | None) -> int | None:
    ports = (service or {}).get("spec", {}).get("ports") or []
    return next((port.get("nodePort") for port in ports if port.get("name") == "public"), None)


def _host_of(origin: str | None) -> str | None:
    if origin is None:
        return None
    host = origin.removeprefix("https://").rsplit("/", 1)[0]
    if host.startswith("["):
        return host[1:].split("]", 1)[0]
    return host.split(":", 1)[0]
