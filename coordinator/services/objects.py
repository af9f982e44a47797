"""The port to ExamDelivery objects: on one machine the process edge's API, else Kubernetes."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from coordinator.errors import Conflict, NotReady
from exam_contract.delivery import ExamDelivery

_TRIES = 4
_PAUSE_SECONDS = 0.05


class DeliveryObjects(Protocol):
    """What the coordinator needs of the objects. Errors are ``Refused`` in words."""

    async def create(self, wanted: ExamDelivery) -> ExamDelivery:
        """Raises Conflict when the name is taken, RuleViolated with ``errors``."""

    async def get(self, namespace: str, name: str) -> ExamDelivery:
        """Raises NotFound."""

    async def replace(self, wanted: ExamDelivery) -> ExamDelivery:
        """Raises Conflict when somebody else wrote in between, RuleViolated."""

    async def delete(self, namespace: str, name: str) -> None:
        """Raises RuleViolated while data is untransferred."""


class NoObjects:
    """Stands in where no door to objects is configured: deliveries come from outside only."""

    async def create(self, wanted: ExamDelivery) -> ExamDelivery:
        raise _unconfigured()

    async def get(self, namespace: str, name: str) -> ExamDelivery:
        raise _unconfigured()

    async def replace(self, wanted: ExamDelivery) -> ExamDelivery:
        raise _unconfigured()

    async def delete(self, namespace: str, name: str) -> None:
        raise _unconfigured()


async def edit(
    objects: DeliveryObjects,
    namespace: str,
    name: str,
    change: Callable[[ExamDelivery], ExamDelivery],
) -> ExamDelivery:
    """Read, change, replace; again when the operator wrote its status in between."""
    for _ in range(_TRIES):
        stored = await objects.get(namespace, name)
        try:
            return await objects.replace(change(stored))
        except Conflict:
            await asyncio.sleep(_PAUSE_SECONDS)
    raise Conflict("the delivery is being changed by others; try again")


def _unconfigured() -> NotReady:
    return NotReady(
        "this coordinator has no access to ExamDelivery objects: set"
        " MEDXAMION_COORDINATOR_LOCAL_API_URL and _LOCAL_API_TOKEN_FILE, or use kubectl"
    )
