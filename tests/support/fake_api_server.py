"""A Kubernetes API server as far as the coordinator calls it: objects, reviews of tokens, keys.

Like the real one it speaks in ``Status`` objects, keeps status out of ordinary writes, drops what a
replace leaves out, and puts the offending value in front of a rule's sentence.
"""

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exam_contract.delivery import ExamDelivery
from exam_contract.delivery_rules import (
    DELETE_REFUSED,
    Violation,
    delete_allowed,
    spec_violations,
    update_violations,
)
from tests.support.cluster_tokens import ISSUER, Issuer

Json = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]
_RESOURCE = "examdeliveries.exams.medxamion.io"
_POLICY = "ValidatingAdmissionPolicy 'medxamion-delete' with binding 'medxamion-delete'"


class FakeApiServer:
    """``away`` answers 503; ``namespaces`` exist; to ``forbidden`` verbs we have no right."""

    def __init__(self, own_token: str) -> None:
        self.own_token = own_token
        self.issuer = Issuer()
        self.objects: dict[tuple[str, str], Json] = {}
        self.namespaces = {"exams"}
        self.forbidden: set[str] = set()
        self.away = False
        self.reviews: list[str] = []
        self.conflicts = 0
        base = "/apis/exams.medxamion.io/v1/namespaces/{namespace}/examdeliveries"
        self.app = Starlette(
            routes=[
                Route(base, self._guarded("create", self._create), methods=["POST"]),
                Route(f"{base}/{{name}}", self._guarded("get", self._get), methods=["GET"]),
                Route(f"{base}/{{name}}", self._guarded("update", self._replace), methods=["PUT"]),
                Route(
                    f"{base}/{{name}}", self._guarded("delete", self._delete), methods=["DELETE"]
                ),
                Route(
                    "/apis/authentication.k8s.io/v1/tokenreviews",
                    self._guarded("review", self._review),
                    methods=["POST"],
                ),
                Route("/openid/v1/jwks", self._guarded("keys", self._jwks)),
                Route(
                    "/.well-known/openid-configuration", self._guarded("keys", self._configuration)
                ),
            ]
        )

    def _guarded(self, verb: str, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            if self.away:
                return _status(503, "ServiceUnavailable", "the server is unavailable")
            if request.headers.get("authorization") != f"Bearer {self.own_token}":
                return _status(401, "Unauthorized", "Unauthorized")
            if verb in self.forbidden:
                return _forbidden(
                    f'User "system:serviceaccount:medxamion:medxamion-coordinator" cannot {verb}'
                    f' resource "examdeliveries" in API group "exams.medxamion.io" in the namespace'
                    f' "{request.path_params.get("namespace")}"'
                )
            return await handler(request)

        return guarded

    async def _create(self, request: Request) -> Response:
        namespace, sent = request.path_params["namespace"], await request.json()
        name = sent["metadata"]["name"]
        if namespace not in self.namespaces:
            return _status(
                404, "NotFound", f'namespaces "{namespace}" not found', namespace, kind="namespaces"
            )
        if (namespace, name) in self.objects:
            return _status(409, "AlreadyExists", f'{_RESOURCE} "{name}" already exists', name)
        refused = _invalid(name, sent, lambda wanted: spec_violations(wanted.spec))
        if refused is not None:
            return refused
        document = ExamDelivery.model_validate(sent).to_dict()
        document.pop("status")
        document["metadata"].update(
            uid=str(uuid.uuid4()),
            resourceVersion="1",
            generation=1,
            creationTimestamp="2030-01-01T00:00:00Z",
            managedFields=[{"manager": "python-httpx", "operation": "Update"}],
        )
        self.objects[namespace, name] = document
        return JSONResponse(document, 201)

    async def _get(self, request: Request) -> Response:
        stored = self.objects.get(_key(request))
        return _not_found(request) if stored is None else JSONResponse(stored)

    async def _replace(self, request: Request) -> Response:
        stored, sent = self.objects.get(_key(request)), await request.json()
        if stored is None:
            return _not_found(request)
        name = request.path_params["name"]
        if self.conflicts or sent["metadata"]["resourceVersion"] != _version(stored):
            self.conflicts = max(0, self.conflicts - 1)
            said = f'Operation cannot be fulfilled on {_RESOURCE} "{name}": the object has been'
            return _status(409, "Conflict", f"{said} modified; please apply your changes", name)
        before = ExamDelivery.model_validate(stored)
        refused = _invalid(name, sent, lambda wanted: update_violations(before, wanted.spec))
        if refused is not None:
            return refused
        kept = {field: stored["metadata"][field] for field in ("uid", "creationTimestamp")}
        moved = int(sent["spec"] != stored["spec"])
        after = {
            **sent,
            "metadata": {
                **sent["metadata"],
                **kept,
                "resourceVersion": str(int(_version(stored)) + 1),
                "generation": stored["metadata"]["generation"] + moved,
            },
        }
        after.pop("status", None)
        if "status" in stored:
            after["status"] = stored["status"]
        self.objects[_key(request)] = after
        return JSONResponse(after)

    async def _delete(self, request: Request) -> Response:
        stored = self.objects.get(_key(request))
        if stored is None:
            return _not_found(request)
        wanted = (await request.json()).get("preconditions", {}).get("uid")
        name = request.path_params["name"]
        if wanted != stored["metadata"]["uid"]:
            return _status(409, "Conflict", "the UID in the precondition does not match", name)
        if not delete_allowed(ExamDelivery.model_validate(stored), None):
            message = f"{_POLICY} denied request: {DELETE_REFUSED}"
            said = f'{_RESOURCE} "{name}" is forbidden: {message}'
            return _status(422, "Invalid", said, name, causes=[{"message": message}])
        del self.objects[_key(request)]
        return JSONResponse({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    async def _review(self, request: Request) -> Response:
        spec = (await request.json())["spec"]
        self.reviews.append(spec["token"])
        claims = self.issuer.genuine(spec["token"])
        audiences = [] if claims is None else [a for a in spec["audiences"] if a in claims["aud"]]
        if claims is None or not audiences:
            return JSONResponse({"status": {"user": {}, "error": "invalid bearer token"}}, 201)
        pod = claims["kubernetes.io"].get("pod")
        prefix = "authentication.kubernetes.io"
        extra = {f"{prefix}/pod-uid": [pod["uid"]], f"{prefix}/pod-name": [pod["name"]]}
        user = {"username": claims["sub"], "extra": extra if pod else {}}
        status = {"authenticated": True, "user": user, "audiences": audiences}
        return JSONResponse({"kind": "TokenReview", "status": status}, 201)

    async def _jwks(self, request: Request) -> Response:
        return JSONResponse(self.issuer.jwks)

    async def _configuration(self, request: Request) -> Response:
        return JSONResponse({"issuer": ISSUER, "jwks_uri": "https://10.0.0.1/openid/v1/jwks"})


def _invalid(name: str, sent: Json, rules: Any) -> Response | None:
    stripped = {member: value for member, value in sent.items() if member != "status"}
    try:
        wanted = ExamDelivery.model_validate(stripped)
    except ValidationError as error:
        faults = [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
        broken = [Violation(path, f'Invalid value: "x": {message}') for path, message in faults]
    else:
        broken = [
            Violation(rule.path, f'Invalid value: "object": {rule.message}')
            for rule in rules(wanted)
        ]
    if not broken:
        return None
    causes = [
        {"reason": "FieldValueInvalid", "message": rule.message, "field": rule.path}
        for rule in broken
    ]
    said = f'ExamDelivery.exams.medxamion.io "{name}" is invalid: {json.dumps(causes)}'
    return _status(422, "Invalid", said, name, causes=causes)


def _status(
    code: int, reason: str, message: str, name: str | None = None, **details: Any
) -> Response:
    told: Json = {"group": "exams.medxamion.io", "kind": "examdeliveries", **details}
    if name is not None:
        told["name"] = name
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": told,
        "code": code,
    }
    return JSONResponse(body, code)


def _forbidden(why: str) -> Response:
    return _status(403, "Forbidden", f"{_RESOURCE} is forbidden: {why}")


def _not_found(request: Request) -> Response:
    name = request.path_params["name"]
    return _status(404, "NotFound", f'{_RESOURCE} "{name}" not found', name)


def _key(request: Request) -> tuple[str, str]:
    return request.path_params["namespace"], request.path_params["name"]


def _version(stored: Json) -> str:
    return str(stored["metadata"]["resourceVersion"])
