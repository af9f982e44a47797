"""Every step of a delivery: its row of ``kubectl get exd -o wide``, and the object behind it.

The API server is asked afterwards for all changes since a moment, so that none is too short.
"""

import json
from dataclasses import dataclass
from typing import Any

from exam_contract.delivery import ExamDelivery, Phase
from tests.support.cluster.api import Api
from tests.support.cluster.objects import PLURAL, Delivery


@dataclass(frozen=True, slots=True)
class Step:
    """``cells``: by the column's head, as kubectl is given them."""

    cells: dict[str, Any]
    object: ExamDelivery

    @property
    def phase(self) -> Phase | None:
        return self.object.status.phase

    @property
    def conditions(self) -> dict[str, tuple[str, str]]:
        """Status and reason by type."""
        return {one.type: (one.status, one.reason) for one in self.object.status.conditions}


def moment(api: Api, namespace: str) -> str:
    """Now, for ``since``."""
    return str(api.table(PLURAL, namespace)["metadata"]["resourceVersion"])


def since(delivery: Delivery, moment: str) -> list[Step]:
    """All steps from that moment until now, in order."""
    chosen = f"metadata.name={delivery.name}"
    events = delivery.api.changes(PLURAL, delivery.namespace, moment, fieldSelector=chosen)
    heads: list[str] = []
    steps = []
    for event in events:
        table = json.loads(event)["object"]
        # Only the first event names the columns.
        heads = heads or [column["name"] for column in table["columnDefinitions"]]
        for row in table["rows"]:
            found = ExamDelivery.model_validate(row["object"])
            steps.append(Step(dict(zip(heads, row["cells"], strict=True)), found))
    return steps


def last_of_each(steps: list[Step]) -> dict[Phase | None, Step]:
    """The last step of each phase, in the order in which phases began."""
    return {step.phase: step for step in steps}
