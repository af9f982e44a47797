"""Who may do what: one table of routes, one of roles, and nothing allowed that stands in neither.

A role is held for one exam or for all. A route says which permission it asks for and where its exam
comes from; an app with a route that has no entry does not start.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    ADMIN = "admin"
    COMMITTEE = "committee"
    INVIGILATOR = "invigilator"
    SCORER = "scorer"
    AUDITOR = "auditor"


class Permission(StrEnum):
    STAFF = "staff"
    """Accounts and roles."""
    EXAM_READ = "exam_read"
    EXAM_IMPORT = "exam_import"
    KEY_READ = "key_read"
    ROSTER_READ = "roster_read"
    ROSTER_IMPORT = "roster_import"
    DELIVERY_READ = "delivery_read"
    DELIVERY_CREATE = "delivery_create"
    """Create and delete."""
    WATCH = "watch"
    """Live progress of named participants."""
    INVIGILATE = "invigilate"
    """Time, pause, takeover, announcements."""
    ADJUDICATE = "adjudicate"
    """Force submit, reopen, extend, finalise, roll back, abort, restart."""
    RESULTS = "results"
    SCORE = "score"
    RECEIPTS = "receipts"
    AUDIT = "audit"


_READ = frozenset({Permission.EXAM_READ, Permission.DELIVERY_READ})

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.COMMITTEE: _READ
    | {
        Permission.ROSTER_READ,
        Permission.WATCH,
        Permission.INVIGILATE,
        Permission.ADJUDICATE,
        Permission.RESULTS,
        Permission.RECEIPTS,
    },
    Role.INVIGILATOR: frozenset(
        {Permission.DELIVERY_READ, Permission.WATCH, Permission.INVIGILATE}
    ),
    Role.SCORER: frozenset({Permission.DELIVERY_READ, Permission.SCORE}),
    Role.AUDITOR: _READ | {Permission.RESULTS, Permission.RECEIPTS, Permission.AUDIT},
}


class Scope(StrEnum):
    """Where the exam of a request comes from."""

    OPEN = "open"
    """Nobody needs to be signed in."""
    SIGNED_IN = "signed_in"
    """Any active account, about itself."""
    ANY_EXAM = "any_exam"
    """Held for at least one exam; the reply is cut to those, or the body names one (checked)."""
    ALL_EXAMS = "all_exams"
    EXAM = "exam"
    """``{exam_id}`` of the path."""
    DELIVERY = "delivery"
    """The exam of ``{delivery_id}`` of the path."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a route asks for; ``page`` sends people without a session to the sign-in page."""

    scope: Scope
    permission: Permission | None = None
    page: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """``exam_id`` None: for all exams."""

    role: Role
    exam_id: str | None


def holds(grants: Iterable[Grant], permission: Permission, exam_id: str | None) -> bool:
    """Whether the permission is held for that exam (None: for all exams)."""
    return any(
        permission in ROLE_PERMISSIONS[grant.role] and grant.exam_id in (None, exam_id)
        for grant in grants
    )


def exams_with(grants: Iterable[Grant], permission: Permission) -> frozenset[str] | None:
    """The exams the permission is held for; None means all of them."""
    held = [g.exam_id for g in grants if permission in ROLE_PERMISSIONS[g.role]]
    return None if None in held else frozenset(exam for exam in held if exam is not None)


def allowed(access: Access, grants: Iterable[Grant], exam_id: str | None) -> bool:
    """The verdict for somebody who is signed in; ``exam_id`` is the request's, where it has one."""
    held = tuple(grants)
    if access.permission is None:
        return access.scope in (Scope.OPEN, Scope.SIGNED_IN)
    if access.scope is Scope.ANY_EXAM:
        exams = exams_with(held, access.permission)
        return exams is None or bool(exams)
    if access.scope is Scope.ALL_EXAMS:
        return holds(held, access.permission, None)
    return exam_id is not None and holds(held, access.permission, exam_id)


def _open(page: bool = False) -> Access:
    return Access(Scope.OPEN, page=page)


_SELF = Access(Scope.SIGNED_IN)


def _any(permission: Permission, page: bool = False) -> Access:
    return Access(Scope.ANY_EXAM, permission, page)


def _all(permission: Permission, page: bool = False) -> Access:
    return Access(Scope.ALL_EXAMS, permission, page)


def _exam(permission: Permission) -> Access:
    return Access(Scope.EXAM, permission)


def _delivery(permission: Permission, page: bool = False) -> Access:
    return Access(Scope.DELIVERY, permission, page)


_DELIVERY = "/api/deliveries/{delivery_id}"

