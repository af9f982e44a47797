"""The port to ExamDelivery objects: on one machine the process edge's API, else Kubernetes."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from coordinator.errors import Conflict, NotReady, Stale
from coordinator.store.deliveries import Delivery
from exam_contract.delivery import ExamDelivery

Change = Callable[[ExamDelivery], ExamDelivery]
_TRIES = 4
_PAUSE_SECONDS = 0.05


class DeliveryObjects(Protocol):
    """What the coordinator needs of the objects. Errors are ``Refused`` in words.

    ``uid`` is the object that is meant: a successor that took over its name is left alone.
    """

    async def create(self, wanted: ExamDelivery) -> ExamDelivery:
        """Raises Conflict when the name is taken, RuleViolated with ``errors``."""

    async def edit(self, namespace: str, name: str, uid: str, change: Change) -> ExamDelivery:
        """One try: read, change, write just what the change touched. Raises NotFound,
        Stale when somebody else wrote in between, RuleViolated.
        """

    async def delete(self, namespace: str, name: str, uid: str) -> None:
        """Raises NotFound, RuleViolated while data is untransferred."""


class NoObjects:
    """Stands in where no door to objects is configured: deliveries come from outside only."""

    async def create(self, wanted: ExamDelivery) -> ExamDelivery:
        raise _unconfigured()

    async def edit(self, namespace: str, name: str, uid: str, change: Change) -> ExamDelivery:
        raise _unconfigured()

    async def delete(self, namespace: str, name: str, uid: str) -> None:
        raise _unconfigured()


async def edit(objects: DeliveryObjects, delivery: Delivery, change: Change) -> ExamDelivery:
    """An edit, again when the operator wrote its status in between."""
    for _ in range(_TRIES):
        try:
            return await objects.edit(delivery.namespace, delivery.name, delivery.uid, change)
        except Stale:
            await asyncio.sleep(_PAUSE_SECONDS)
    raise Conflict("the delivery is being changed by others; try again")


def _unconfigured() -> NotReady:
    return NotReady(
        "this coordinator has no access to ExamDelivery objects: set"
        " MEDXAMION_COORDINATOR_LOCAL_API_URL and _LOCAL_API_TOKEN_FILE, or _KUBERNETES, or use"
        " kubectl"
    )
