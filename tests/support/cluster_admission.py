"""What the CRD and the chart's admission policies say, said by the contract's own rules."""

from typing import Any

from pydantic import ValidationError

from exam_contract.delivery import DISCARD_ANNOTATION, NAMESPACE_LABEL, ExamDelivery
from exam_contract.delivery_rules import delete_allowed, update_violations
from tests.support.fake_store import Refusal, Store

Json = dict[str, Any]


def install(store: Store) -> None:
    """Have a say in every write to deliveries and in deletions of namespaces."""
    store.admissions["examdeliveries"] = [_valid, _may_be_deleted]
    store.admissions["namespaces"] = [_holds_nothing]


def _valid(verb: str, before: Json | None, raw: Json | None) -> None:
    if raw is None:
        return
    try:
        new = ExamDelivery.model_validate(raw)
        violations = (
            update_violations(ExamDelivery.model_validate(before), new.spec) if before else []
        )
    except ValidationError as error:
        raise Refusal(422, "Invalid", str(error)) from None
    if violations and before is not None and raw["spec"] != before["spec"]:
        raise Refusal(422, "Invalid", violations[0].message)


def _may_be_deleted(verb: str, before: Json | None, raw: Json | None) -> None:
    if verb != "delete" or before is None:
        return
    stored = ExamDelivery.model_validate(before)
    if not delete_allowed(stored, stored.metadata.annotations.get(DISCARD_ANNOTATION)):
        raise Refusal(422, "Invalid", "its data is not transferred yet")


def _holds_nothing(verb: str, before: Json | None, raw: Json | None) -> None:
    if verb == "delete" and before is not None:
        labels = before["metadata"].get("labels") or {}
        if NAMESPACE_LABEL in labels:
            raise Refusal(422, "Invalid", "the namespace holds untransferred data")
