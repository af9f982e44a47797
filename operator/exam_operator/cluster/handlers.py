"""kopf's part: watches that survive, and handlers that only pass on what was seen.

No handler changes anything, so kopf keeps no state on objects and adds no finalizer of its own.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import kopf
from kubernetes.aio.client import Configuration

from exam_contract.delivery import GROUP, PLURAL, VERSION
from exam_operator.cluster import canary, stateless
from exam_operator.cluster.feed import Feed
from exam_operator.core import names

# kopf would ask for the user's name, and in a container the uid has none.
IDENTITY: Any = names.MANAGER
_OURS = {"app.kubernetes.io/managed-by": names.MANAGER}


def registry(
    feed: Feed, connection: Configuration, at_end: Callable[[], Awaitable[None]]
) -> kopf.OperatorRegistry:
    """Handlers of the four kinds that are watched, and of the canary; ``at_end``: when kopf stops.

    kopf waits seconds for every task of the loop that it did not find at its start: ours end first.
    """
    made = kopf.OperatorRegistry()

    @kopf.on.cleanup(registry=made)
    async def end(**_: Any) -> None:
        await at_end()

    @kopf.on.login(registry=made)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection_info(connection)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=made)
    async def delivery(event: kopf.RawEvent, **_: Any) -> None:
        feed.delivery(event["type"], dict(event["object"]))

    @kopf.on.event("v1", "pods", labels=_OURS, registry=made)
    async def pod(event: kopf.RawEvent, **_: Any) -> None:
        feed.pod(event["type"], dict(event["object"]))

    @kopf.on.event("v1", "persistentvolumeclaims", labels=_OURS, registry=made)
    async def claim(event: kopf.RawEvent, **_: Any) -> None:
        feed.claim(event["type"], dict(event["object"]))

    @kopf.on.event("v1", "services", labels=_OURS, registry=made)
    async def service(event: kopf.RawEvent, **_: Any) -> None:
        feed.service(event["type"], dict(event["object"]))

    @kopf.on.event("v1", "configmaps", labels=_OURS, registry=made)
    async def beat(event: kopf.RawEvent, **_: Any) -> None:
        if event["object"]["metadata"].get("name") == canary.NAME:
            feed.canary(dict(event["object"]))

    return made


async def _connection_info(connection: Configuration) -> kopf.ConnectionInfo:
    """Where and as whom the rest of the operator speaks to the API; the token as it is now."""
    bearer = await connection.get_api_key_with_prefix("BearerToken")
    return kopf.ConnectionInfo(
        server=connection.host,
        ca_path=connection.ssl_ca_cert,
        insecure=not connection.verify_ssl,
        token=bearer.split()[-1] if bearer else None,
        certificate_path=connection.cert_file,
        private_key_path=connection.key_file,
    )


class _Patience:
    """Waits between attempts, without an end and never long.

    kopf's own grow to half an hour, so that after an outage the operator would go on being blind.
    """

    def __iter__(self) -> Iterator[float]:
        yield from (0.2, 0.5, 1.0, 2.0)
        while True:
            yield 5.0


def settings() -> kopf.OperatorSettings:
    """Against the ways in which watches were seen to die: silence, missing time-outs, peers."""
    made = kopf.OperatorSettings()
    made.watching.server_timeout = 300
    made.watching.client_timeout = 310
    made.watching.connect_timeout = 30
    made.networking.request_timeout = 30
    made.networking.error_backoffs = _Patience()
    made.peering.standalone = True
    made.persistence.diffbase_storage = stateless.NoDiffs()
    made.persistence.progress_storage = stateless.NoProgress()
    made.posting.enabled = False  # Events are written on purpose, at transitions
    made.scanning.disabled = True  # the namespaces are given, so no rights to look for more
    # Thousands of objects are listed at a start: not all at once, and without a task that waits for
    # seconds beside each of them. A handler of ours is done at once.
    made.watching.chunk_size = 250
    made.queueing.worker_limit = None
    made.queueing.idle_timeout = 0.1
    for kind in ("pods", "persistentvolumeclaims", "services", "configmaps"):
        made.watching.label_selectors["v1", kind] = names.SELECTOR
    return made
