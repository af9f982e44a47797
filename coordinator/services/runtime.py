"""Everything the doors of one process share, opened and closed as one."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from coordinator.adapters.exam_clients import ExamClients
from coordinator.adapters.metrics import Metrics
from coordinator.core.failures import Policy
from coordinator.core.vault import Vault
from coordinator.errors import DatabaseUnavailable, StartFailed
from coordinator.hub.hub import Hub
from coordinator.services import steering, surroundings, throttles
from coordinator.services.failures import FailureWatch
from coordinator.services.feed import Feed, Pace
from coordinator.services.hashing import Hashing
from coordinator.services.health import HealthMonitor, Watched
from coordinator.services.identity import Callers
from coordinator.services.ingest import Ingest
from coordinator.services.keyring import Keyring, open_keyring
from coordinator.services.live import Live
from coordinator.services.objects import DeliveryObjects, NoObjects
from coordinator.services.remembered import Remembered
from coordinator.services.standing import Standing, wait_for_database
from coordinator.services.steering import Steering
from coordinator.services.surroundings import Surroundings
from coordinator.services.throttles import SignInThrottles
from coordinator.services.transfer import Transfers
from coordinator.settings import Settings
from coordinator.store.database import Database, open_database
from coordinator.store.deliveries import Delivery
from coordinator.store.staff import Session

_SECRET_BYTES = 32
# How long people who were signed in may go on looking while the database is away.
_SESSION_SECONDS = 900.0
_DELIVERY_SECONDS = 6 * 3600.0


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
    standing: Standing
    sessions: Remembered[bytes, Session]
    seen: Remembered[int, Delivery]
    exam_of: dict[int, str]
    """The exam of deliveries seen before: it never changes, so permissions need no query."""

    def learn(self, delivery: Delivery) -> None:
        """A delivery changed here: health, sockets and other replicas are to know."""
        self.health.learn(delivery)
        self.feed.tell("delivery", delivery.id)

    async def delivery(self, delivery_id: int) -> Delivery:
        """As it was last read, while the database is away. Raises NotFound, DatabaseUnavailable."""
        try:
            found = await steering.existing(self.database, delivery_id)
        except DatabaseUnavailable:
            remembered = self.seen.get(delivery_id)
            if remembered is None:
                raise
            return remembered
        self.seen.keep(delivery_id, found)
        return found

    def monotonic(self) -> float:
        return time.monotonic()


@asynccontextmanager
async def open_runtime(
    settings: Settings, objects: DeliveryObjects | None = None, standing: Standing | None = None
) -> AsyncIterator[Runtime]:
    """Waits for the database. Raises StartFailed in words. ``objects`` overrides the configured."""
    standing = standing or Standing()
    async with AsyncExitStack() as stack:
        vault = Vault(_read_secret(settings))
        database = open_database(settings)
        stack.push_async_callback(database.engine.dispose)
        keyring = await _keyring(database, vault, settings, standing)
        hashing = stack.enter_context(Hashing())
        around = await surroundings.enter(settings, stack)
        if objects is not None:
            around = replace(around, objects=objects)
        runtime = _assemble(settings, database, vault, keyring, hashing, around, standing)
        standing.began(database, lambda: runtime.health.loaded)
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(runtime.health.run(database), name="health"),
                tasks.create_task(runtime.feed.run(), name="feed"),
                tasks.create_task(runtime.callers.run(), name="callers"),
                tasks.create_task(_failure_watch(runtime).run(), name="failures"),
            ]
            yield runtime
            for task in background:
                task.cancel()


async def _keyring(
    database: Database, vault: Vault, settings: Settings, standing: Standing
) -> Keyring:
    """Once the database is there, and again should it go away in between."""
    while True:
        await wait_for_database(database, settings, standing)
        with suppress(DatabaseUnavailable):
            return await open_keyring(database, vault, settings.issuer)


def _assemble(
    settings: Settings,
    database: Database,
    vault: Vault,
    keyring: Keyring,
    hashing: Hashing,
    around: Surroundings,
    standing: Standing,
) -> Runtime:
    metrics, hub, clients = standing.metrics, Hub(), around.clients

    def tell_watchers(watched: Watched) -> None:
        hub.health(watched.delivery_id, watched.message().model_dump_json())

    def tell(topic: str, subject: int, value: int) -> None:
        feed.tell(topic, subject, value)

    health = HealthMonitor(clients, metrics, settings.probe_seconds, tell_watchers)
    staff, participants = throttles.of_staff(tell), throttles.of_participants(tell)
    pace = Pace(
        notify_interval_seconds=settings.notify_interval_seconds,
        contacts_seconds=settings.probe_seconds,
        sweep_seconds=settings.sweep_seconds,
        connect_timeout_seconds=settings.connect_timeout_seconds,
    )
    counted = {**staff.numbered(), **participants.numbered()}
    feed = Feed(database, hub, health, counted, secrets.token_hex(4), pace)
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
        staff_throttles=staff,
        participant_throttles=participants,
        standing=standing,
        sessions=Remembered(_SESSION_SECONDS, most=2000),
        seen=Remembered(_DELIVERY_SECONDS, most=2000),
        exam_of={},
    )


def _failure_watch(runtime: Runtime) -> FailureWatch:
    settings, objects = runtime.settings, runtime.steering.objects
    after = 0.0 if isinstance(objects, NoObjects) else settings.restart_after_seconds
    return FailureWatch(
        database=runtime.database,
        objects=objects,
        health=runtime.health,
        metrics=runtime.metrics,
        policy=Policy(after, settings.restart_cooldown_seconds),
        every_seconds=settings.probe_seconds,
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
