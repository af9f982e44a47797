"""Sign-in of staff and participants, the account of oneself, accounts and API tokens."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from coordinator.api.deps import (
    AfterId,
    Edge,
    Limit,
    TheEdge,
    ThePrincipal,
    TheRuntime,
    client_address,
    cookie_name,
)
from coordinator.core.permissions import Grant, Role
from coordinator.errors import SignInFailed
from coordinator.services import participants, staff
from coordinator.services.runtime import Runtime
from coordinator.services.staff import OpenedSession
from coordinator.services.work import working
from coordinator.store import staff as staff_store
from coordinator.store.staff import Account

router = APIRouter(tags=["people"])
Username = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._@-]{1,64}$")]
Password = Annotated[str, StringConstraints(min_length=12, max_length=256)]
DisplayName = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SignIn(Body):
    username: str = Field(max_length=64)
    password: str = Field(max_length=256, repr=False)


class FirstAdmin(Body):
    token: str = Field(max_length=256, repr=False)
    username: Username
    password: Password = Field(repr=False)
    display_name: DisplayName = "Administrator"


class ParticipantSignIn(Body):
    delivery_id: int = Field(ge=1, le=2**63 - 1)
    identifier: str = Field(min_length=1, max_length=64)
    access_code: str = Field(min_length=1, max_length=64, repr=False)


class RoleGrant(Body):
    role: Role
    exam_id: str | None = Field(default=None, max_length=63)


class NewStaff(Body):
    username: Username
    display_name: DisplayName
    password: Password | None = Field(default=None, repr=False)
    grants: list[RoleGrant] = Field(default=[], max_length=200)


class StaffChange(Body):
    display_name: DisplayName | None = None
    password: Password | None = Field(default=None, repr=False)
    active: bool | None = None


class NewToken(Body):
    label: str = Field(min_length=1, max_length=100)


@router.post("/api/sign-in")
async def sign_in(
    body: SignIn, request: Request, response: Response, runtime: TheRuntime
) -> dict[str, Any]:
    """Opens a staff session: a cookie, and the CSRF token that goes with it."""
    now, address = runtime.monotonic(), client_address(request)
    runtime.staff_throttles.check(body.username, address, now)
    staff_id = await staff.find_by_password(
        runtime.database, runtime.hashing, body.username, body.password
    )
    if staff_id is None:
        runtime.staff_throttles.failed(body.username, address, now)
        await _audit_failure(runtime, "staff_sign_in_failed", "staff")
        raise SignInFailed("user name or password is wrong")
    runtime.staff_throttles.succeeded(body.username, address)
    async with working(runtime.database, f"staff:{staff_id}") as work:
        opened = await staff.open_session(work, staff_id, runtime.settings.session_hours)
        work.record("staff_signed_in", f"staff:{staff_id}")
    runtime.metrics.sign_ins.labels("staff", "accepted").inc()
    _set_cookie(response, runtime, opened)
    return {"staff_id": staff_id, "csrf_token": opened.csrf_token}


@router.post("/api/first-admin", status_code=201)
async def first_admin(
    body: FirstAdmin, request: Request, response: Response, runtime: TheRuntime
) -> dict[str, Any]:
    """Makes the first admin by the token of the one-time link, once, and signs in."""
    now, address = runtime.monotonic(), client_address(request)
    runtime.staff_throttles.check("first-admin link", address, now)
    try:
        async with working(runtime.database, "anonymous") as work:
            opened = await staff.use_first_admin_link(
                work,
                runtime.hashing,
                runtime.settings.first_admin_token_file,
                staff.FirstAdmin(**body.model_dump()),
                runtime.settings.session_hours,
            )
    except SignInFailed:
        runtime.staff_throttles.failed("first-admin link", address, now)
        await _audit_failure(runtime, "staff_sign_in_failed", "first-admin")
        raise
    _set_cookie(response, runtime, opened)
    return {"staff_id": opened.staff_id, "csrf_token": opened.csrf_token}


@router.post("/api/sign-out", status_code=204)
async def sign_out(edge: TheEdge, response: Response) -> None:
    """Ends this session and its sockets."""
    async with edge.working() as work:
        await staff.sign_out(work, edge.principal.staff_id, edge.principal.token)
    _dismiss(edge, edge.principal.staff_id)
    response.delete_cookie(cookie_name(edge.runtime), path="/")


@router.get("/api/me")
async def me(principal: ThePrincipal) -> dict[str, Any]:
    """The account, its roles, and the CSRF token of this session."""
    session = principal.known
    return {
        **_account(session.account),
        "csrf_token": session.csrf_token,
    }


@router.post("/api/participant/sign-in")
async def participant_sign_in(
    body: ParticipantSignIn, request: Request, runtime: TheRuntime
) -> dict[str, Any]:
    """A token for the delivery's exam-client; the browser takes it there in the URL's fragment."""
    now, address = runtime.monotonic(), client_address(request)
    who = f"{body.delivery_id}/{body.identifier.strip().casefold()}"
    runtime.participant_throttles.check(who, address, now)
    found = await participants.find(
        runtime.database, runtime.hashing, body.delivery_id, body.identifier, body.access_code
    )
    if found is None:
        runtime.participant_throttles.failed(who, address, now)
        target = f"delivery:{body.delivery_id}"
        await _audit_failure(runtime, "participant_sign_in_failed", target)
        raise SignInFailed("identifier or access code is wrong; check both and try again")
    delivery, participant_id = found
    runtime.participant_throttles.succeeded(who, address)
    signed_in = participants.admit(runtime.keyring, delivery, participant_id)
    async with working(runtime.database, f"participant:{participant_id}") as work:
        work.record("participant_signed_in", f"delivery:{delivery.id}")
    runtime.metrics.sign_ins.labels("participant", "accepted").inc()
    return {
        "token": signed_in.token,
        "exam_url": signed_in.exam_url,
        "expires_in": signed_in.expires_in,
        "participant_id": participant_id,
    }


@router.get("/api/staff")
async def list_staff(runtime: TheRuntime, limit: Limit = 100, after: AfterId = 0) -> dict[str, Any]:
    async with runtime.database.read() as db:
        found = await staff_store.page(db, after, limit)
    following = found[-1].id if len(found) == limit else None
    return {"items": [_account(account) for account in found], "next": following}


@router.post("/api/staff", status_code=201)
async def create_staff(body: NewStaff, edge: TheEdge) -> dict[str, Any]:
    async with edge.working() as work:
        staff_id = await staff.create(
            work,
            edge.runtime.hashing,
            body.username,
            body.display_name,
            body.password,
            _grants(body.grants),
        )
    return {"id": staff_id}


@router.patch("/api/staff/{staff_id}")
async def change_staff(staff_id: int, body: StaffChange, edge: TheEdge) -> dict[str, Any]:
    async with edge.working() as work:
        await staff.change(
            work,
            edge.runtime.hashing,
            staff_id,
            body.display_name,
            body.password,
            body.active,
        )
        account = await staff.existing(work, staff_id)
    if body.password is not None or body.active is False:
        _dismiss(edge, staff_id)
    return _account(account)


@router.put("/api/staff/{staff_id}/roles")
async def set_roles(
    staff_id: int, body: Annotated[list[RoleGrant], Field(max_length=200)], edge: TheEdge
) -> dict[str, Any]:
    async with edge.working() as work:
        await staff.set_roles(work, staff_id, _grants(body))
        account = await staff.existing(work, staff_id)
    _dismiss(edge, staff_id)
    return _account(account)


@router.get("/api/tokens")
async def list_tokens(runtime: TheRuntime, principal: ThePrincipal) -> dict[str, Any]:
    async with runtime.database.read() as db:
        found = await staff_store.tokens_of(db, principal.staff_id)
    return {"items": found, "next": None}


@router.post("/api/tokens", status_code=201)
async def create_token(body: NewToken, edge: TheEdge) -> dict[str, Any]:
    """The secret is shown this once."""
    async with edge.working() as work:
        token_id, token = await staff.create_token(work, edge.principal.staff_id, body.label)
    return {"id": token_id, "label": body.label, "token": token}


@router.delete("/api/tokens/{token_id}", status_code=204)
async def revoke_token(token_id: int, edge: TheEdge) -> None:
    async with edge.working() as work:
        await staff.revoke_token(work, edge.principal.staff_id, token_id)


async def _audit_failure(runtime: Runtime, action: str, target: str) -> None:
    runtime.metrics.sign_ins.labels(action.split("_")[0], "refused").inc()
    async with working(runtime.database, "anonymous") as work:
        work.record(action, target)


def _dismiss(edge: Edge, staff_id: int) -> None:
    edge.runtime.hub.dismiss(lambda socket: socket.staff_id == staff_id)
    edge.runtime.feed.tell("staff", staff_id)


def _set_cookie(response: Response, runtime: Runtime, opened: OpenedSession) -> None:
    response.set_cookie(
        cookie_name(runtime),
        opened.token,
        max_age=int(runtime.settings.session_hours * 3600),
        path="/",
        httponly=True,
        samesite="strict",
        secure=runtime.settings.encrypted,
    )


def _account(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "username": account.username,
        "display_name": account.display_name,
        "active": account.active,
        "grants": [{"role": grant.role, "exam_id": grant.exam_id} for grant in account.grants],
    }


def _grants(roles: list[RoleGrant]) -> list[Grant]:
    return sorted(
        {Grant(role.role, role.exam_id) for role in roles},
        key=lambda grant: (grant.role, grant.exam_id or ""),
    )
