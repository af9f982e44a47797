"""Reading ExamDelivery YAML as kubectl would: strict, every fault with its line or field path.

Times stay text and keys must not repeat: what YAML would silently turn into something else is an
error instead.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from exam_operator.errors import ObjectInvalid
from exam_operator.local import admission
from examctl.errors import FieldError, RefusedError, UnreadableInputError

_BYTES = 1024 * 1024
_STANDARD_INPUT = "-"


def read(source: str) -> list[dict[str, Any]]:
    """Every ExamDelivery of a file or of standard input (``-``), all of them well-formed.

    Raises UnreadableInputError with the line, RefusedError with the field path.
    """
    name, text = _text(source)
    documents = _documents(name, text)
    if not documents:
        raise UnreadableInputError(f"{name} holds no ExamDelivery", "see examples/delivery.yaml")
    for number, document in enumerate(documents, start=1):
        _check(name, number, len(documents), document)
    return documents


def _text(source: str) -> tuple[str, str]:
    name = "standard input" if source == _STANDARD_INPUT else source
    try:
        if source == _STANDARD_INPUT:
            data = sys.stdin.buffer.read(_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(_BYTES + 1)
    except OSError as error:
        raise UnreadableInputError(f"{name} can't be read: {error.strerror}") from error
    if len(data) > _BYTES:
        raise UnreadableInputError(f"{name} is larger than {_BYTES // 2**20} MB", "split it")
    try:
        return name, data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableInputError(f"{name} is not UTF-8 at byte {error.start}") from error


def _documents(name: str, text: str) -> list[Any]:
    try:
        return [document for document in yaml.load_all(text, _Strict) if document is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the document"
        problem = error.problem or error.context or "it can't be read"
        raise UnreadableInputError(
            f"{name} is not well-formed YAML", "mend that line", (FieldError(place, problem),)
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnreadableInputError(f"{name} is not well-formed YAML: {error}") from None


def _check(name: str, number: int, of: int, document: Any) -> None:
    try:
        admission.admit_new(admission.parse(document))
    except ObjectInvalid as error:
        where = name if of == 1 else f"{name}, document {number} of {of}"
        errors = tuple(FieldError(fault.path, fault.message) for fault in error.faults)
        raise RefusedError(f"{where}: the object is not accepted", errors=errors) from None


class _Strict(yaml.SafeLoader):
    """Safe YAML without times (they stay text) and without repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                problem = f"the key {key} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


_Strict.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
