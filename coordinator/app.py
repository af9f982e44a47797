"""The composition root: three apps over one runtime.

``create_app(settings)`` is the public app with a runtime of its own, for tests and tools; the
process itself opens one runtime and serves all three doors from it (``__main__``).
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypedDict

from fastapi import Depends, FastAPI, Request

from coordinator.api import deliveries, deps, internal, library, pages, people, probes, problems
from coordinator.api import results as results_api
from coordinator.api import socket as socket_api
from coordinator.api.limits import Admit, Limits
from coordinator.dashboard import routes as dashboard
from coordinator.errors import Unauthenticated
from coordinator.services.runtime import Runtime, open_runtime
from coordinator.services.standing import Standing
from coordinator.settings import Settings
from exam_contract.version import VERSION

_MIB = 2**20


class State(TypedDict):
    """What the lifespan hands to every request."""

    runtime: Runtime


class ProbedState(TypedDict):
    """What the probes have before there is a runtime."""

    standing: Standing


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[State | ProbedState]]


def create_app(settings: Settings) -> FastAPI:
    """The public app, opening its runtime in its lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with open_runtime(settings) as runtime:
            yield {"runtime": runtime}

    return _public(lifespan)


def create_public_app(runtime: Runtime) -> FastAPI:
    """REST, WebSocket and pages for people (port 8080)."""
    return _public(_sharing(runtime))


def create_internal_app(runtime: Runtime) -> FastAPI:
    """The operator's and the exam-clients' door (port 8081)."""
    larger = {
        "/event": 512 * 1024,
        "/final-results": 64 * _MIB,
        "/final-results/chunks/": 4 * _MIB,
    }
    app = _app("internal", _sharing(runtime), larger, internal.admit)
    app.include_router(internal.router)
    return app


def create_metrics_app(standing: Standing) -> FastAPI:
    """Prometheus and probes (port 9090)."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[ProbedState]:
        yield {"standing": standing}

    app = _app("metrics", lifespan, {}, deps.admit)
    app.include_router(probes.router)
    return app


def _public(lifespan: Lifespan) -> FastAPI:
    larger = {"/api/exams": 64 * _MIB, "/api/rosters": 16 * _MIB}
    app = _app("public", lifespan, larger, deps.admit, dependencies=[Depends(deps.authorise)])
    for part in (people, library, deliveries, results_api, socket_api):
        app.include_router(part.router)
    app.include_router(dashboard.router(_viewer))
    app.mount("/static", dashboard.static_files(), name="static")
    app.add_exception_handler(Unauthenticated, pages.redirect_to_sign_in)
    deps.check_routes(app.routes)
    return app


def _app(
    door: str, lifespan: Lifespan, larger: Mapping[str, int], admit: Admit, **options: Any
) -> FastAPI:
    app = FastAPI(
        title=f"MedXamion coordinator ({door})",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None if door == "metrics" else "/openapi.json",
        **options,
    )
    app.add_middleware(Limits, door=door, larger=larger, admit=admit)
    problems.install(app)
    return app


def _sharing(runtime: Runtime) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        yield {"runtime": runtime}

    return lifespan


def _viewer(request: Request) -> dashboard.Viewer:
    session = pages.viewer(request)
    return dashboard.Viewer(
        name=session.account.display_name,
        grants=session.account.grants,
        csrf_token=session.csrf_token or "",
    )
