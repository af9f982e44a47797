"""ExamDelivery objects through the process edge's loopback API: one machine, no Kubernetes."""

from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from pydantic import ValidationError

from coordinator.errors import ClientRefused, Conflict, NotFound, NotReady, Refused, RuleViolated
from exam_contract.delivery import GROUP, PLURAL, VERSION, ExamDelivery
from exam_contract.problems import Problem, ProblemCode


class LocalObjects:
    """The token file is read at every call: the edge may have been started again."""

    def __init__(self, base_url: str, token_file: Path, timeout_seconds: float = 5.0) -> None:
        self._token_file = token_file
        self._http = httpx.AsyncClient(
            base_url=f"{base_url.rstrip('/')}/apis/{GROUP}/{VERSION}",
            timeout=timeout_seconds,
            trust_env=False,
        )

    async def __aenter__(self) -> "LocalObjects":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def create(self, wanted: ExamDelivery) -> ExamDelivery:
        return await self._call("POST", _path(wanted.metadata.namespace), wanted)

    async def get(self, namespace: str, name: str) -> ExamDelivery:
        return await self._call("GET", _path(namespace, name))

    async def replace(self, wanted: ExamDelivery) -> ExamDelivery:
        path = _path(wanted.metadata.namespace, wanted.metadata.name)
        return await self._call("PUT", path, wanted)

    async def delete(self, namespace: str, name: str) -> None:
        await self._send("DELETE", _path(namespace, name))

    async def _call(self, method: str, path: str, body: ExamDelivery | None = None) -> ExamDelivery:
        reply = await self._send(method, path, body)
        try:
            return ExamDelivery.model_validate_json(reply.content)
        except ValidationError as error:
            raise NotReady("the object API's reply can't be read; is it as new?") from error

    async def _send(
        self, method: str, path: str, body: ExamDelivery | None = None
    ) -> httpx.Response:
        try:
            token = self._token_file.read_text().strip()
            reply = await self._http.request(
                method,
                path,
                json=None if body is None else body.to_dict(),
                headers={"Authorization": f"Bearer {token}"},
            )
        except (httpx.HTTPError, OSError) as error:
            raise NotReady("the object API does not answer; is `examctl up` running?") from error
        if reply.is_success:
            return reply
        raise _refusal(reply)


def _path(namespace: str, name: str | None = None) -> str:
    base = f"/namespaces/{namespace}/{PLURAL}"
    return base if name is None else f"{base}/{name}"


def _refusal(reply: httpx.Response) -> Refused:
    try:
        problem = Problem.model_validate_json(reply.content)
    except ValidationError:
        return NotReady(f"the object API answered with status {reply.status_code}")
    detail = problem.detail or problem.title
    members: dict[str, Any] = {} if problem.errors is None else {"errors": problem.errors}
    match problem.code:
        case ProblemCode.RULE_VIOLATED:
            return RuleViolated(detail, **members)
        case ProblemCode.CONFLICT:
            return Conflict(detail)
        case ProblemCode.NOT_FOUND:
            return NotFound("the delivery's object does not exist any more")
        case _ if reply.status_code in (401, 403) or reply.status_code >= 500:
            return NotReady(f"the object API says: {detail}")
        case _:
            return ClientRefused(problem.code, detail, **members)
