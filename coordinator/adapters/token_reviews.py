"""What the Kubernetes API says of ServiceAccount tokens, and the keys to check them without it."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import structlog

from coordinator.adapters.trusted_http import TrustedHttp

_TIMEOUT_SECONDS = 3.0
_log = structlog.get_logger(__name__)
Json = dict[str, Any]


class ApiAway(Exception):
    """The API gave no verdict."""


@dataclass(frozen=True, slots=True)
class IssuerKeys:
    """``keys``: kid to JWK."""

    issuer: str
    keys: dict[str, Json]


class TokenReviews:
    """By the coordinator's own ServiceAccount, whose token is read at every call."""

    def __init__(self, base_url: str, token_file: Path, ca_file: Path | None) -> None:
        self._token_file = token_file
        self._http = TrustedHttp(ca_file, base_url=base_url.rstrip("/"), timeout=_TIMEOUT_SECONDS)

    async def __aenter__(self) -> "TokenReviews":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def review(self, token: str, audience: str) -> Json:
        """The status of a TokenReview. Raises ApiAway."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        return _member(await self._call("POST", path, body), "status")

    async def issuer_keys(self) -> IssuerKeys:
        """The cluster's issuer and public keys. Raises ApiAway."""
        about = await self._call("GET", "/.well-known/openid-configuration")
        jwks = await self._call("GET", "/openid/v1/jwks")
        listed = jwks.get("keys")
        if not isinstance(listed, list):
            raise ApiAway("the list of keys can't be read")
        keys = {str(key["kid"]): key for key in listed if isinstance(key, dict) and "kid" in key}
        return IssuerKeys(str(about.get("issuer")), keys)

    async def _call(self, method: str, path: str, body: Json | None = None) -> Json:
        try:
            token = self._token_file.read_text().strip()
            headers = {"Authorization": f"Bearer {token}"}
            reply = await self._http.request(method, path, json=body, headers=headers)
            if not reply.is_success:
                _log.warning("kubernetes_api_refused", path=path, status=reply.status_code)
                raise ApiAway(f"the Kubernetes API answered with status {reply.status_code}")
            answer = reply.json()
        except (httpx.HTTPError, OSError, ValueError) as error:
            raise ApiAway("the Kubernetes API does not answer") from error
        if not isinstance(answer, dict):
            raise ApiAway("the Kubernetes API's reply can't be read")
        return answer


def _member(answer: Json, name: str) -> Json:
    found = answer.get(name)
    if not isinstance(found, dict):
        raise ApiAway("the Kubernetes API's reply can't be read")
    return found
