"""Everything the doors of one process share, opened and closed as one."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from coordinator.adapters.exam_clients import ExamClients
from coordinator.adapters.metrics import Metrics
from coordinator.core.vault import Vault
from coordinator.errors import StartFailed
from coordinator.hub.hub import Hub
from coordinator.services import surroundings
from coordinator.services.feed import Feed
from coordinator.services.hashing import Hashing
from coordinator.services.health import HealthMonitor, Watched
from coordinator.services.identity import Callers
from coordinator.services.ingest import Ingest
from coordinator.services.keyring import Keyring, open_keyring
from coordinator.services.live import Live
from coordinator.services.objects import DeliveryObjects
from coordinator.services.staff import SignInThrottles
from coordinator.services.steering import Steering
from coordinator.services.surroundings import Surroundings
from coordinator.services.transfer import Transfers
from coordinator.settings import Settings
from coordinator.store.database import Database, open_database
from coordinator.store.deliveries import Delivery

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Runtime:
    """Built once by ``open_runtime``; handed to every app as its lifespan state."""

    settings: Settings
    database: Database
    vault: Vault = field(repr=False)
    keyring: Keyring
    callers: Callers
    hashing: Hashing
    clients: ExamClients
    metrics: Metrics
    hub: Hub
    health: HealthMonitor
    feed: Feed
    live: Live
    ingest: Ingest
    transfers: Transfers
    steering: Steering
    staff_throttles: SignInThrottles
    participant_throttles: SignInThrottles
    exam_of: dict[int, str]
    """The exam of deliveries seen before: it never changes, so permissions need no query."""

    def learn(self, delivery: Delivery) -> None:
        """A delivery changed here: health, sockets and other replicas are to know."""
        self.health.learn(delivery)
        self.feed.tell("delivery", delivery.id)

    def monotonic(self) -> float:
        return time.monotonic()


@asynccontextmanager
async def open_runtime(
    settings: Settings, objects: DeliveryObjects | None = None
) -> AsyncIterator[Runtime]:
    """Raises StartFailed in words. ``objects`` overrides the configured port."""
    async with AsyncExitStack() as stack:
        vault = Vault(_read_secret(settings))
        database = open_database(settings)
        stack.push_async_callback(database.engine.dispose)
        await database.check_schema()
        keyring = await open_keyring(database, vault, settings.issuer)
        hashing = stack.enter_context(Hashing())
        around = await surroundings.enter(settings, stack)
        if objects is not None:
            around = replace(around, objects=objects)
        runtime = _assemble(settings, database, vault, keyring, hashing, around)
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(runtime.health.run(database), name="health"),
                tasks.create_task(runtime.feed.run(), name="feed"),
                tasks.create_task(runtime.callers.run(), name="callers"),
            ]
            yield runtime
            for task in background:
                task.cancel()


def _assemble(
    settings: Settings,
    database: Database,
    vault: Vault,
    keyring: Keyring,
    hashing: Hashing,
    around: Surroundings,
) -> Runtime:
    metrics, hub, clients = Metrics(), Hub(), around.clients

    def tell_watchers(watched: Watched) -> None:
        hub.health(watched.delivery_id, watched.message().model_dump_json())

    health = HealthMonitor(clients, metrics, settings.probe_seconds, tell_watchers)
    feed = Feed(
        database,
        hub,
        health,
        replica=secrets.token_hex(4),
        notify_interval_seconds=settings.notify_interval_seconds,
        sweep_seconds=settings.sweep_seconds,
        connect_timeout_seconds=settings.connect_timeout_seconds,
    )
    return Runtime(
        settings=settings,
        database=database,
        vault=vault,
        keyring=keyring,
        callers=around.callers,
        hashing=hashing,
        clients=clients,
        metrics=metrics,
        hub=hub,
        health=health,
        feed=feed,
        live=Live(database, clients, keyring, health, metrics, settings.live_cache_seconds),
        ingest=Ingest(database, hub, feed, health, metrics),
        transfers=Transfers(database, keyring, vault, metrics, settings.transfer_timeout_seconds),
        steering=Steering(database, keyring, vault, hashing, around.objects, clients),
        staff_throttles=SignInThrottles(),
        participant_throttles=SignInThrottles(),
        exam_of={},
    )


def _read_secret(settings: Settings) -> bytes:
    try:
        secret = settings.secret_file.read_bytes()
    except OSError as error:
        raise StartFailed(
            f"the secret file {settings.secret_file} can't be read ({error.strerror}); make one"
            " with `head -c 32 /dev/urandom`, mode 0600, and keep it for ever"
        ) from error
    if len(secret) != _SECRET_BYTES:
        raise StartFailed(
            f"the secret file {settings.secret_file} has {len(secret)} bytes;"
            f" it must have exactly {_SECRET_BYTES}"
        )
    return secret
