"""Whether a browser's Origin is this site: at its public address, or at the one it was called by.

Behind a NodePort or a tunnel people come by other host names than the public one; what a browser
sends as Host then fits its Origin, which no page of another site can forge.
"""

from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def same(origin: str, public_url: str, host: str) -> bool:
    """``host``: the request's Host header. An https site is never reached from an http page."""
    here = urlsplit(public_url)
    try:
        came, home = _address(origin), _address(public_url)
        called = _address(f"{came[0]}://{host}") if host else None
    except ValueError:
        return False
    if came[0] not in _PORTS or (here.scheme == "https" and came[0] != "https"):
        return False
    return came in (home, called)


def _address(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
