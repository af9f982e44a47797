"""The loopback API of the process edge: the Kubernetes paths and verbs, for one machine.

``examctl apply`` and the coordinator's local adapter use it; a bearer from a 0600 file opens it.
"""

import hmac
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exam_contract.delivery import API_VERSION, ExamDelivery
from exam_contract.problems import MEDIA_TYPE, ProblemCode, problem
from exam_operator.adapters.metrics import CONTENT_TYPE, OperatorMetrics
from exam_operator.core.world import Key
from exam_operator.errors import EdgeError, ObjectConflict, ObjectInvalid, ObjectUnknown
from exam_operator.local import admission
from exam_operator.local.edge import ProcessEdge
from exam_operator.local.objects import ObjectStore, key_of

_BODY_BYTES = 64 * 1024
_COLLECTION = f"/apis/{API_VERSION}/namespaces/{{namespace}}/examdeliveries"
Handler = Callable[[Request], Awaitable[Response]]


class ObjectApi:
    """The handlers; every change is followed by a reconcile at once."""

    def __init__(
        self,
        store: ObjectStore,
        edge: ProcessEdge,
        metrics: OperatorMetrics,
        token_file: Path,
        changed: Callable[[Key], None],
    ) -> None:
        self._store, self._edge, self._metrics = store, edge, metrics
        self._token_file, self._changed = token_file, changed

    def app(self) -> Starlette:
        """The ASGI application."""
        one = f"{_COLLECTION}/{{name}}"
        routes = [
            Route("/healthz", self._healthz, methods=["GET"]),
            Route("/metrics", self._metrics_text, methods=["GET"]),
            Route(_COLLECTION, self._guarded(self._list), methods=["GET"]),
            Route(_COLLECTION, self._guarded(self._create), methods=["POST"]),
            Route(one, self._guarded(self._get), methods=["GET"]),
            Route(one, self._guarded(self._replace), methods=["PUT"]),
            Route(one, self._guarded(self._delete), methods=["DELETE"]),
        ]
        return Starlette(
            routes=routes,
            exception_handlers={
                HTTPException: _http_problem,
                ObjectInvalid: _invalid,
                ObjectConflict: _conflict,
                ObjectUnknown: _unknown,
                EdgeError: _unavailable,
            },
        )

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            wanted = f"Bearer {self._token_file.read_text().strip()}"
            given = request.headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), wanted.encode()):
                return _problem(ProblemCode.UNAUTHENTICATED, "send the bearer of local.token")
            return await handler(request)

        return guarded

    async def _healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _metrics_text(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def _list(self, request: Request) -> Response:
        namespace = request.path_params["namespace"]
        keys = [key for key in self._store.all_keys() if key.namespace == namespace]
        items = [self._store.get(key).to_dict() for key in keys]
        return JSONResponse({"apiVersion": API_VERSION, "kind": "ExamDeliveryList", "items": items})

    async def _get(self, request: Request) -> Response:
        return _shown(self._store.get(_key(request)))

    async def _create(self, request: Request) -> Response:
        wanted = _in_namespace(await _body(request), request)
        created = self._store.create(admission.parse(wanted))
        self._changed(key_of(created))
        return _shown(created, 201)

    async def _replace(self, request: Request) -> Response:
        wanted = admission.parse(_in_namespace(await _body(request), request))
        if key_of(wanted) != _key(request):
            return _problem(ProblemCode.BAD_REQUEST, "metadata.name differs from the URL's name")
        replaced = self._store.replace(wanted)
        self._changed(key_of(replaced))
        return _shown(replaced)

    async def _delete(self, request: Request) -> Response:
        key = _key(request)
        deleted = self._store.mark_deleted(key, started_now=await self._edge.started_now(key))
        self._changed(key)
        return _shown(deleted)


def _key(request: Request) -> Key:
    return Key(request.path_params["namespace"], request.path_params["name"])


def _shown(stored: ExamDelivery, status: int = 200) -> Response:
    return JSONResponse(stored.to_dict(), status_code=status)


async def _body(request: Request) -> Any:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > _BODY_BYTES:
            raise HTTPException(413)
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None


def _in_namespace(document: Any, request: Request) -> Any:
    """A document without a namespace takes the URL's; another one is refused."""
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        return document
    namespace = request.path_params["namespace"]
    meta = {"namespace": namespace, **document["metadata"]}
    if meta["namespace"] != namespace:
        raise HTTPException(400, "metadata.namespace differs from the URL's namespace")
    return {**document, "metadata": meta}


def _problem(code: ProblemCode, detail: str | None, **members: object) -> Response:
    body = problem(code, detail, **members)
    return JSONResponse(
        body.model_dump(mode="json", exclude_none=True),
        status_code=body.status,
        media_type=MEDIA_TYPE,
    )


_BY_STATUS = {
    400: ProblemCode.BAD_REQUEST,
    404: ProblemCode.NOT_FOUND,
    405: ProblemCode.METHOD_NOT_ALLOWED,
    413: ProblemCode.BODY_TOO_LARGE,
}


async def _http_problem(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else None
    return _problem(_BY_STATUS.get(status, ProblemCode.INTERNAL), detail)


async def _invalid(request: Request, error: Exception) -> Response:
    faults = error.faults if isinstance(error, ObjectInvalid) else ()
    errors = [{"path": fault.path, "message": fault.message} for fault in faults]
    return _problem(ProblemCode.RULE_VIOLATED, str(error), errors=errors)


async def _conflict(request: Request, error: Exception) -> Response:
    return _problem(ProblemCode.CONFLICT, str(error))


async def _unknown(request: Request, error: Exception) -> Response:
    return _problem(ProblemCode.NOT_FOUND, str(error))


async def _unavailable(request: Request, error: Exception) -> Response:
    return _problem(ProblemCode.INTERNAL, str(error))
