"""What stands around the coordinator, chosen here: a cluster, or one machine's process edge."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from coordinator.adapters.cluster_objects import cluster_door
from coordinator.adapters.exam_clients import ExamClients
from coordinator.adapters.local_objects import local_door
from coordinator.adapters.objects_api import Door, ObjectsApi
from coordinator.adapters.token_reviews import TokenReviews
from coordinator.services.identity import Callers, ClusterTokens, Expected, KeyFiles
from coordinator.services.objects import DeliveryObjects, NoObjects
from coordinator.settings import Settings


@dataclass(frozen=True, slots=True)
class Surroundings:
    """``objects``: the ExamDelivery objects; ``callers``: who may use the internal door."""

    objects: DeliveryObjects
    callers: Callers
    clients: ExamClients


async def enter(settings: Settings, stack: AsyncExitStack) -> Surroundings:
    """As the settings say. Raises StartFailed for a CA file that can't be used."""
    clients = ExamClients(settings.live_timeout_seconds, settings.client_ca_file)
    await stack.enter_async_context(clients)
    door = _door(settings)
    objects: DeliveryObjects = NoObjects()
    if door is not None:
        objects = await stack.enter_async_context(ObjectsApi(door))
    return Surroundings(objects, await _callers(settings, stack), clients)


def _door(settings: Settings) -> Door | None:
    if settings.kubernetes:
        return cluster_door(
            settings.kubernetes_api_url,
            settings.kubernetes_token_file,
            settings.kubernetes_ca_file,
        )
    if settings.local_api_url is None or settings.local_api_token_file is None:
        return None
    return local_door(settings.local_api_url, settings.local_api_token_file)


async def _callers(settings: Settings, stack: AsyncExitStack) -> Callers:
    if not settings.kubernetes:
        return KeyFiles(settings.operator_key_file)
    reviews = TokenReviews(
        settings.kubernetes_api_url, settings.kubernetes_token_file, settings.kubernetes_ca_file
    )
    expected = Expected(
        settings.token_audience,
        settings.operator_service_account,
        settings.client_service_account_name,
    )
    return ClusterTokens(await stack.enter_async_context(reviews), expected)
