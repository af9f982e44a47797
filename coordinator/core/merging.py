"""JSON merge patches (RFC 7386): what an edit changed, and a document with just that changed.

An edit is made on what our model knows of an object; the document it is written into keeps all the
rest (finalizers, owners, fields of a newer version) as it was read.
"""

from typing import Any

Json = dict[str, Any]


def changes(before: Json, after: Json) -> Json:
    """The smallest patch from one to the other; a member that went is None."""
    patch: Json = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if name in before and old == value:
            continue
        both = isinstance(old, dict) and isinstance(value, dict)
        patch[name] = changes(old or {}, value) if both else value
    return patch


def merged(document: Json, patch: Json) -> Json:
    """The document with the patch applied; neither is changed."""
    result = dict(document)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            inner = result.get(name)
            result[name] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[name] = value
    return result
