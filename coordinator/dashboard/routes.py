"""Pages as thin shells: who is signed in, what the person may see, and one ES module per page.

Everything else a page shows comes from the REST API and the WebSocket, so that a page and an API
client can't disagree. A page holds no inline script and no inline style, and its policy says so.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from coordinator.core.permissions import Grant, Permission, exams_with, holds

_HERE = Path(__file__).parent

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page; the router asks the app for it, which has checked the permission."""

    name: str
    grants: tuple[Grant, ...]
    csrf_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Page:
    """``module``: template and script of that name; ``area``: the entry of the navigation."""

    path: str
    module: str
    title: str
    area: str = ""


STAFF_PAGES = (
    Page("/", "deliveries", "Deliveries", "/"),
    Page("/deliveries/{delivery_id}", "live", "Live", "/"),
    Page("/deliveries/{delivery_id}/results", "results", "Results", "/"),
    Page("/deliveries/{delivery_id}/scoring", "scoring", "Scoring", "/"),
    Page("/exams", "exams", "Exams", "/exams"),
    Page("/rosters", "rosters", "Rosters", "/rosters"),
    Page("/exam-clients", "exam_clients", "Exam-clients", "/exam-clients"),
    Page("/staff", "people", "Staff", "/staff"),
    Page("/audit", "audit", "Audit", "/audit"),
)
OPEN_PAGES = (
    Page("/sign-in", "sign_in", "Sign in"),
    Page("/first-admin", "first_admin", "First administrator"),
    Page("/sit/{delivery_id}", "sit", "Sign in to the exam"),
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the navigation; ``everywhere``: only when held for all exams."""

    path: str
    title: str
    permission: Permission
    everywhere: bool = False


_NAVIGATION = (
    _Entry("/", "Deliveries", Permission.DELIVERY_READ),
    _Entry("/exams", "Exams", Permission.EXAM_READ),
    _Entry("/rosters", "Rosters", Permission.ROSTER_READ, everywhere=True),
    _Entry("/exam-clients", "Exam-clients", Permission.WATCH),
    _Entry("/staff", "Staff", Permission.STAFF, everywhere=True),
    _Entry("/audit", "Audit", Permission.AUDIT, everywhere=True),
)


def router(viewer_of: Callable[[Request], Viewer]) -> APIRouter:
    """All pages. ``viewer_of`` names who is signed in; open pages never ask for it."""
    pages = APIRouter(include_in_schema=False)
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined
    )
    for page in STAFF_PAGES:
        pages.add_api_route(page.path, _staff_page(environment, page, viewer_of), methods=["GET"])
    for page in OPEN_PAGES:
        pages.add_api_route(page.path, _open_page(environment, page), methods=["GET"])
    return pages


def static_files() -> StaticFiles:
    """Scripts and styles, to be mounted at ``/static``."""
    return _StaticFiles(directory=_HERE / "static")


def navigation(grants: tuple[Grant, ...]) -> list[tuple[str, str]]:
    """Path and title of every page in the navigation that the grants open."""
    return [(entry.path, entry.title) for entry in _NAVIGATION if _opens(entry, grants)]


def permissions(grants: tuple[Grant, ...]) -> dict[str, list[str] | None]:
    """Permission to the exams it is held for; None: all of them. For scripts that hide controls."""
    held = {permission: exams_with(grants, permission) for permission in Permission}
    return {
        permission.value: None if exams is None else sorted(exams)
        for permission, exams in held.items()
        if exams is None or exams
    }


class _StaticFiles(StaticFiles):
    """The browser asks each time and mostly hears 304: an update is never half old."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _opens(entry: _Entry, grants: tuple[Grant, ...]) -> bool:
    if entry.everywhere:
        return holds(grants, entry.permission, None)
    exams = exams_with(grants, entry.permission)
    return exams is None or bool(exams)


def _staff_page(
    environment: Environment, page: Page, viewer_of: Callable[[Request], Viewer]
) -> Callable[[Request], Awaitable[HTMLResponse]]:
    template = environment.get_template(f"{page.module}.html")

    async def show(request: Request) -> HTMLResponse:
        viewer = viewer_of(request)
        return _html(
            template.render(
                page=page,
                delivery_id=request.path_params.get("delivery_id"),
                navigation=navigation(viewer.grants),
                viewer={
                    "name": viewer.name,
                    "csrf_token": viewer.csrf_token,
                    "may": permissions(viewer.grants),
                },
            )
        )

    return show


def _open_page(
    environment: Environment, page: Page
) -> Callable[[Request], Awaitable[HTMLResponse]]:
    template = environment.get_template(f"{page.module}.html")

    async def show(request: Request) -> HTMLResponse:
        return _html(template.render(page=page, delivery_id=request.path_params.get("delivery_id")))

    return show


def _html(body: str) -> HTMLResponse:
    return HTMLResponse(body, headers=dict(SECURITY_HEADERS))
