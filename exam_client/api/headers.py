"""What a request brings in its headers, read once: who calls, from where, with which body."""

from typing import Any, NamedTuple

from exam_client.errors import Refusal
from exam_contract.problems import ProblemCode

Scope = dict[str, Any]


class Headers(NamedTuple):
    """The headers this service looks at; everything else is ignored."""

    authorization: str | None
    cookie: str | None
    content_type: str
    content_length: int | None
    host: str
    origin: str | None
    fetch_site: str | None
    transport: str | None


def read(scope: Scope) -> Headers:
    """Raises Refusal for a content-length that is no number."""
    found = {name: value.decode("latin-1") for name, value in scope["headers"] if name in _WANTED}
    length = found.get(b"content-length")
    if length is not None and not (length.isascii() and length.isdecimal()):
        raise Refusal(ProblemCode.BAD_REQUEST, "content-length is no number")
    return Headers(
        authorization=found.get(b"authorization"),
        cookie=found.get(b"cookie"),
        content_type=found.get(b"content-type", ""),
        content_length=None if length is None else int(length),
        host=found.get(b"host", ""),
        origin=found.get(b"origin"),
        fetch_site=found.get(b"sec-fetch-site"),
        transport=found.get(b"x-session-transport"),
    )


_WANTED = frozenset(
    {
        b"authorization",
        b"cookie",
        b"content-type",
        b"content-length",
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"x-session-transport",
    }
)


def bearer(headers: Headers) -> str | None:
    """The bearer of the Authorization header, or None."""
    value = headers.authorization
    if value is None or value[:7].lower() != "bearer ":
        return None
    return value[7:].strip() or None


def cookie(headers: Headers, name: str) -> str | None:
    """The value of one cookie; cookies ignore ports, so names contain the delivery's uid."""
    if headers.cookie is None:
        return None
    start = f"{name}="
    for part in headers.cookie.split(";"):
        part = part.strip()
        if part.startswith(start):
            return part[len(start) :]
    return None


def refuse_unless_json(headers: Headers) -> None:
    if headers.content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(
            ProblemCode.UNSUPPORTED_MEDIA_TYPE, "send the body with Content-Type: application/json"
        )


def refuse_foreign_origin(headers: Headers, scheme: str, advertised: str | None) -> None:
    """A cookie comes along by itself, so the request must say that it is this site's own."""
    if headers.origin is not None:
        if headers.origin in (f"{scheme}://{headers.host}", advertised):
            return
    elif headers.fetch_site == "same-origin":
        return
    raise Refusal(
        ProblemCode.CSRF_REFUSED, "send it from the exam page itself, or with a bearer session"
    )


class Caller(NamedTuple):
    """The session token of a request and how it came."""

    token: str | None
    by_cookie: bool


def caller(headers: Headers, cookie_name: str) -> Caller:
    """A bearer session goes before the cookie; a delivery token (it has dots) is no session."""
    token = bearer(headers)
    if token is not None and "." not in token:
        return Caller(token, by_cookie=False)
    return Caller(cookie(headers, cookie_name), by_cookie=True)
