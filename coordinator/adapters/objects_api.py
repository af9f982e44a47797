"""ExamDelivery objects through an API with the Kubernetes paths and verbs.

The API server and the process edge of one machine differ in trust, in how they refuse and in what a
person should look at when they are away; ``Door`` holds that, all else is the same code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from pydantic import ValidationError

from coordinator.adapters.trusted_http import TrustedHttp
from coordinator.core.merging import changes, merged
from coordinator.errors import Conflict, NotFound, NotReady, Refused, Stale
from exam_contract.delivery import GROUP, PLURAL, VERSION, ExamDelivery

_TIMEOUT_SECONDS = 5.0
_GONE = "the delivery's object does not exist any more"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Door:
    """``away``: the sentence for an API that does not answer; ``refusal``: its own no in words."""

    base_url: str
    token_file: Path
    ca_file: Path | None
    away: str
    refusal: Callable[[httpx.Response], Refused]


class ObjectsApi:
    """The token file is read at every call: tokens are rotated, an edge is started again."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._http = TrustedHttp(
            door.ca_file,
            base_url=f"{door.base_url.rstrip('/')}/apis/{GROUP}/{VERSION}",
            timeout=_TIMEOUT_SECONDS,
        )

    async def __aenter__(self) -> "ObjectsApi":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def create(self, wanted: ExamDelivery) -> ExamDelivery:
        body = wanted.to_dict()
        body.pop("status", None)
        reply = await self._send("POST", _path(wanted.metadata.namespace), body, **_STRICT)
        return _model(_document(reply))

    async def edit(
        self,
        namespace: str,
        name: str,
        uid: str,
        change: Callable[[ExamDelivery], ExamDelivery],
    ) -> ExamDelivery:
        document = await self._read(namespace, name, uid)
        stored = _model(document)
        wanted = change(stored)
        patch = changes(_editable(stored), _editable(wanted))
        body = merged(document, patch)
        # A status is the operator's alone; sent along, a door without subresources would store it.
        body.pop("status", None)
        try:
            reply = await self._send("PUT", _path(namespace, name), body, **_STRICT)
        except Conflict as error:
            raise Stale(error.detail) from error
        return _model(_document(reply))

    async def delete(self, namespace: str, name: str, uid: str) -> None:
        await self._read(namespace, name, uid)
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
        }
        await self._send("DELETE", _path(namespace, name), options)

    async def _read(self, namespace: str, name: str, uid: str) -> Json:
        document = _document(await self._send("GET", _path(namespace, name)))
        if document.get("metadata", {}).get("uid") != uid:
            raise NotFound(f"{_GONE}; another one has its name")
        return document

    async def _send(
        self, method: str, path: str, body: Json | None = None, **query: str
    ) -> httpx.Response:
        try:
            token = self._door.token_file.read_text().strip()
            reply = await self._http.request(
                method,
                path,
                json=body,
                params=query,
                headers={"Authorization": f"Bearer {token}"},
            )
        except (httpx.HTTPError, OSError) as error:
            raise NotReady(self._door.away) from error
        if reply.is_success:
            return reply
        raise self._door.refusal(reply)


# A field that the stored CRD does not know is refused then, instead of dropped in silence.
_STRICT = {"fieldValidation": "Strict"}


def _editable(stored: ExamDelivery) -> Json:
    """What an edit may change."""
    whole = stored.to_dict()
    return {
        "metadata": {"annotations": whole["metadata"]["annotations"]},
        "spec": whole["spec"],
    }


def _path(namespace: str, name: str | None = None) -> str:
    base = f"/namespaces/{namespace}/{PLURAL}"
    return base if name is None else f"{base}/{name}"


def _document(reply: httpx.Response) -> Json:
    try:
        document = reply.json()
    except ValueError as error:
        raise _unreadable() from error
    if not isinstance(document, dict):
        raise _unreadable()
    return document


def _model(document: Json) -> ExamDelivery:
    try:
        return ExamDelivery.model_validate(document)
    except ValidationError as error:
        raise _unreadable() from error


def _unreadable() -> NotReady:
    return NotReady("the object API's reply can't be read; are its version and ours the same?")
