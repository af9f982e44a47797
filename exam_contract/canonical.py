"""Canonical JSON (RFC 8785) and digests: equal documents are equal bytes on every part.

Floats are refused instead of formatted: scores are rationals and measures are decimal strings, so
nothing here ever depends on how a platform prints a double.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Json = Any
"""JSON data: None, bool, int, str, lists and string-keyed mappings of the same."""

_MAX_SAFE = 2**53 - 1  # RFC 8785 section 3.2.2.3: numbers are IEEE 754 doubles


class NotCanonical(ValueError):
    """The value has no canonical form; the message names the place."""


def canonical_bytes(value: object) -> bytes:
    """UTF-8 bytes of the RFC 8785 form of JSON data (dict, list, str, int, bool, None).

    Raises NotCanonical for floats, integers beyond 2^53-1, lone surrogates and non-JSON types.
    """
    text = json.dumps(
        _ordered(value, "$"), ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical("a string holds a lone surrogate, which UTF-8 cannot carry") from error


def digest_bytes(data: bytes) -> str:
    """``sha256:`` and 64 lower-case hex digits over the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest(value: object) -> str:
    """Digest of the canonical bytes of a JSON value."""
    return digest_bytes(canonical_bytes(value))


def _ordered(value: object, place: str) -> object:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return _safe_integer(value, place)
    if isinstance(value, Mapping):
        return _ordered_object(value, place)
    if isinstance(value, (list, tuple)):
        return [_ordered(item, f"{place}[{index}]") for index, item in enumerate(value)]
    raise NotCanonical(f"{place}: {type(value).__name__} has no canonical form here")


def _ordered_object(value: Mapping[object, object], place: str) -> dict[str, object]:
    ordered: dict[str, object] = {}
    for key in sorted(value, key=lambda key: _utf16(key, place)):
        ordered[str(key)] = _ordered(value[key], f"{place}.{key}")
    return ordered


def _utf16(key: object, place: str) -> bytes:
    if not isinstance(key, str):
        raise NotCanonical(f"{place}: object keys must be strings")
    return key.encode("utf-16-be", "surrogatepass")


def _safe_integer(value: int, place: str) -> int:
    if abs(value) > _MAX_SAFE:
        raise NotCanonical(f"{place}: integers beyond 2^53-1 lose digits in JSON; use a string")
    return value
