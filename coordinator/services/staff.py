"""Staff: sign-in and sessions, accounts and roles, API tokens, and the first admin."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from coordinator.core.permissions import Grant, Role
from coordinator.core.vault import token_hash
from coordinator.errors import Conflict, NotFound, SignInFailed
from coordinator.services.hashing import Hashing
from coordinator.services.work import SYSTEM, Work, working
from coordinator.store import staff
from coordinator.store.database import Database
from coordinator.store.staff import Account

LOCAL_USERNAME = "local-command-line"


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """``token`` goes into the cookie and is not stored."""

    staff_id: int
    token: str = field(repr=False)
    csrf_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """What the page of the one-time link sends."""

    username: str
    display_name: str
    token: str = field(repr=False)
    password: str = field(repr=False)


async def find_by_password(
    database: Database, hashing: Hashing, username: str, password: str
) -> int | None:
    """The account that the password fits; the same work for unknown names."""
    async with database.read() as db:
        known = await staff.password_of(db, username)
    fits = await hashing.password_fits(None if known is None else known[1], password)
    return known[0] if fits and known is not None else None


async def open_session(work: Work, staff_id: int, hours: float) -> OpenedSession:
    """A new session; the caller records why."""
    opened = OpenedSession(staff_id, secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    await staff.open_session(
        work.db,
        token_hash(opened.token),
        staff_id,
        opened.csrf_token,
        work.now + timedelta(hours=hours),
    )
    return opened


async def sign_out(work: Work, staff_id: int, token: str | None) -> None:
    """End the session of that cookie; an API token ends by revoking it."""
    if token is not None:
        await staff.close_session(work.db, token_hash(token))
    work.record("staff_signed_out", f"staff:{staff_id}")


async def use_first_admin_link(
    work: Work, hashing: Hashing, token_file: Path | None, wanted: FirstAdmin, hours: float
) -> OpenedSession:
    """Make the first admin by the token of the file, once, and sign in. Raises SignInFailed."""
    expected = read_token(token_file)
    token = wanted.token.encode()
    if expected is None or not secrets.compare_digest(token, expected.encode()):
        raise SignInFailed("this link is not valid; ask for a new one")
    if not await staff.use_bootstrap_link(work.db, token_hash(wanted.token)):
        raise SignInFailed("this link was used already; ask for a new one")
    verifier = await hashing.hash_password(wanted.password)
    staff_id = await staff.add(work.db, wanted.username, wanted.display_name, verifier)
    if staff_id is None:
        raise Conflict("this user name is taken; choose another")
    await staff.set_grants(work.db, staff_id, [Grant(Role.ADMIN, None)])
    opened = await open_session(work, staff_id, hours)
    work.actor = f"staff:{staff_id}"
    work.record("first_admin_link_used", f"staff:{staff_id}")
    return opened


async def local_account(database: Database) -> Account:
    """The account of the command line on this machine: an admin without a password."""
    async with working(database, SYSTEM) as work:
        staff_id = await staff.add(work.db, LOCAL_USERNAME, "Command line", None)
        if staff_id is None:
            work.unchanged()
            staff_id = await staff.id_of(work.db, LOCAL_USERNAME)
        else:
            await staff.set_grants(work.db, staff_id, [Grant(Role.ADMIN, None)])
            work.record("local_account_created", f"staff:{staff_id}")
        return await existing(work, staff_id)


async def create(
    work: Work,
    hashing: Hashing,
    username: str,
    display_name: str,
    password: str | None,
    grants: list[Grant],
) -> int:
    """A new account. Raises Conflict when the user name is taken."""
    verifier = None if password is None else await hashing.hash_password(password)
    staff_id = await staff.add(work.db, username, display_name, verifier)
    if staff_id is None:
        raise Conflict("this user name is taken; choose another")
    await staff.set_grants(work.db, staff_id, grants)
    work.record("staff_created", f"staff:{staff_id}", roles=_role_list(grants))
    return staff_id


async def change(
    work: Work,
    hashing: Hashing,
    staff_id: int,
    display_name: str | None,
    password: str | None,
    active: bool | None,
) -> None:
    """Change an account; a new password or deactivation ends its sessions."""
    await existing(work, staff_id)
    if active is False:
        await _keep_an_admin(work, staff_id)
    verifier = None if password is None else await hashing.hash_password(password)
    changes = {"display_name": display_name, "active": active, "password_hash": verifier}
    await staff.change(work.db, staff_id, changes)
    if password is not None or active is False:
        await staff.close_sessions_of(work.db, staff_id)
    changed = sorted(name for name, value in changes.items() if value is not None)
    work.record("staff_changed", f"staff:{staff_id}", changed=changed)


async def set_roles(work: Work, staff_id: int, grants: list[Grant]) -> None:
    """Replace an account's roles."""
    await existing(work, staff_id)
    if Grant(Role.ADMIN, None) not in grants:
        await _keep_an_admin(work, staff_id)
    await staff.set_grants(work.db, staff_id, grants)
    work.record("staff_roles_set", f"staff:{staff_id}", roles=_role_list(grants))


async def create_token(work: Work, staff_id: int, label: str) -> tuple[int, str]:
    """An API token: its id and its secret, which is shown this once."""
    token = "mx_" + secrets.token_urlsafe(32)
    token_id = await staff.add_token(work.db, staff_id, label, token_hash(token))
    work.record("api_token_created", f"staff:{staff_id}", token_id=token_id)
    return token_id, token


async def revoke_token(work: Work, staff_id: int, token_id: int) -> None:
    if not await staff.revoke_token(work.db, staff_id, token_id):
        raise NotFound("there is no such token of yours")
    work.record("api_token_revoked", f"staff:{staff_id}", token_id=token_id)


async def existing(work: Work, staff_id: int) -> Account:
    """Raises NotFound."""
    account = await staff.get(work.db, staff_id)
    if account is None:
        raise NotFound("there is no such account")
    return account


def read_token(token_file: Path | None) -> str | None:
    """The content of a token file, read anew at every use; None when there is none."""
    if token_file is None:
        return None
    try:
        return token_file.read_text().strip() or None
    except OSError:
        return None


async def _keep_an_admin(work: Work, staff_id: int) -> None:
    if await staff.other_admins(work.db, staff_id) == 0:
        raise Conflict("this is the last active admin; make another one first")


def _role_list(grants: list[Grant]) -> list[str]:
    return [f"{grant.role}:{grant.exam_id or '*'}" for grant in grants]
