"""An API server on a real loopback port over a ``Store``: lists, watches, faults and rights.

A test tells it what goes wrong: an answer that is an error, a reply that is lost, a watch that is
dropped or falls silent, a history that is forgotten, or to be away altogether.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.fake_store import RESOURCES, Change, Refusal, Resource, Store, selected

Json = dict[str, Any]
May = Callable[["Call"], bool]
_BESIDES = ("configmaps", "events")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(slots=True)
class Call:
    """One request as RBAC sees it; ``resource`` with its subresource."""

    verb: str
    plural: str
    resource: str
    namespace: str
    name: str
    body: Json = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    status: int = 0
    at: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Fault:
    """``lost``: it is done, and the reply never arrives. ``times``: how often.

    ``retry_after``: in seconds, with a 429.
    """

    verb: str
    resource: str
    status: int = 500
    message: str = "something went wrong"
    reason: str = "InternalError"
    times: int = 1
    lost: bool = False
    retry_after: int = 0


@dataclass(eq=False)
class Stream:
    """One open watch."""

    plural: str
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    bookmark: bool = False


class FakeKubernetes:
    """``may``: whether a call is allowed; ``missing``: plurals that this cluster does not know."""

    def __init__(self, store: Store, may: May | None = None) -> None:
        self.store, self.may = store, may
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.held: set[str] = set()
        self.missing: set[str] = set()
        self.away = False
        self.turned_away = 0
        self.changes_left: int | None = None
        self.port = 0
        self._streams: set[Stream] = set()
        store.on_change.append(self._wake)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            self.drop_watches()
            await runner.cleanup()

    # what a test makes happen

    def fail(self, verb: str, resource: str, status: int = 500, **more: Any) -> Fault:
        """The next such calls get this answer."""
        fault = Fault(verb, resource, status, **more)
        self.faults.append(fault)
        return fault

    def go_away(self) -> None:
        """No answer to anybody, and every watch breaks off."""
        self.away = True
        self.drop_watches()

    def go_away_after(self, changes: int) -> None:
        """The last of so many changes is made, and nobody hears of it: as if its caller had died.

        What is only told (Events) or tried (the canary) does not count.
        """
        self.changes_left = changes

    def come_back(self) -> None:
        self.away = False

    def drop_watches(self, plural: str | None = None) -> None:
        """The streams end; whoever watches comes again."""
        for stream in self._streams:
            if plural in (None, stream.plural):
                stream.closed = True
        self._wake()

    def hold(self, plural: str) -> None:
        """Watches of this kind stay open and tell nothing, so that readers are stale."""
        self.held.add(plural)

    def release(self, plural: str) -> None:
        self.held.discard(plural)
        self._wake()

    def send_bookmarks(self) -> None:
        for stream in self._streams:
            stream.bookmark = True
        self._wake()

    def watched(self) -> set[str]:
        """Plurals with an open watch."""
        return {stream.plural for stream in self._streams if not stream.closed}

    # answering

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.away:
            self.turned_away += 1
            return _hang_up(request)
        path = [part for part in request.path.split("/") if part]
        discovered = self._discovery(path)
        if discovered is not None:
            return web.json_response(discovered)
        try:
            call, resource = self._parsed(request, path)
            call.body = await _body(request)
            return await self._carry_out(request, call, resource)
        except Refusal as refusal:
            return _failure(refusal)

    async def _carry_out(
        self, request: web.Request, call: Call, resource: Resource
    ) -> web.StreamResponse:
        self.calls.append(call)
        fault = self._fault(call)
        if fault is not None and not fault.lost:
            call.status = fault.status
            refusal = Refusal(fault.status, fault.reason, fault.message)
            return _failure(refusal, fault.retry_after)
        if self.may is not None and not self.may(call):
            call.status = 403
            said = f'{call.resource} "{call.name}" is forbidden: cannot {call.verb} {call.resource}'
            return _failure(Refusal(403, "Forbidden", said))
        if call.verb == "watch":
            return await self._watch(request, call)
        before = self.store.version
        try:
            done = self._done(call, resource)
        except Refusal as refusal:
            call.status = refusal.status
            raise
        if self.store.version != before and call.plural not in _BESIDES:
            self._count_down()
        call.status = 201 if call.verb == "create" else 200
        return (
            _hang_up(request) if fault or self.away else web.json_response(done, status=call.status)
        )

    def _count_down(self) -> None:
        if self.changes_left is not None:
            self.changes_left -= 1
            if self.changes_left == 0:
                self.changes_left = None
                self.go_away()

    def _done(self, call: Call, resource: Resource) -> Json:
        store, plural = self.store, call.plural
        where = (plural, call.namespace, call.name)
        match call.verb:
            case "get":
                return store.get(*where)
            case "list":
                return self._listed(call, resource)
            case "create":
                return store.create(plural, call.namespace, call.body)
            case "update":
                status = call.resource.endswith("/status")
                return store.replace(*where, call.body, status=status)
            case "patch":
                return store.merge(*where, call.body)
            case "delete":
                return store.delete(*where, call.body)
            case verb:
                raise Refusal(405, "MethodNotAllowed", f"{verb} is not done here")

    def _listed(self, call: Call, resource: Resource) -> Json:
        labels = call.query.get("labelSelector", "")
        fields = call.query.get("fieldSelector", "")
        found = self.store.listed(call.plural, call.namespace)
        items = [raw for raw in found if selected(raw, labels, fields)]
        for raw in items:  # as it really is: items of a list do not name their kind
            raw.pop("kind", None)
            raw.pop("apiVersion", None)
        return {
            "kind": f"{resource.kind}List",
            "apiVersion": resource.group_version,
            "metadata": {"resourceVersion": str(self.store.version)},
            "items": items,
        }

    async def _watch(self, request: web.Request, call: Call) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        stream = Stream(call.plural)
        self._streams.add(stream)
        try:
            await self._tell(response, stream, call)
        except (ConnectionError, RuntimeError):
            pass  # who watched is gone
        finally:
            self._streams.discard(stream)
        return response

    async def _tell(self, response: web.StreamResponse, stream: Stream, call: Call) -> None:
        seen, labels = (
            int(call.query.get("resourceVersion", "0")),
            call.query.get("labelSelector", ""),
        )
        while not stream.closed and not self.away:
            stream.wake.clear()
            if stream.plural not in self.held:
                changes = self.store.since(stream.plural, seen)
                if changes is None:
                    gone = _status(Refusal(410, "Expired", "too old resource version"))
                    await _line(response, {"type": "ERROR", "object": gone})
                    return
                for change in changes:
                    seen = change.version
                    event = _event(change, call.namespace, labels)
                    if event is not None:
                        await _line(response, event)
                if stream.bookmark:
                    stream.bookmark, seen = False, self.store.version
                    await _line(response, _bookmark(RESOURCES[stream.plural], seen))
            await stream.wake.wait()

    def _wake(self) -> None:
        for stream in self._streams:
            stream.wake.set()

    def _fault(self, call: Call) -> Fault | None:
        for fault in self.faults:
            if (fault.verb, fault.resource) == (call.verb, call.resource):
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    # addresses

    def _parsed(self, request: web.Request, path: list[str]) -> tuple[Call, Resource]:
        version, rest = ("v1", path[2:]) if path[0] == "api" else ("/".join(path[1:3]), path[3:])
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        resource = RESOURCES.get(rest[0])
        if resource is None or resource.group_version != version or rest[0] in self.missing:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        name, query = (rest[1] if len(rest) > 1 else ""), dict(request.query)
        verb = _VERBS.get(request.method) or ("get" if name else "list")
        if query.get("watch") == "true":
            verb = "watch"
        full = "/".join([rest[0], *rest[2:]])
        return Call(verb, rest[0], full, namespace, name, query=query), resource

    def _discovery(self, path: list[str]) -> Json | None:
        if path == ["api"]:
            return {"versions": ["v1"]}
        known = [one for one in RESOURCES.values() if one.plural not in self.missing]
        if path == ["apis"]:
            versions = {one.group_version for one in known if one.group}
            return {"groups": [_group(version) for version in sorted(versions)]}
        version = "/".join(path[1:])
        if (path[0], len(path)) not in (("api", 2), ("apis", 3)):
            return None
        return {"resources": [_described(one) for one in known if one.group_version == version]}


def _group(version: str) -> Json:
    name, _, number = version.rpartition("/")
    stated = {"groupVersion": version, "version": number}
    return {"name": name, "versions": [stated], "preferredVersion": stated}


def _described(resource: Resource) -> Json:
    return {
        "name": resource.plural,
        "kind": resource.kind,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
    }


def _event(change: Change, namespace: str, labels: str) -> Json | None:
    """What a watch with that selector is told: leaving the selection is a deletion to it."""
    if namespace and change.object["metadata"].get("namespace") != namespace:
        return None
    now = selected(change.object, labels, "")
    before = change.before is not None and selected(change.before, labels, "")
    if change.type == "DELETED":
        return {"type": "DELETED", "object": change.object} if before else None
    if not now:
        return {"type": "DELETED", "object": change.object} if before else None
    return {"type": "MODIFIED" if before else "ADDED", "object": change.object}


def _bookmark(resource: Resource, version: int) -> Json:
    meta = {"resourceVersion": str(version), "creationTimestamp": None}
    shown = {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": meta}
    return {"type": "BOOKMARK", "object": shown}


async def _line(response: web.StreamResponse, event: Json) -> None:
    await response.write(json.dumps(event).encode() + b"\n")


async def _body(request: web.Request) -> Json:
    raw = await request.read()
    found = json.loads(raw) if raw else {}
    return found if isinstance(found, dict) else {}


def _status(refusal: Refusal) -> Json:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": refusal.message,
        "reason": refusal.reason,
        "code": refusal.status,
    }


def _failure(refusal: Refusal, retry_after: int = 0) -> web.Response:
    headers = {"Retry-After": str(retry_after)} if refusal.status == 429 else None
    return web.json_response(_status(refusal), status=refusal.status, headers=headers)


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
