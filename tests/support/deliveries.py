"""Builders of ExamDelivery objects and documents for tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from exam_contract.base import rfc3339
from exam_contract.delivery import ExamDelivery, ExamDeliverySpec
from tests.support.pretend_exam import CONTENT_DIGEST

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
UID = "0b9c1f1e-0000-4000-8000-000000000001"


def document(
    name: str = "morning",
    *,
    opens_at: datetime = NOON - timedelta(minutes=1),
    closes_at: datetime = NOON + timedelta(hours=2),
    **spec: Any,
) -> dict[str, Any]:
    """What a person writes; ``spec`` members replace whole ones."""
    return {
        "apiVersion": "exams.medxamion.io/v1",
        "kind": "ExamDelivery",
        "metadata": {"name": name},
        "spec": {
            "exam": {"id": "sample", "version": "1", "contentDigest": CONTENT_DIGEST},
            "window": {"opensAt": rfc3339(opens_at), "closesAt": rfc3339(closes_at)},
            "timeLimitSeconds": 3600,
            "participants": {"rosterRef": "roster"},
            **spec,
        },
    }


def delivery(name: str = "morning", **spec: Any) -> ExamDelivery:
    """A stored object that nobody has looked at yet."""
    stored = ExamDelivery.model_validate(document(name, **spec))
    meta = stored.metadata.model_copy(
        update={"uid": UID, "generation": 1, "creation_timestamp": NOON, "resource_version": "1"}
    )
    return stored.model_copy(update={"metadata": meta})


def with_spec(stored: ExamDelivery, **changes: Any) -> ExamDelivery:
    """The object after an edit of these members of its spec."""
    spec = ExamDeliverySpec.model_validate(
        {**stored.spec.model_dump(mode="json", by_alias=True, exclude_none=True), **changes}
    )
    raised = int(spec != stored.spec)
    meta = stored.metadata.model_copy(update={"generation": stored.metadata.generation + raised})
    return stored.model_copy(update={"spec": spec, "metadata": meta})


def with_annotations(stored: ExamDelivery, **annotations: str) -> ExamDelivery:
    """The object with annotations of our group; names as ``restart_requested_at``."""
    named = {
        f"exams.medxamion.io/{name.replace('_', '-')}": value for name, value in annotations.items()
    }
    meta = stored.metadata.model_copy(
        update={"annotations": {**stored.metadata.annotations, **named}}
    )
    return stored.model_copy(update={"metadata": meta})
