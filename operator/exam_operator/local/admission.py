"""The door of the process edge: a document in, an ExamDelivery or every fault with its place out.

The same models and rules as behind the API server; unknown fields are refused, as
``kubectl --validate=strict`` does.
"""

import difflib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exam_contract.delivery import (
    API_VERSION,
    DISCARD_ANNOTATION,
    KIND,
    ExamDelivery,
)
from exam_contract.delivery_rules import (
    DELETE_REFUSED,
    Violation,
    delete_allowed,
    spec_violations,
    update_violations,
)
from exam_operator.errors import FieldFault, ObjectInvalid


def parse(document: object) -> ExamDelivery:
    """The object a document describes, without its status. Raises ObjectInvalid."""
    if not isinstance(document, dict):
        raise ObjectInvalid(
            [FieldFault("", "an ExamDelivery is a mapping with apiVersion and kind")]
        )
    _check_kind(document)
    stripped = {name: value for name, value in document.items() if name != "status"}
    try:
        # Strict and by alias, as an API server reads JSON: no "60" for 60, no snake_case names.
        return ExamDelivery.model_validate_json(
            json.dumps(stripped), strict=True, by_alias=True, by_name=False
        )
    except ValidationError as error:
        raise ObjectInvalid([_fault(detail) for detail in error.errors()]) from None


def admit_new(wanted: ExamDelivery) -> None:
    """Raises ObjectInvalid with every rule that the new object breaks."""
    _refuse(spec_violations(wanted.spec))


def admit_change(stored: ExamDelivery, wanted: ExamDelivery) -> None:
    """Raises ObjectInvalid with every rule that the change breaks."""
    _refuse(update_violations(stored, wanted.spec))


def admit_delete(stored: ExamDelivery) -> None:
    """Raises ObjectInvalid with the sentence, while data is untransferred."""
    if not delete_allowed(stored, stored.metadata.annotations.get(DISCARD_ANNOTATION)):
        raise ObjectInvalid([FieldFault("metadata.name", DELETE_REFUSED)])


def _refuse(violations: Sequence[Violation]) -> None:
    if violations:
        raise ObjectInvalid([FieldFault(broken.path, broken.message) for broken in violations])


def _check_kind(document: dict[Any, Any]) -> None:
    for name, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if document.get(name) != wanted:
            raise ObjectInvalid([FieldFault(name, f"must be {wanted}")])


def _fault(detail: ErrorDetails) -> FieldFault:
    path = _path(detail["loc"])
    match detail["type"]:
        case "missing":
            return FieldFault(path, "is required")
        case "extra_forbidden":
            return FieldFault(path, f"unknown field{_did_you_mean(detail['loc'])}")
        case "string_pattern_mismatch":
            pattern = detail.get("ctx", {}).get("pattern", "")
            return FieldFault(path, f"{_shown(detail['input'])} does not match {pattern}")
        case "value_error":
            return FieldFault(path, str(detail.get("ctx", {}).get("error", detail["msg"])))
        case _:
            return FieldFault(path, f"{_shown(detail['input'])}: {_lower(detail['msg'])}")


def _path(place: Sequence[int | str]) -> str:
    path = ""
    for part in place:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".")


def _did_you_mean(place: Sequence[int | str]) -> str:
    """Names the nearest known field beside the unknown one."""
    model: type[BaseModel] | None = ExamDelivery
    for part in place[:-1]:
        model = _model_of(model, str(part)) if model else None
    if model is None:
        return ""
    known = [field.alias or name for name, field in model.model_fields.items()]
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"


def _model_of(model: type[BaseModel], alias: str) -> type[BaseModel] | None:
    for name, field in model.model_fields.items():
        if alias not in (field.alias, name):
            continue
        candidates = (field.annotation, *getattr(field.annotation, "__args__", ()))
        for kind in candidates:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                return kind
    return None


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
