"""Calls to exam-clients, bounded in time; what fails becomes ``ClientUnreachable``."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from coordinator.adapters.trusted_http import TrustedHttp
from coordinator.errors import ClientRefused, ClientUnreachable
from exam_contract.actions import ActionOutcome
from exam_contract.problems import Problem
from exam_contract.progress import ClientView

_OUTCOME = TypeAdapter(ActionOutcome)
_VIEW = TypeAdapter(ClientView)
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Target:
    """An exam-client's internal address and a fresh service token for it."""

    base_url: str
    token: str


class ExamClients:
    """One pool of connections to all exam-clients; ``ca_file`` signs their certificates."""

    def __init__(self, timeout_seconds: float, ca_file: Path | None = None) -> None:
        self._http = TrustedHttp(
            ca_file,
            timeout=httpx.Timeout(timeout_seconds, connect=min(1.0, timeout_seconds)),
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=100),
        )

    async def __aenter__(self) -> "ExamClients":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def progress(self, target: Target) -> ClientView:
        """Statistics and every participant, now. Raises ClientUnreachable."""
        body = await self._call("GET", target, "/api/progress")
        try:
            return _VIEW.validate_json(body)
        except ValidationError as error:
            raise ClientUnreachable("the exam-client's reply can't be read") from error

    async def act(self, target: Target, action: dict[str, Any]) -> ActionOutcome:
        """Carry out an exam action; idempotent by its action_id."""
        body = await self._call("POST", target, "/api/actions", action)
        try:
            return _OUTCOME.validate_json(body)
        except ValidationError as error:
            raise ClientUnreachable("the exam-client's reply can't be read") from error

    async def probe(self, base_url: str) -> None:
        """Whether somebody answers there. Raises ClientUnreachable."""
        try:
            await self._http.request("GET", f"{base_url}/exam/info")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ClientUnreachable(_why(error)) from error

    async def _call(
        self, method: str, target: Target, path: str, body: dict[str, Any] | None = None
    ) -> bytes:
        headers = {"Authorization": f"Bearer {target.token}"}
        try:
            reply = await self._http.request(
                method, target.base_url + path, headers=headers, json=body
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ClientUnreachable(_why(error)) from error
        if reply.is_success and len(reply.content) <= _MOST_BYTES:
            return reply.content
        raise _refusal(reply)


def _refusal(reply: httpx.Response) -> ClientRefused | ClientUnreachable:
    try:
        problem = Problem.model_validate_json(reply.content)
    except ValidationError:
        return ClientUnreachable(f"the exam-client answered with status {reply.status_code}")
    if reply.status_code >= 500 or reply.status_code == 401:
        return ClientUnreachable(f"the exam-client says: {problem.detail or problem.title}")
    return ClientRefused(problem.code, problem.detail or problem.title)


def _why(error: httpx.HTTPError | httpx.InvalidURL) -> str:
    match error:
        case httpx.ConnectError() if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return "the exam-client's certificate is not one of this installation's"
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return "the exam-client can't be reached"
        case httpx.TimeoutException():
            return "the exam-client took too long to answer"
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return "the exam-client's address is no http address"
        case _:
            return "the connection to the exam-client broke"
