"""The control port of an exam-client: its status, its desired document, its liveness probe.

Loopback or pod network; every call has a short deadline, since a recovery may be waiting behind it.
"""

import httpx
from pydantic import ValidationError

from exam_contract.control import ClientStatus, Desired
from exam_operator.errors import ClientSilent

_TIMEOUT = httpx.Timeout(2.0, connect=0.5)


class ControlPort:
    """Talks to exam-clients by base URL and control key."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def status(
        self, base_url: str, control_key: str, *, server_name: str | None = None
    ) -> ClientStatus:
        """Raises ClientSilent when it does not answer, or not in the contract's words.

        ``server_name``: whom its certificate must name, where the URL is a pod's address.
        """
        try:
            reply = await self._http.get(
                f"{base_url}/status",
                headers=_bearer(control_key),
                timeout=_TIMEOUT,
                extensions=_named(server_name),
            )
            if reply.status_code != httpx.codes.OK:
                raise ClientSilent(f"/status answered {reply.status_code}")
            return ClientStatus.model_validate_json(reply.content)
        except httpx.HTTPError as error:
            raise ClientSilent(type(error).__name__) from error
        except ValidationError as error:
            raise ClientSilent("/status speaks another contract") from error

    async def put_desired(
        self,
        base_url: str,
        control_key: str,
        desired: Desired,
        *,
        server_name: str | None = None,
    ) -> str | None:
        """Returns the problem code when the exam-client refuses it. Raises ClientSilent."""
        try:
            reply = await self._http.put(
                f"{base_url}/desired",
                headers={**_bearer(control_key), "Content-Type": "application/json"},
                content=desired.model_dump_json(),
                timeout=_TIMEOUT,
                extensions=_named(server_name),
            )
        except httpx.HTTPError as error:
            raise ClientSilent(type(error).__name__) from error
        return None if reply.is_success else _code(reply)

    async def is_live(self, base_url: str, *, server_name: str | None = None) -> bool:
        """Whether its liveness probe passes: event loop and writer thread alive."""
        try:
            reply = await self._http.get(
                f"{base_url}/healthz/live", timeout=_TIMEOUT, extensions=_named(server_name)
            )
        except httpx.HTTPError:
            return False
        return reply.is_success


def new_http(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """A client that ignores proxy settings: everything it calls is on this machine or network."""
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
    return httpx.AsyncClient(transport=transport, trust_env=False, limits=limits, timeout=_TIMEOUT)


def _named(server_name: str | None) -> dict[str, str]:
    return {} if server_name is None else {"sni_hostname": server_name}


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _code(reply: httpx.Response) -> str:
    try:
        body = reply.json()
    except ValueError:
        return str(reply.status_code)
    return str(body.get("code", reply.status_code)) if isinstance(body, dict) else "unknown"
