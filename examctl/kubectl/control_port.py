"""The control port of one delivery's exam-client, as the holder of its Secret may use it.

Who answers is checked against the delivery's own certificate authority and name, whichever way the
bytes take; the control key is sent to nobody else.
"""

import base64
import binascii
import re
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import httpx

from exam_contract.delivery import ExamDelivery
from exam_operator.core import names
from exam_operator.core.manifests import CONTROL_PORT
from examctl.coordinator_api import refusal
from examctl.errors import ExamctlError, RefusedError, UnreachableError, UnreadableInputError
from examctl.kubectl.cluster import Cluster, Json, Kind
from examctl.kubectl.forwarding import forwarded

_TIMEOUT = httpx.Timeout(300.0, connect=10.0)
"""A large file is copied and checked before the first byte of its backup comes."""
_ADDRESS = re.compile(r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$")


@dataclass(frozen=True, slots=True)
class DeliveryKeys:
    """What the delivery's Secrets hold; ``repr`` shows none of it."""

    control: str = field(repr=False)
    storage_half: bytes = field(repr=False)
    authority: str = field(repr=False)


def read_keys(cluster: Cluster, stored: ExamDelivery) -> DeliveryKeys:
    """From the delivery's two Secrets. Raises ExamctlError when one is missing or damaged."""
    uid = stored.metadata.uid or ""
    own = _secret(cluster, names.child_name(uid), uid)
    tls = _secret(cluster, names.tls_name(uid), uid)
    authority = tls.get("ca.crt", b"").decode("ascii", "replace")
    if not authority:
        raise ExamctlError(
            f"Secret {names.tls_name(uid)} has no ca.crt: nobody could be verified with it",
            "its issuer must put its own certificate there",
        )
    control = own.get("control.key", b"").decode("ascii", "replace").strip()
    return DeliveryKeys(control, own.get("storage.key", b""), authority)


@contextmanager
def reached(
    cluster: Cluster, stored: ExamDelivery, keys: DeliveryKeys, address: str | None
) -> Iterator["ControlPort"]:
    """The control port, by a forwarded port of the pod or at an address that leads there."""
    trusting = _trusting(keys.authority)
    uid, namespace = stored.metadata.uid or "", stored.metadata.namespace
    with (
        _way(cluster, stored, address) as place,
        httpx.Client(
            base_url=f"https://{place}",
            verify=trusting,
            headers={"Authorization": f"Bearer {keys.control}"},
            timeout=_TIMEOUT,
            trust_env=False,
        ) as http,
    ):
        yield ControlPort(http, names.dns_name(uid, namespace))


class ControlPort:
    """Requests to the exam-client; its problems become errors in words."""

    def __init__(self, http: httpx.Client, server_name: str) -> None:
        self._http = http
        self._extensions = {"sni_hostname": server_name}

    def status(self) -> Any:
        """Its ``GET /status``."""
        with _in_words():
            reply = self._http.get("/status", extensions=self._extensions)
        if reply.is_error:
            raise _refusal(reply)
        return reply.json()

    @contextmanager
    def backup(self) -> Iterator[Iterator[bytes]]:
        """Its ``POST /backup``, piece by piece; a stream that breaks off raises."""
        with (
            _in_words(),
            self._http.stream("POST", "/backup", extensions=self._extensions) as reply,
        ):
            if reply.is_error:
                reply.read()
                raise _refusal(reply)
            yield _pieces(reply)


def _pieces(reply: httpx.Response) -> Iterator[bytes]:
    with _in_words():
        yield from reply.iter_raw()


def _way(
    cluster: Cluster, stored: ExamDelivery, address: str | None
) -> AbstractContextManager[str]:
    if address is not None:
        if not _ADDRESS.match(address):
            raise UnreadableInputError(f"--address {address!r} is not HOST:PORT")
        return nullcontext(address)
    pod = names.child_name(stored.metadata.uid or "")
    _check_running(cluster.get(Kind.POD, pod), pod, stored)
    return forwarded(cluster, pod, CONTROL_PORT)


def _check_running(found: Json | None, pod: str, stored: ExamDelivery) -> None:
    if found is None:
        raise UnreachableError(
            f"there is no pod {pod}: the delivery is in phase {stored.status.phase}",
            "`kubectl exam status` tells why and what can be done",
        )
    status = found.get("status") or {}
    containers: list[Json] = status.get("containerStatuses") or []
    container = containers[0] if containers else {}
    if "running" in (container.get("state") or {}):
        return
    waiting = (container.get("state") or {}).get("waiting") or {}
    why = waiting.get("reason") or status.get("reason") or "its container does not run"
    raise UnreachableError(
        f"pod {pod} is not running: {status.get('phase', 'Unknown')}, {why}",
        "a live exam-client is needed; `kubectl exam status` tells what can be done",
    )


def _secret(cluster: Cluster, name: str, uid: str) -> dict[str, bytes]:
    found = cluster.get(Kind.SECRET, name)
    labels = (found or {}).get("metadata", {}).get("labels") or {}
    if found is None or labels.get(names.DELIVERY_LABEL) not in (uid, None):
        raise ExamctlError(
            f"Secret {name} of the delivery is not there",
            "`kubectl exam status` tells what that means for the delivery",
        )
    try:
        data = (found.get("data") or {}).items()
        return {key: base64.b64decode(text, validate=True) for key, text in data}
    except binascii.Error as error:
        raise ExamctlError(f"Secret {name} is damaged: it is not base64") from error


def _trusting(authority: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=authority)
    except (ssl.SSLError, ValueError) as error:
        raise ExamctlError("ca.crt of the delivery's Secret is no certificate") from error


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or "hostname" in str(error).lower():
            raise RefusedError(
                f"who answers is not this delivery's exam-client: {error}",
                "nothing was sent to it; does --address lead to the right pod?",
            ) from error
        raise UnreachableError(f"the control port does not answer: {error}") from error
    except httpx.HTTPError as error:
        said = str(error) or type(error).__name__
        raise UnreachableError(
            f"the connection to the exam-client broke: {said}", "try again; nothing was kept"
        ) from error


def _refusal(reply: httpx.Response) -> ExamctlError:
    if reply.status_code == httpx.codes.UNAUTHORIZED:
        return RefusedError(
            "the exam-client refuses the control key of the delivery's Secret",
            "was the Secret altered? `kubectl exam status` tells",
        )
    if reply.status_code == httpx.codes.NOT_FOUND:
        return ExamctlError("this exam-client is older than backups", "it runs an older image")
    return refusal(reply)
