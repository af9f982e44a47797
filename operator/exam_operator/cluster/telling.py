"""Writes Kubernetes Events at transitions; nothing waits for them and nothing fails with them."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

import structlog

from exam_contract.delivery import ExamDelivery, ExamDeliveryStatus
from exam_operator.cluster.api import ClusterApi, Kind
from exam_operator.core import names
from exam_operator.core.announcements import Announcement, announcements
from exam_operator.errors import EdgeError

Json = dict[str, Any]
log = structlog.get_logger(__name__)
_WAITING_AT_MOST = 2000


class Telling:
    """Events about ExamDelivery objects, as ``kubectl describe`` shows them.

    They are sent in the background, one after the other; where too many wait, the newest are lost.
    """

    def __init__(self, api: ClusterApi, now: Callable[[], datetime]) -> None:
        self._api, self._now = api, now
        self._waiting: asyncio.Queue[Json] = asyncio.Queue(_WAITING_AT_MOST)

    def tell(self, before: ExamDelivery, after: ExamDeliveryStatus) -> None:
        """What this change of status is worth telling."""
        for told in announcements(before.status, after):
            try:
                self._waiting.put_nowait(_event(before, told, self._now()))
            except asyncio.QueueFull:
                log.warning("event.lost", delivery_uid=before.metadata.uid, reason="too many wait")
                return

    async def run(self) -> None:
        """Send what waits, until cancelled."""
        while True:
            event = await self._waiting.get()
            try:
                await self._api.create(Kind.EVENT, event["metadata"]["namespace"], event)
            except EdgeError as error:
                log.warning("event.lost", about=event["metadata"]["name"], reason=str(error))


def _event(stored: ExamDelivery, told: Announcement, now: datetime) -> Json:
    meta = stored.metadata
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta.name}.{uuid4().hex[:16]}", "namespace": meta.namespace},
        "involvedObject": {
            "apiVersion": stored.api_version,
            "kind": stored.kind,
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
        },
        "type": told.kind,
        "reason": told.reason,
        "message": told.message,
        "source": {"component": names.MANAGER},
        "reportingComponent": names.MANAGER,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
