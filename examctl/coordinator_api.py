"""The coordinator's REST API as examctl uses it: problems become errors in words.

Requests that change something are idempotent at the coordinator, so a lost connection is told and
the command may simply be run again.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import httpx
import typer

from examctl.errors import (
    ExamctlError,
    FieldError,
    RefusedError,
    UnreachableError,
    UnreadableInputError,
)
from examctl.runtime import Runtime

TIMEOUT = httpx.Timeout(180.0, connect=5.0)
"""Generous: importing a roster of thousands draws and hashes as many codes."""
PAGE = 1000

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="MEDXAMION_URL",
        help="The coordinator. Default: the one that runs on this machine.",
        show_default=False,
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="MEDXAMION_TOKEN_FILE",
        help="A 0600 file with an API token. Default: this machine's own.",
        show_default=False,
    ),
]


class Coordinator:
    """A signed-in connection. Raises RefusedError and UnreachableError, never httpx's.

    ``trust``: what an https certificate is checked against; None: the machine's own authorities.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: httpx.Timeout = TIMEOUT,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout,
            verify=trust or True,
        )

    @classmethod
    def connect(
        cls,
        home: Path | None = None,
        url: str | None = None,
        token_file: Path | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> Self:
        """The coordinator that the options name, else the one that runs on this machine."""
        if url is None:
            runtime = Runtime.load(home)
            return cls(runtime.coordinator_url, _token(token_file) or runtime.cli_token)
        token = _token(token_file)
        if token is None:
            raise UnreadableInputError(
                "no API token for the coordinator", "name a file that holds one by --token-file"
            )
        return cls(url, token, trust=trust)

    def get(self, path: str, **params: str | int) -> Any:
        """JSON of a GET."""
        return self._call("GET", path, params=params).json()

    def post(self, path: str, body: object, **params: str | int) -> httpx.Response:
        """A POST's successful response."""
        return self._call("POST", path, json=body, params=params)

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        """Every item of a paged list."""
        after: Any = None
        while True:
            params = {"limit": PAGE} | ({"after": after} if after is not None else {})
            page = self.get(path, **params)
            yield from page["items"]
            after = page.get("next")
            if after is None:
                return

    def download(self, path: str, **params: str | int) -> Iterator[bytes]:
        """A body piece by piece, so that its size never matters."""
        try:
            with self._http.stream("GET", path, params=params) as response:
                if response.is_error:
                    response.read()
                    raise refusal(response)
                yield from response.iter_bytes()
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from error

    def delivery_id(self, named: str) -> int:
        """A delivery's integer by itself or by the delivery's name."""
        if named.isdigit():
            return int(named)
        found = [one for one in self.pages("/api/deliveries") if one.get("name") == named]
        if len(found) == 1:
            return int(found[0]["id"])
        told = "there is no delivery" if not found else "there is more than one delivery"
        raise RefusedError(f"{told} named {named}", "`examctl get` lists them; give the number")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from error
        if response.is_error:
            raise refusal(response)
        return response


def refusal(response: httpx.Response) -> ExamctlError:
    """A problem+json body as an error in words; its code decides the exit code."""
    try:
        body = response.json()
        title = body["title"]
    except (ValueError, KeyError, TypeError):
        return UnreachableError(
            f"{response.url.path} answered {response.status_code} and no reason"
        )
    detail = body.get("detail")
    errors = tuple(_field(entry) for entry in body.get("errors") or [])
    said_below = any(error.message in str(detail) for error in errors)
    message = f"{title}: {detail}" if detail and not said_below else str(title)
    if response.status_code in (502, 503, 504):
        return UnreachableError(message, errors=errors)
    return RefusedError(message, _hint(response.status_code), errors)


def _field(entry: dict[str, Any]) -> FieldError:
    places = (entry.get("path"), entry.get("row") and f"row {entry['row']}", entry.get("field"))
    return FieldError(", ".join(str(place) for place in places if place), str(entry["message"]))


def _hint(status: int) -> str | None:
    if status == 401:
        return "the API token is not accepted; make another or check --token-file"
    if status == 403:
        return "the account of this API token has no role for that"
    return None


def _unreachable(url: str, error: httpx.HTTPError) -> UnreachableError:
    if isinstance(error, httpx.ConnectError):
        return UnreachableError(f"nobody answers at {url}", "is `examctl up` running?")
    if isinstance(error, httpx.TimeoutException):
        return UnreachableError(f"{url} did not answer in time", "try again; it is safe to repeat")
    return UnreachableError(f"{url}: {error}", "try again; it is safe to repeat")


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().strip()
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be read: {error.strerror}") from error