ROUTES: dict[tuple[str, str], Access] = {
    ("POST", "/api/sign-in"): _open(),
    ("POST", "/api/sign-out"): _SELF,
    ("GET", "/api/me"): _SELF,
    ("GET", "/first-admin"): _open(page=True),
    ("POST", "/api/first-admin"): _open(),
    ("POST", "/api/participant/sign-in"): _open(),
    ("GET", "/api/staff"): _all(Permission.STAFF),
    ("POST", "/api/staff"): _all(Permission.STAFF),
    ("PATCH", "/api/staff/{staff_id}"): _all(Permission.STAFF),
    ("PUT", "/api/staff/{staff_id}/roles"): _all(Permission.STAFF),
    ("GET", "/api/tokens"): _SELF,
    ("POST", "/api/tokens"): _SELF,
    ("DELETE", "/api/tokens/{token_id}"): _SELF,
    ("GET", "/api/exams"): _any(Permission.EXAM_READ),
    ("POST", "/api/exams"): _any(Permission.EXAM_IMPORT),
    ("GET", "/api/exams/{exam_id}"): _exam(Permission.EXAM_READ),
    ("GET", "/api/exams/{exam_id}/versions/{version}"): _exam(Permission.EXAM_READ),
    ("GET", "/api/rosters"): _all(Permission.ROSTER_READ),
    ("POST", "/api/rosters"): _all(Permission.ROSTER_IMPORT),
    ("GET", "/api/rosters/{roster_id}"): _all(Permission.ROSTER_READ),
    ("GET", "/api/deliveries"): _any(Permission.DELIVERY_READ),
    ("POST", "/api/deliveries"): _any(Permission.DELIVERY_CREATE),
    ("GET", _DELIVERY): _delivery(Permission.DELIVERY_READ),
    ("DELETE", _DELIVERY): _delivery(Permission.DELIVERY_CREATE),
    ("GET", f"{_DELIVERY}/info"): _open(),
    ("GET", f"{_DELIVERY}/live-progress"): _delivery(Permission.WATCH),
    ("POST", f"{_DELIVERY}/actions"): _delivery(Permission.INVIGILATE),
    ("POST", f"{_DELIVERY}/extend"): _delivery(Permission.ADJUDICATE),
    ("POST", f"{_DELIVERY}/finalise"): _delivery(Permission.ADJUDICATE),
    ("POST", f"{_DELIVERY}/rollback"): _delivery(Permission.ADJUDICATE),
    ("POST", f"{_DELIVERY}/abort"): _delivery(Permission.ADJUDICATE),
    ("POST", f"{_DELIVERY}/restart"): _delivery(Permission.ADJUDICATE),
    ("GET", "/api/exam-clients"): _any(Permission.WATCH),
    ("GET", f"{_DELIVERY}/results"): _delivery(Permission.RESULTS),
    ("GET", f"{_DELIVERY}/results/histogram"): _delivery(Permission.RESULTS),
    ("GET", f"{_DELIVERY}/results/items"): _delivery(Permission.RESULTS),
    ("GET", f"{_DELIVERY}/manual-queue"): _delivery(Permission.SCORE),
    ("POST", f"{_DELIVERY}/manual-scores"): _delivery(Permission.SCORE),
    ("GET", f"{_DELIVERY}/receipt"): _delivery(Permission.RECEIPTS),
    ("GET", "/api/audit"): _all(Permission.AUDIT),
    ("GET", "/api/audit/verify"): _all(Permission.AUDIT),
    ("WS", "/api/ws"): _any(Permission.WATCH),
    ("GET", "/sign-in"): _open(page=True),
    ("GET", "/sit/{delivery_id}"): _open(page=True),
    ("GET", "/static"): _open(),
    ("GET", "/"): _any(Permission.DELIVERY_READ, page=True),
    ("GET", "/deliveries/{delivery_id}"): _delivery(Permission.WATCH, page=True),
    ("GET", "/deliveries/{delivery_id}/results"): _delivery(Permission.RESULTS, page=True),
    ("GET", "/deliveries/{delivery_id}/scoring"): _delivery(Permission.SCORE, page=True),
    ("GET", "/exams"): _any(Permission.EXAM_READ, page=True),
    ("GET", "/exam-clients"): _any(Permission.WATCH, page=True),
    ("GET", "/rosters"): _all(Permission.ROSTER_READ, page=True),
    ("GET", "/staff"): _all(Permission.STAFF, page=True),
    ("GET", "/audit"): _all(Permission.AUDIT, page=True),
    ("GET", "/openapi.json"): _SELF,
}
