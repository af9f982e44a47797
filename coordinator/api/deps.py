"""What routes ask for: the runtime, who is calling, and whether they may. Deny by default.

``authorise`` stands before every route of the public app. It looks the route up in the permission
table; a route that is not there can't be reached, and the app does not start with one.
"""

import hmac
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Mount

from coordinator.core import sites
from coordinator.core.permissions import (
    ROUTES,
    Access,
    Permission,
    Scope,
    allowed,
    exams_with,
    holds,
)
from coordinator.core.vault import token_hash
from coordinator.errors import (
    CsrfRefused,
    DatabaseUnavailable,
    Forbidden,
    NotFound,
    StartFailed,
    Unauthenticated,
)
from coordinator.services import staff as staff_service
from coordinator.services.runtime import Runtime
from coordinator.services.work import ANONYMOUS, Work, working
from coordinator.store import deliveries, staff
from coordinator.store.staff import Session

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_BOUNDED_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: ``session`` None for somebody not signed in."""

    session: Session | None
    token: str | None = field(default=None, repr=False)

    @property
    def known(self) -> Session:
        """Raises Unauthenticated."""
        if self.session is None:
            raise Unauthenticated("sign in first")
        return self.session

    @property
    def staff_id(self) -> int:
        return self.known.account.id

    @property
    def actor(self) -> str:
        return ANONYMOUS if self.session is None else f"staff:{self.session.account.id}"

    def require(self, permission: Permission, exam_id: str | None) -> None:
        """For exams that a body names. Raises Forbidden."""
        if not holds(self.known.account.grants, permission, exam_id):
            raise Forbidden(f"this needs the permission {permission} for that exam")

    def exams(self, permission: Permission) -> frozenset[str] | None:
        """The exams a list is cut to; None for all."""
        return exams_with(self.known.account.grants, permission)


def runtime_of(connection: HTTPConnection) -> Runtime:
    """The lifespan state of the app."""
    runtime: Runtime = connection.state.runtime
    return runtime


def cookie_name(runtime: Runtime) -> str:
    """Cookies ignore ports, so the instance is part of the name."""
    return f"mx_staff_{runtime.settings.instance}"


async def identify(connection: HTTPConnection, runtime: Runtime) -> Principal:
    """By API token or session cookie; nobody when neither is valid."""
    header = connection.headers.get("authorization", "")
    now = datetime.now(UTC)
    looks = connection.scope["type"] == "websocket" or connection.scope["method"] in _SAFE
    if header[:7].lower() == "bearer ":
        return Principal(await _by_bearer(runtime, header[7:].strip(), looks))
    cookie = connection.cookies.get(cookie_name(runtime))
    if not cookie:
        return Principal(None)
    session = await _remembered(
        runtime, token_hash(cookie), looks, lambda db, key: staff.by_session(db, key, now)
    )
    return Principal(session, cookie if session is not None else None)


async def admit(connection: HTTPConnection) -> None:
    """Before a large body is read. Raises Unauthenticated, DatabaseUnavailable."""
    principal = await identify(connection, runtime_of(connection))
    if principal.session is None:
        raise Unauthenticated("sign in first; a body this large is read from nobody else")


async def _remembered(
    runtime: Runtime, key: bytes, looks: bool, read: Callable[..., Awaitable[Session | None]]
) -> Session | None:
    """While the database is away, who was admitted lately may go on looking, and no more."""
    try:
        async with runtime.database.read() as db:
            session = await read(db, key)
    except DatabaseUnavailable:
        known = runtime.sessions.get(key) if looks else None
        ends = None if known is None else known.expires_at
        if known is None or (ends is not None and ends <= datetime.now(UTC)):
            raise
        return known
    if session is None:
        runtime.sessions.forget(key)
    else:
        runtime.sessions.keep(key, session)
    return session


async def _by_bearer(runtime: Runtime, token: str, looks: bool) -> Session | None:
    local = staff_service.read_token(runtime.settings.cli_token_file)
    if local is not None and hmac.compare_digest(token.encode(), local.encode()):
        account = await staff_service.local_account(runtime.database)
        return Session(account, None, None) if account.active else None
    return await _remembered(runtime, token_hash(token), looks, staff.by_api_token)


async def authorise(connection: HTTPConnection) -> None:
    """The guard of the public app; leaves the principal in ``request.state``."""
    runtime = runtime_of(connection)
    method = "WS" if connection.scope["type"] == "websocket" else connection.scope["method"]
    access = access_of(method, connection.scope["route"].path)
    if connection.scope["type"] == "websocket":
        return  # the socket's own route answers with a close code, which a 403 can't carry
    principal = await identify(connection, runtime)
    connection.state.principal = principal
    if method not in _SAFE:
        check_origin(connection, runtime)
    if access.scope is Scope.OPEN:
        return
    session = principal.known
    if method not in _SAFE:
        _check_csrf(connection, session)
    await check_access(runtime, access, session, connection.path_params)


async def check_access(
    runtime: Runtime, access: Access, session: Session, path: dict[str, object]
) -> None:
    """Raises NotFound for a delivery that is not there, Forbidden."""
    exam_id = None
    if access.scope is Scope.EXAM:
        exam_id = str(path["exam_id"])
    elif access.scope is Scope.DELIVERY:
        exam_id = await exam_of(runtime, str(path["delivery_id"]))
        if exam_id is None:
            raise NotFound("there is no such delivery")
    if not allowed(access, session.account.grants, exam_id):
        raise Forbidden(f"this needs the permission {access.permission or 'to sign in'}")


async def exam_of(runtime: Runtime, delivery_id: str) -> str | None:
    """The exam of a delivery, read once."""
    if not delivery_id.isdecimal() or not 0 < int(delivery_id) <= _BOUNDED_ID:
        return None
    number = int(delivery_id)
    if number not in runtime.exam_of:
        async with runtime.database.read() as db:
            found = await deliveries.exam_of(db, number)
        if found is None:
            return None
        runtime.exam_of[number] = found
    return runtime.exam_of[number]


def access_of(method: str, path: str) -> Access:
    """The table's entry. Raises Forbidden for a route that has none."""
    access = ROUTES.get(("GET" if method == "HEAD" else method, path))
    if access is None:
        raise Forbidden("this route is not in the permission table")
    return access


