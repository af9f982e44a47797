"""Proves that watches still tell: writes an object in each namespace and waits to hear of it.

A watch that stalls in silence is the commonest way for an operator to be alive and blind. A beat
that was written and is not heard of within two minutes fails the liveness probe.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from exam_operator.adapters.metrics import OperatorMetrics
from exam_operator.cluster.api import ClusterApi, Kind
from exam_operator.core import names
from exam_operator.errors import EdgeError

Json = dict[str, Any]
NAME = "medxamion-operator-canary"
_EVERY_SECONDS = 30.0
_STALLED_SECONDS = 120.0
log = structlog.get_logger(__name__)


class Canary:
    """``clock``: monotonic seconds. Beats of an earlier operator do not count."""

    def __init__(
        self,
        api: ClusterApi,
        namespaces: Sequence[str],
        metrics: OperatorMetrics,
        clock: Callable[[], float],
        identity: str,
    ) -> None:
        self._api, self._namespaces, self._metrics = api, namespaces, metrics
        self._clock, self._identity = clock, identity
        self._unheard: dict[str, tuple[int, float]] = {}
        self._heard_at = dict.fromkeys(namespaces, clock())
        self._beat = 0

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._beat += 1
            for namespace in self._namespaces:
                await self._write(namespace)
                age = self._clock() - self._heard_at[namespace]
                self._metrics.watch_age_seconds.labels(namespace=namespace).set(age)
            await asyncio.sleep(_EVERY_SECONDS)

    def heard(self, raw: Json) -> None:
        """The watch told of the object."""
        namespace, data = raw["metadata"]["namespace"], raw.get("data") or {}
        if data.get("operator") != self._identity or namespace not in self._heard_at:
            return
        self._heard_at[namespace] = self._clock()
        waiting = self._unheard.get(namespace)
        if waiting is not None and int(data["beat"]) >= waiting[0]:
            del self._unheard[namespace]

    def stalled(self) -> list[str]:
        """Namespaces whose watch has gone silent."""
        limit = self._clock() - _STALLED_SECONDS
        return [namespace for namespace, (_, at) in self._unheard.items() if at < limit]

    async def _write(self, namespace: str) -> None:
        data = {"operator": self._identity, "beat": str(self._beat)}
        try:
            if await self._api.merge(Kind.CONFIG_MAP, namespace, NAME, {"data": data}) is None:
                await self._api.create(Kind.CONFIG_MAP, namespace, _config_map(namespace, data))
        except EdgeError as error:  # what could not be written can't be heard of either
            log.warning("canary.unwritten", namespace=namespace, reason=str(error))
            return
        self._unheard.setdefault(namespace, (self._beat, self._clock()))


def _config_map(namespace: str, data: dict[str, str]) -> Json:
    labels = {
        "app.kubernetes.io/part-of": "medxamion",
        "app.kubernetes.io/managed-by": names.MANAGER,
    }
    meta = {"name": NAME, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
