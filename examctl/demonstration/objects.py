"""The demo's ExamDelivery: the example with this exam, this roster and a window around now."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import yaml

from exam_contract.base import rfc3339
from exam_contract.delivery import API_VERSION, PLURAL, ExamDelivery
from examctl.coordinator_api import refusal
from examctl.errors import UnreachableError, UnreadableInputError
from examctl.files import read_file
from examctl.runtime import Runtime

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMESPACE = "default"
WINDOW = timedelta(hours=4)
_PATH = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/{PLURAL}"


def fill_example(
    exam: dict[str, str], roster_ref: str, participants: int, now: datetime
) -> dict[str, Any]:
    """``examples/delivery.yaml`` with what only this run knows."""
    document = yaml.safe_load(read_file(EXAMPLES / "delivery.yaml"))
    if not isinstance(document, dict) or not isinstance(document.get("spec"), dict):
        raise UnreadableInputError("examples/delivery.yaml is no ExamDelivery")
    spec = document["spec"]
    spec["exam"] = exam
    spec["participants"] = {"rosterRef": roster_ref, "maxCount": participants}
    spec["window"] = {
        **spec.get("window", {}),
        "opensAt": rfc3339(now - timedelta(seconds=5)),
        "closesAt": rfc3339(now + WINDOW),
    }
    spec["timeLimitSeconds"] = 2 * 3600
    document["metadata"] = {**document.get("metadata", {}), "namespace": NAMESPACE}
    return document


class Objects:
    """The process edge's objects, as ``kubectl`` would see them."""

    def __init__(self, runtime: Runtime) -> None:
        self._http = httpx.Client(
            base_url=runtime.edge_url,
            headers={"Authorization": f"Bearer {runtime.edge_token}"},
            timeout=20.0,
        )

    def create(self, document: dict[str, Any]) -> ExamDelivery:
        """Apply a new object. Raises RefusedError."""
        return self._read("POST", _PATH, json=document)

    def read(self, name: str) -> ExamDelivery:
        """The object with its status."""
        return self._read("GET", f"{_PATH}/{name}")

    def _read(self, method: str, path: str, **arguments: Any) -> ExamDelivery:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise UnreachableError(f"the operator does not answer: {error}") from error
        if response.is_error:
            raise refusal(response)
        return ExamDelivery.model_validate(response.json())


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)