def check_routes(routes: Iterable[BaseRoute]) -> None:
    """Every route has an entry. Raises StartFailed naming the first that has none."""
    for method, path in listed_routes(routes):
        if (method, path) not in ROUTES:
            raise StartFailed(f"{method} {path} has no entry in coordinator.core.permissions")


def listed_routes(routes: Iterable[BaseRoute]) -> list[tuple[str, str]]:
    """(method, path) of all routes, also of included routers."""
    found: list[tuple[str, str]] = []
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            found.extend(listed_routes(included.routes))
        elif isinstance(route, Mount):
            found.append(("GET", route.path))
        else:
            methods = getattr(route, "methods", None) or {"WS"}
            found.extend((method, getattr(route, "path", "?")) for method in methods - {"HEAD"})
    return sorted(found)


def check_origin(connection: HTTPConnection, runtime: Runtime) -> None:
    """A browser says where a request comes from; it must be this site. Raises CsrfRefused."""
    origin = connection.headers.get("origin")
    if origin is None:
        site = connection.headers.get("sec-fetch-site")
        if site not in (None, "same-origin", "none"):
            raise CsrfRefused("the request comes from another site")
        return
    if not sites.same(origin, runtime.settings.public_url, connection.headers.get("host", "")):
        raise CsrfRefused("the request comes from another site")


def _check_csrf(connection: HTTPConnection, session: Session) -> None:
    if session.csrf_token is None:
        return  # an API token: no browser sends it by itself
    sent = connection.headers.get("x-csrf-token", "")
    if not hmac.compare_digest(sent.encode(), session.csrf_token.encode()):
        raise CsrfRefused("send the X-CSRF-Token of GET /api/me")


async def _runtime(request: Request) -> Runtime:
    return runtime_of(request)


async def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


TheRuntime = Annotated[Runtime, Depends(_runtime)]
ThePrincipal = Annotated[Principal, Depends(_principal)]
Limit = Annotated[int, Query(ge=1, le=1000)]
AfterId = Annotated[int, Query(ge=0, le=_BOUNDED_ID)]


@dataclass(frozen=True, slots=True)
class Edge:
    """The request's door to state: one transaction, committed here and nowhere else."""

    runtime: Runtime
    principal: Principal

    def working(self) -> AbstractAsyncContextManager[Work]:
        return working(self.runtime.database, self.principal.actor)


async def _edge(runtime: TheRuntime, principal: ThePrincipal) -> Edge:
    return Edge(runtime, principal)


TheEdge = Annotated[Edge, Depends(_edge)]


def client_address(connection: HTTPConnection) -> str:
    """The peer's address, for throttles."""
    return connection.client.host if connection.client else "unknown"
