"""What the cluster complains of: the newest Warning event about an object that gets nowhere.

Events are searched and not looked up, so one list serves all deliveries of a namespace for some
seconds, however many of them wait.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from exam_operator.cluster.api import ClusterApi, Kind
from exam_operator.core import sightings
from exam_operator.core.world import Trouble

Json = dict[str, Any]
_FRESH = timedelta(seconds=3)
_AFTER = timedelta(seconds=4)
_MESSAGE_LENGTH = 500


class Complaints:
    """By the uid of what is complained of."""

    def __init__(self, api: ClusterApi, now: Callable[[], datetime]) -> None:
        self._api, self._now = api, now
        self._told: dict[str, tuple[datetime, dict[str, Trouble]]] = {}
        self._asking = asyncio.Lock()

    async def about(self, found: Json) -> Trouble | None:
        """None for what was made a moment ago, and where nobody complains. Raises EdgeError."""
        meta = found["metadata"]
        made = sightings.instant(meta.get("creationTimestamp"))
        if made is not None and self._now() - made < _AFTER:
            return None
        async with self._asking:
            told = self._told.get(meta["namespace"])
            if told is None or self._now() - told[0] >= _FRESH:
                told = (self._now(), await self._newest(meta["namespace"]))
                self._told[meta["namespace"]] = told
        return told[1].get(meta["uid"])

    async def _newest(self, namespace: str) -> dict[str, Trouble]:
        events = await self._api.listed(Kind.EVENT, namespace, fieldSelector="type=Warning")
        return {
            str(event.get("involvedObject", {}).get("uid")): Trouble(
                str(event.get("reason") or "Warning"),
                str(event.get("message") or "")[:_MESSAGE_LENGTH],
            )
            for event in sorted(events, key=_told_at)
        }


def _told_at(event: Json) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
