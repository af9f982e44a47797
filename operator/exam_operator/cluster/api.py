"""The Kubernetes API as the cluster edge uses it: raw objects, five verbs, our own errors.

Every call is bounded in time and counted by verb and status code. Deletions carry the uid of what
was seen, so that nothing newer is ever deleted in its place.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import aiohttp
from kubernetes.aio import client, config

from exam_contract.delivery import GROUP, PLURAL, VERSION
from exam_operator.adapters.metrics import OperatorMetrics
from exam_operator.errors import AlreadyThere, Busy, EdgeError, Refused, Stale

Json = dict[str, Any]
_TIMEOUT_SECONDS = 15
_PAGE = 500
_LONGEST_PAUSE_SECONDS = 60.0
_LACKS_A_RIGHT = re.compile(r'User "[^"]*" cannot ')
_MERGE_PATCH = "application/merge-patch+json"


class Kind(Enum):
    """What the operator touches: API group and version, and the plural."""

    DELIVERY = (f"apis/{GROUP}/{VERSION}", PLURAL)
    POD = ("api/v1", "pods")
    CLAIM = ("api/v1", "persistentvolumeclaims")
    SECRET = ("api/v1", "secrets")
    SERVICE = ("api/v1", "services")
    CONFIG_MAP = ("api/v1", "configmaps")
    EVENT = ("api/v1", "events")
    NODE = ("api/v1", "nodes")
    NAMESPACE = ("api/v1", "namespaces")
    INGRESS = ("apis/networking.k8s.io/v1", "ingresses")
    HTTP_ROUTE = ("apis/gateway.networking.k8s.io/v1", "httproutes")
    BACKEND_TLS = ("apis/gateway.networking.k8s.io/v1", "backendtlspolicies")
    BACKEND_TLS_BEFORE = ("apis/gateway.networking.k8s.io/v1alpha3", "backendtlspolicies")
    """Until Gateway API 1.4."""
    CERTIFICATE = ("apis/cert-manager.io/v1", "certificates")
    DISRUPTION_BUDGET = ("apis/policy/v1", "poddisruptionbudgets")

    @property
    def version(self) -> str:
        return self.value[0].rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Reply:
    """``retry_after``: seconds, where the API server asked to be left alone for so long."""

    status: int
    body: Json
    retry_after: float | None = None


class ClusterApi:
    """Belongs to one event loop."""

    def __init__(self, http: client.ApiClient, metrics: OperatorMetrics) -> None:
        self._http, self._metrics = http, metrics

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Json | None:
        """The object; None when it is not there. Raises EdgeError."""
        reply = await self._call("GET", _path(kind, namespace, name), verb="get")
        return None if reply.status == 404 else _done(reply).body

    async def listed(self, kind: Kind, namespace: str | None, **query: str) -> list[Json]:
        """Objects of a namespace; ``query`` as labelSelector, fieldSelector. Raises EdgeError."""
        items: list[Json] = []
        wanted = {"limit": str(_PAGE), **query}
        while True:
            reply = await self._call("GET", _path(kind, namespace), query=wanted, verb="list")
            page = _done(reply).body
            items += page.get("items") or []
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return items
            wanted["continue"] = following

    async def check(self, kind: Kind, namespace: str) -> None:
        """Raises Refused in words where the kind is not known or may not be listed."""
        reply = await self._call("GET", _path(kind, namespace), query={"limit": "1"}, verb="list")
        if reply.status == 404:
            plural = kind.value[1]
            raise Refused("KindMissing", f"this cluster knows no {plural}; install the chart first")
        _done(reply)

    async def serves(self, kind: Kind) -> bool:
        """Whether the cluster has the kind in that version; anybody may ask. Raises EdgeError."""
        base, plural = kind.value
        reply = await self._call("GET", f"/{base}", verb="discover")
        if reply.status == 404:
            return False
        return any(one.get("name") == plural for one in _done(reply).body.get("resources") or [])

    async def create(self, kind: Kind, namespace: str, manifest: Json) -> Json:
        """Raises AlreadyThere, Refused, EdgeError; Stale where its quota was counted anew."""
        reply = await self._call("POST", _path(kind, namespace), manifest, verb="create")
        if reply.status == 409 and reply.body.get("reason") != "Conflict":
            raise AlreadyThere(_message(reply))
        if reply.status == 404:
            plural, said = kind.value[1], _message(reply)
            raise Refused("KindMissing", f"{plural} can't be made in {namespace}: {said}")
        return _done(reply).body

    async def replace_status(self, kind: Kind, stored: Json) -> Json:
        """Write the status of exactly the version that was seen. Raises Stale, Refused."""
        meta = stored["metadata"]
        path = _path(kind, meta["namespace"], meta["name"]) + "/status"
        return _done(await self._call("PUT", path, stored, verb="update_status")).body

    async def replace(self, kind: Kind, manifest: Json) -> Json:
        """Raises Stale, Refused."""
        meta = manifest["metadata"]
        path = _path(kind, meta.get("namespace"), meta["name"])
        return _done(await self._call("PUT", path, manifest, verb="update")).body

    async def merge(
        self, kind: Kind, namespace: str | None, name: str, change: Json
    ) -> Json | None:
        """Merge patch; None when the object is gone. Raises Stale, Refused."""
        path = _path(kind, namespace, name)
        reply = await self._call("PATCH", path, change, verb="patch", content=_MERGE_PATCH)
        return None if reply.status == 404 else _done(reply).body

    async def delete(
        self, kind: Kind, namespace: str, name: str, uid: str, *, grace_seconds: int | None = None
    ) -> None:
        """Graceful, and only that very object; gone already is done. Raises EdgeError.

        ``grace_seconds``: less than the object's own; never none at all.
        """
        body: Json = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = max(1, grace_seconds)
        reply = await self._call("DELETE", _path(kind, namespace, name), body, verb="delete")
        if reply.status not in (404, 409):  # 409: another uid has the name by now
            _done(reply)

    async def _call(
        self,
        method: str,
        path: str,
        body: Json | list[Json] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        verb: str,
        content: str = "application/json",
    ) -> Reply:
        headers = {"Accept": "application/json", "Content-Type": content}
        try:
            wanted = await self._http.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._http.call_api(*wanted, _request_timeout=_TIMEOUT_SECONDS)
            raw = await response.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, OSError, TimeoutError, config.ConfigException) as error:
            self._metrics.api_calls.labels(verb=verb, code="none").inc()
            raise EdgeError(f"the API server does not answer ({type(error).__name__})") from error
        self._metrics.api_calls.labels(verb=verb, code=str(response.status)).inc()
        return Reply(response.status, _parsed(raw), _pause(response.headers.get("Retry-After")))


async def connect(kubeconfig: str | None, context: str | None = None) -> client.ApiClient:
    """From the pod's ServiceAccount, else from a kubeconfig. Raises EdgeError in words."""
    made = client.Configuration()
    made.client_session_kwargs = {"trust_env": False}
    made.retries = None
    try:
        if kubeconfig is None:
            config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=made
            )
        else:
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=kubeconfig, context=context, client_configuration=made
            )
    except (config.ConfigException, OSError) as error:
        raise EdgeError(
            f"no way to the Kubernetes API: {error}. Outside a pod set KUBECONFIG"
        ) from error
    return client.ApiClient(made)


