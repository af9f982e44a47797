"""A Kubernetes API server as far as a person's plugin calls it, behind a kubeconfig of its own.

Like the real one it answers in ``Status`` objects, and an unknown resource in plain text.
"""

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Json = dict[str, Any]
TOKEN = "a-persons-token"
_PLURALS = {
    "ExamDelivery": "examdeliveries",
    "Pod": "pods",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Secret": "secrets",
    "Event": "events",
}
_REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 503: "ServiceUnavailable"}


class KubectlCluster:
    """``react`` is told of a patched object and may change it, as the operator would.

    ``forbidden``: "verb plural". ``away``: how many calls still get a 503. ``installed``: whether
    the CRD is there.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.objects: dict[tuple[str, str, str], Json] = {}
        self.forbidden: set[str] = set()
        self.away = 0
        self.installed = True
        self.token = TOKEN
        self.react: Callable[[Json], None] = lambda patched: None
        self.asked: list[tuple[str, str]] = []

    def put(self, document: Json) -> Json:
        """Store an object; it stays the caller's to change."""
        meta = document["metadata"]
        key = (_PLURALS[document["kind"]], meta["namespace"], meta["name"])
        self.objects[key] = document
        return document

    def remove(self, plural: str, namespace: str, name: str) -> None:
        del self.objects[plural, namespace, name]

    def kubeconfig(self, folder: Path, namespace: str = "exams") -> Path:
        """A file with one context, ``here``."""
        path = folder / "kubeconfig"
        context = {"cluster": "c", "user": "me", "namespace": namespace}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {"token": TOKEN}}],
            "contexts": [{"name": "here", "context": context}],
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def answer(self, method: str, target: str, token: str, body: Json | None) -> tuple[int, Any]:
        """One request."""
        parts = urlsplit(target)
        self.asked.append((method, parts.path))
        if self.away:
            self.away -= 1
            return _status(503, "the server is currently unable to handle the request")
        if token != f"Bearer {self.token}":
            return _status(401, "Unauthorized")
        steps = parts.path.split("/")[3 if parts.path.startswith("/api/") else 4 :]
        namespace = steps[1] if steps[0] == "namespaces" else None
        plural, *rest = steps[2:] if namespace else steps
        if plural == "examdeliveries" and not self.installed:
            return 404, b"404 page not found\n"
        verb = "patch" if method == "PATCH" else "get" if rest else "list"
        if f"{verb} {plural}" in self.forbidden:
            return _status(
                403, f'{plural} is forbidden: User "me" cannot {verb} resource "{plural}"'
            )
        if not rest:
            return 200, {"items": self._listed(plural, namespace, parse_qs(parts.query))}
        found = self.objects.get((plural, namespace or "", rest[0]))
        if found is None:
            return _status(404, f'{plural} "{rest[0]}" not found', rest[0])
        if body is not None:
            _merge(found, body)
            self.react(found)
        return 200, found

    def _listed(
        self, plural: str, namespace: str | None, query: dict[str, list[str]]
    ) -> list[Json]:
        found = [
            one
            for (kind, where, _), one in sorted(self.objects.items(), key=lambda item: item[0])
            if kind == plural and namespace in (None, where)
        ]
        for selector in query.get("fieldSelector", []):
            path, _, wanted = selector.partition("=")
            found = [one for one in found if _at(one, path) == wanted]
        return found


@contextmanager
def kubectl_cluster() -> Iterator[KubectlCluster]:
    """A server on a free port until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    cluster = KubectlCluster(f"http://127.0.0.1:{server.server_address[1]}")
    server.cluster = cluster  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(None)

    def do_PATCH(self) -> None:
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on standard error."""

    def _answer(self, body: Json | None) -> None:
        cluster: KubectlCluster = self.server.cluster  # type: ignore[attr-defined]
        token = self.headers.get("Authorization") or ""
        status, answer = cluster.answer(self.command, self.path, token, body)
        data = answer if isinstance(answer, bytes) else json.dumps(copy.deepcopy(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _merge(base: Json, over: Json) -> None:
    for key, value in over.items():
        if value is None:
            base.pop(key, None)
        elif isinstance(value, dict):
            _merge(base.setdefault(key, {}), value)
        else:
            base[key] = value


def _at(document: Json, path: str) -> str | None:
    found: Any = document
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found if found is None else str(found)


def _status(code: int, message: str, name: str | None = None) -> tuple[int, Json]:
    details = {} if name is None else {"name": name}
    told = {"kind": "Status", "status": "Failure", "message": message, "details": details}
    return code, {**told, "reason": _REASONS[code], "code": code}
