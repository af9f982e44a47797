"""The API server's objects over HTTP: cheap enough to ask many times a second.

It goes through ``kubectl proxy``, so it works with the credentials of any kubeconfig and after the
API server came back.
"""

from collections.abc import Callable
from typing import Any

import httpx

from tests.support.waiting import until

Json = dict[str, Any]
_PAUSE_SECONDS = 0.1
_GROUPS = {
    "deployments": "apps/v1",
    "statefulsets": "apps/v1",
    "examdeliveries": "exams.medxamion.io/v1",
    "storageclasses": "storage.k8s.io/v1",
    "ingresses": "networking.k8s.io/v1",
    "networkpolicies": "networking.k8s.io/v1",
    "poddisruptionbudgets": "policy/v1",
    "customresourcedefinitions": "apiextensions.k8s.io/v1",
}
_MERGE = {"Content-Type": "application/merge-patch+json"}
_TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}


class Api:
    """Objects by plural, namespace and name. ``url`` is a proxy's."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30.0)

    def close(self) -> None:
        self._http.close()

    def find(self, plural: str, name: str, namespace: str | None = None) -> Json | None:
        """The object, or None where there is none."""
        response = self._http.get(_path(plural, namespace, name))
        return None if response.status_code == 404 else _body(response)

    def get(self, plural: str, name: str, namespace: str | None = None) -> Json:
        """The object, which must be there."""
        found = self.find(plural, name, namespace)
        assert found is not None, f"there is no {plural} {namespace}/{name}"
        return found

    def all(self, plural: str, namespace: str | None = None, **query: str) -> list[Json]:
        """The objects of a namespace; ``labelSelector`` and ``fieldSelector`` narrow."""
        body = _body(self._http.get(_path(plural, namespace), params=query))
        return list(body["items"])

    def table(self, plural: str, namespace: str) -> Json:
        """The objects as kubectl is given them to print."""
        return _body(self._http.get(_path(plural, namespace), headers=_TABLE))

    def changes(self, plural: str, namespace: str, since: str, **query: str) -> list[str]:
        """Events since a resource version, each a table of one row that holds its object."""
        watched = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "1"}
        wanted = {**watched, "includeObject": "Object", **query}
        path = _path(plural, namespace)
        return self._http.get(path, params=wanted, headers=_TABLE).text.splitlines()

    def text(self, path: str) -> str:
        """What the API server says at any path, such as a pod's port behind its proxy."""
        response = self._http.get(path)
        if response.is_error:
            raise ApiError(response.status_code, response.text[:500])
        return response.text

    def create(self, plural: str, document: Json, namespace: str | None = None) -> Json:
        return _body(self._http.post(_path(plural, namespace), json=document))

    def merge(
        self,
        plural: str,
        name: str,
        change: Json,
        namespace: str | None = None,
        *,
        part: str = "",
    ) -> Json:
        """A merge patch; ``part`` is ``status`` or ``scale``."""
        path = _path(plural, namespace, name) + (f"/{part}" if part else "")
        return _body(self._http.patch(path, json=change, headers=_MERGE))

    def delete(self, plural: str, name: str, namespace: str | None = None, **options: Any) -> None:
        """Ask for the deletion; an object that is gone already is no error."""
        response = self._http.request("DELETE", _path(plural, namespace, name), json=options)
        if response.status_code != 404:
            _body(response)

    def raw(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        """The reply as it is, whatever it says."""
        return self._http.request(method, path, json=body)

    def wait(
        self,
        plural: str,
        name: str,
        namespace: str | None,
        holds: Callable[[Json], bool],
        *,
        seconds: float,
        what: str,
    ) -> Json:
        """The object once ``holds`` says so. An API server that is away is waited for."""
        seen: list[Json] = []

        def found() -> Json | None:
            try:
                one = self.find(plural, name, namespace)
            except (httpx.HTTPError, ApiError):
                return None
            seen[:] = [one] if one else []
            return one if one is not None and holds(one) else None

        try:
            outcome = until(found, seconds=seconds, what=what, pause_seconds=_PAUSE_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}; status: {_status(seen)}") from None
        assert outcome is not None
        return outcome

    def wait_gone(
        self, plural: str, name: str, namespace: str | None = None, *, seconds: float = 60
    ) -> None:
        """Return once the object is not there any more."""
        until(
            lambda: self.find(plural, name, namespace) is None,
            seconds=seconds,
            what=f"{plural} {name} to be gone",
            pause_seconds=_PAUSE_SECONDS,
        )


class ApiError(Exception):
    """The API server said no; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


def _path(plural: str, namespace: str | None, name: str = "") -> str:
    group = _GROUPS.get(plural)
    path = f"/apis/{group}" if group else "/api/v1"
    if namespace:
        path += f"/namespaces/{namespace}"
    return f"{path}/{plural}" + (f"/{name}" if name else "")


def _body(response: httpx.Response) -> Json:
    try:
        body = dict(response.json())
    except ValueError:
        body = {"message": response.text[:500]}
    if response.is_error:
        raise ApiError(response.status_code, str(body.get("message")))
    return body


def _status(seen: list[Json]) -> str:
    return str(seen[0].get("status"))[:3000] if seen else "no such object"