def _path(kind: Kind, namespace: str | None, name: str | None = None) -> str:
    base, plural = kind.value
    place = f"/{base}/namespaces/{namespace}/{plural}" if namespace else f"/{base}/{plural}"
    return place if name is None else f"{place}/{name}"


def _done(reply: Reply) -> Reply:
    """The reply when it is a success. Raises Stale, Refused, EdgeError."""
    if reply.status < 300:
        return reply
    said = _message(reply)
    match reply.status:
        case 404:
            raise Stale("the object is gone")
        case 409:
            raise Stale(said)
        case 403:
            raise _forbidden(said)
        case 400 | 422:
            raise Refused("RefusedByApi", said)
        case 429 if reply.retry_after is not None:
            raise Busy(reply.retry_after, f"the API server is overloaded: {said}")
        case _:
            raise EdgeError(f"the API server answered {reply.status}: {said}")


def _forbidden(said: str) -> Refused:
    """Of all that the API server forbids, only a missing right is the Role's fault."""
    if "exceeded quota" in said:
        return Refused("QuotaExceeded", f"{said}; raise the quota or free some of it")
    if "failed quota" in said:
        mend = "let a LimitRange of the namespace give what the quota asks for"
        return Refused("QuotaUnanswered", f"{said}; {mend}")
    if _LACKS_A_RIGHT.search(said):
        return Refused("Forbidden", f"{said}; see the operator's Role in the chart")
    return Refused("AdmissionRefused", f"{said}; it is made once nothing forbids it any more")


def _message(reply: Reply) -> str:
    return str(reply.body.get("message") or reply.status)[:1000]


def _pause(text: str | None) -> float | None:
    """As the API server writes it, in whole seconds; None for anything else."""
    if text is None or not text.isdecimal():
        return None
    return min(float(text), _LONGEST_PAUSE_SECONDS)


def _parsed(raw: bytes) -> Json:
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
