"""The process edge's objects over its loopback API: read, apply, delete."""

from types import TracebackType
from typing import Any

import httpx

from exam_contract.delivery import API_VERSION, ExamDelivery
from examctl.errors import ExamctlError, FieldError, RefusedError, UnreachableError
from examctl.runtime import Runtime

_TIMEOUT_SECONDS = 15.0


class EdgeApi:
    """One conversation; use it as a context manager."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._http = httpx.Client(
            base_url=f"{runtime.edge_url}/apis/{API_VERSION}",
            headers={"Authorization": f"Bearer {runtime.edge_token}"},
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )

    def __enter__(self) -> "EdgeApi":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def list(self, namespace: str) -> "list[ExamDelivery]":
        items = self._call("GET", _path(namespace)).json()["items"]
        return [ExamDelivery.model_validate(item) for item in items]

    def get(self, namespace: str, name: str) -> ExamDelivery | None:
        """None when there is no such object."""
        reply = self._send("GET", _path(namespace, name), None)
        if reply.status_code == httpx.codes.NOT_FOUND:
            return None
        return ExamDelivery.model_validate(_checked(reply).json())

    def create(self, namespace: str, document: dict[str, Any]) -> ExamDelivery:
        reply = self._call("POST", _path(namespace), document)
        return ExamDelivery.model_validate(reply.json())

    def replace(self, namespace: str, name: str, document: dict[str, Any]) -> ExamDelivery:
        reply = self._call("PUT", _path(namespace, name), document)
        return ExamDelivery.model_validate(reply.json())

    def delete(self, namespace: str, name: str) -> None:
        self._call("DELETE", _path(namespace, name))

    def _call(
        self, method: str, path: str, document: dict[str, Any] | None = None
    ) -> httpx.Response:
        return _checked(self._send(method, path, document))

    def _send(self, method: str, path: str, document: dict[str, Any] | None) -> httpx.Response:
        try:
            return self._http.request(method, path, json=document)
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"the process edge at {self._runtime.edge_url} does not answer",
                f"start it with `examctl up --home {self._runtime.home}`",
            ) from error


def _path(namespace: str, name: str | None = None) -> str:
    base = f"/namespaces/{namespace}/examdeliveries"
    return base if name is None else f"{base}/{name}"


def _checked(reply: httpx.Response) -> httpx.Response:
    if reply.is_success:
        return reply
    try:
        body = reply.json()
    except ValueError:
        body = {}
    detail = str(body.get("detail") or body.get("title") or f"it answered {reply.status_code}")
    errors = tuple(FieldError(each["path"], each["message"]) for each in body.get("errors") or ())
    if errors:
        raise RefusedError("the object is not accepted", errors=errors)
    if reply.status_code == httpx.codes.UNAUTHORIZED:
        raise ExamctlError(
            "the process edge refuses this token", "use the home of its `examctl up`"
        )
    if reply.status_code == httpx.codes.NOT_FOUND:
        raise ExamctlError(detail)
    if reply.is_client_error:
        raise RefusedError(detail)
    raise ExamctlError(f"the process edge failed: {detail}")
