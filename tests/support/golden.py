"""The golden wire documents: files that were valid once and must stay so, and how each is read."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from exam_contract import (
    actions,
    backup,
    bundle,
    control,
    delivery,
    events,
    keys,
    messages,
    people,
    problems,
    progress,
    registration,
    results,
    trust,
)

FOLDER = Path(__file__).parent.parent / "contract" / "golden" / "v1"

_ACTION: TypeAdapter[actions.Action] = TypeAdapter(actions.Action)
READERS: dict[str, TypeAdapter[Any]] = {
    "action-announce": _ACTION,
    "action-force-submit": _ACTION,
    "action-grant-time": _ACTION,
    "action-outcome": TypeAdapter(actions.ActionOutcome),
    "action-pause": _ACTION,
    "action-reopen": _ACTION,
    "action-resume": _ACTION,
    "action-takeover-code": _ACTION,
    "answer-key": TypeAdapter(keys.AnswerKey),
    "backup-note": TypeAdapter(backup.BackupNote),
    "bundle": TypeAdapter(bundle.Bundle),
    "bundle-signed": TypeAdapter(trust.Signed),
    "client-status": TypeAdapter(control.ClientStatus),
    "client-view": TypeAdapter(progress.ClientView),
    "delivery-registration": TypeAdapter(registration.DeliveryRegistration),
    "delivery-registration-discarded": TypeAdapter(registration.DeliveryRegistration),
    "desired": TypeAdapter(control.Desired),
    "event-answer-submitted": events.EVENT,
    "event-attempt-changed": events.EVENT,
    "event-batch": TypeAdapter(events.EventBatch),
    "event-delivery-changed": events.EVENT,
    "event-participant-checked-in": events.EVENT,
    "event-participant-completed": events.EVENT,
    "event-participant-started": events.EVENT,
    "exam-delivery": TypeAdapter(delivery.ExamDelivery),
    "exam-document": TypeAdapter(keys.ExamDocument),
    "final-results": TypeAdapter(results.FinalResults),
    "incarnation-registration": TypeAdapter(results.IncarnationRegistration),
    "incarnation-reply": TypeAdapter(results.IncarnationReply),
    "ingest-reply": TypeAdapter(events.IngestReply),
    "live-progress": TypeAdapter(progress.LiveProgress),
    "manifest": TypeAdapter(results.Manifest),
    "message-events": messages.SERVER_MESSAGE,
    "message-health": messages.SERVER_MESSAGE,
    "message-hello": messages.SERVER_MESSAGE,
    "message-ping": messages.SERVER_MESSAGE,
    "message-pong": messages.CLIENT_MESSAGE,
    "message-problem": messages.SERVER_MESSAGE,
    "message-snapshot": messages.SERVER_MESSAGE,
    "message-subscribe": messages.CLIENT_MESSAGE,
    "missing-chunks": TypeAdapter(results.MissingChunks),
    "problem": TypeAdapter(problems.Problem),
    "receipt": TypeAdapter(results.Receipt),
    "receipt-confirmation": TypeAdapter(results.ReceiptConfirmation),
    "receipt-signed": TypeAdapter(results.SignedReceipt),
    "registration-reply": TypeAdapter(registration.RegistrationReply),
    "roster-entry": TypeAdapter(people.RosterEntry),
    "trust-root": TypeAdapter(trust.TrustRoot),
}
SPECIAL = frozenset({"exam-delivery-minimal", "rows", "token-participant", "token-service"})
"""Files that are no single document; ``test_golden_signatures`` reads them."""


def text(name: str) -> str:
    """The file as it was committed."""
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")


def load(name: str) -> Any:
    """The file's JSON data."""
    return json.loads(text(name))


def read(name: str) -> BaseModel:
    """The file as its model."""
    model = READERS[name].validate_json(text(name))
    assert isinstance(model, BaseModel)
    return model


def render(document: BaseModel) -> str:
    """The document as the files are written.

    Members that the document did not carry are left out, so that a field added later, which has
    a default, does not make every file of before look changed.
    """
    by_alias = isinstance(document, delivery.ExamDelivery)
    data = document.model_dump(mode="json", by_alias=by_alias, exclude_unset=True)
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"
