"""Native JSON exams: strict reading, and validation errors as places an author can find."""

import json
from collections.abc import Sequence

from pydantic import ValidationError

from examctl.errors import FieldError, UnreadableInputError

_DEEPEST = 64
_TAGS = frozenset(
    {
        "single_best",
        "multiple_true_false",
        "pick_n",
        "extended_matching",
        "numeric",
        "short_text",
        "essay",
        "ordering",
        "hotspot",
        "key_feature",
        "script_concordance",
    }
)
_TRUNCATED = ("Unterminated string", "Expecting value", "Expecting ',' delimiter")


class _NotStrict(ValueError):
    """JSON that parsers read differently; the message says which part."""


def read_json(text: str, name: str) -> object:
    """The JSON document. Raises UnreadableInputError with line and column."""
    try:
        document = json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _malformed(error, text, name) from error
    except _NotStrict as error:
        raise UnreadableInputError(f"{name}: {error}", "mend it and try again") from error
    except RecursionError as error:
        raise _too_deep(name) from error
    if _deeper_than(document, _DEEPEST):
        raise _too_deep(name)
    return document


def dump(document: object) -> str:
    """JSON text for pydantic, which is stricter about types in JSON than in Python objects."""
    return json.dumps(document, ensure_ascii=False)


def flaws(error: ValidationError, document: object, places: dict[int, str]) -> list[FieldError]:
    """Each validation error with the place an author knows: row or item id, then the field."""
    found = []
    for entry in error.errors(include_url=False, include_input=False):
        message = _words(entry["type"], entry["msg"], entry.get("ctx", {}))
        found.append(FieldError(_place(entry["loc"], document, places), message))
    return found


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise _NotStrict(f"an object holds {name!r} twice; keep one")
        members[name] = value
    return members


def _no_constant(word: str) -> object:
    raise _NotStrict(f"{word} is not JSON; write a number")


def _malformed(error: json.JSONDecodeError, text: str, name: str) -> UnreadableInputError:
    rest = text[error.pos :].strip()
    ends_early = not rest or error.msg.startswith("Unterminated string")
    if ends_early and error.msg.startswith(_TRUNCATED):
        message = f"{name}: the JSON ends early, in line {text.rstrip().count(chr(10)) + 1}"
        return UnreadableInputError(message, "the file is cut off; export or copy it again")
    message = f"{name}: line {error.lineno}, column {error.colno}: {error.msg}"
    return UnreadableInputError(message, "mend the JSON there and try again")


def _too_deep(name: str) -> UnreadableInputError:
    return UnreadableInputError(
        f"{name}: the JSON is nested more than {_DEEPEST} levels deep", "this is no exam document"
    )


def _deeper_than(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        inner: Sequence[object] = list(value.values())
    elif isinstance(value, list):
        inner = value
    else:
        return False
    return levels == 0 or any(_deeper_than(part, levels - 1) for part in inner)


def _place(loc: tuple[str | int, ...], document: object, places: dict[int, str]) -> str:
    item_id = _item_id(loc, document)
    path = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc if part not in _TAGS
    ).lstrip(".")
    if item_id is None:
        return path or "document"
    if item_id in places:
        return f"{places[item_id]}, {path.split('].', 1)[-1]}"
    return f"{path} (item {item_id})"


def _item_id(loc: tuple[str | int, ...], document: object) -> int | None:
    """The id of the item or key entry that a location lies in, where the document tells it."""
    for field, steps in (("id", ("exam", "items")), ("item_id", ("key",))):
        if loc[: len(steps)] == steps and len(loc) > len(steps):
            value: object = document
            for step in loc[: len(steps) + 1]:
                value = value[step]  # type: ignore[index]  # pydantic walked this path itself
            found = value.get(field) if isinstance(value, dict) else None
            return found if isinstance(found, int) else None
    return None


def _words(kind: str, message: str, context: dict[str, object]) -> str:
    match kind:
        case "missing":
            return "this is missing"
        case "extra_forbidden":
            return "there is no such field; check its spelling or leave it out"
        case "union_tag_invalid":
            return f"unknown type {context.get('tag')!r}; known are {context.get('expected_tags')}"
        case "union_tag_not_found":
            return "the type is missing"
        case _:
            return message.removeprefix("Value error, ")
