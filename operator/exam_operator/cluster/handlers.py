"""kopf's part: watches that survive, and handlers that only pass on what was seen.

No handler changes anything, so kopf keeps no state on objects and adds no finalizer of its own.
"""

from typing import Any

import kopf

from exam_contract.delivery import GROUP, PLURAL, VERSION
from exam_operator.cluster import canary
from exam_operator.cluster.feed import Feed
from exam_operator.core import names

# kopf would ask for the user's name, and in a container the uid has none.
IDENTITY: Any = names.MANAGER
_OURS = {"app.kubernetes.io/managed-by": names.MANAGER}


def registry(feed: Feed, kubeconfig: str | None) -> kopf.OperatorRegistry:
    """Handlers of the four kinds that are watched, and of the canary."""
    made = kopf.OperatorRegistry()

    @kopf.on.login(registry=made)
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        if kubeconfig is None:
            return kopf.login_with_service_account(**kwargs)
        return kopf.login_with_kubeconfig(**kwargs)

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


def settings() -> kopf.OperatorSettings:
    """Against the ways in which watches were seen to die: silence, missing time-outs, peers."""
    made = kopf.OperatorSettings()
    made.watching.server_timeout = 300
    made.watching.client_timeout = 310
    made.watching.connect_timeout = 30
    made.networking.request_timeout = 30
    made.peering.standalone = True
    made.posting.enabled = False  # Events are written on purpose, at transitions
    made.scanning.disabled = True  # the namespaces are given, so no rights to look for more
    made.queueing.worker_limit = None
    for kind in ("pods", "persistentvolumeclaims", "services", "configmaps"):
        made.watching.label_selectors["v1", kind] = names.SELECTOR
    return made
