"""What a Gateway needs to reach an exam-client, which answers https only: a BackendTLSPolicy.

Which version of it the cluster serves is asked of the API; where there is none, that is told, and
the delivery goes on: a controller may have ways of its own.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from exam_contract.delivery import ExamDelivery
from exam_operator.adapters.certificates import Authority
from exam_operator.cluster.api import ClusterApi, Kind
from exam_operator.core import access
from exam_operator.core.world import Trouble
from exam_operator.errors import Refused

Json = dict[str, Any]
_SERVED_FRESH = timedelta(minutes=5)
_UNSERVED_FRESH = timedelta(seconds=4)
UNSERVED = Trouble(
    "BackendTlsUnserved",
    "the Gateway speaks plain http to the exam-client, which answers https only: this cluster"
    " serves no BackendTLSPolicy. Install the CRDs of Gateway API 1.4 or newer, or use access.type"
    " Ingress or NodePort",
)


class BackendTls:
    """``ca_file``: what exam-clients are verified with where there is no authority of our own."""

    def __init__(
        self,
        api: ClusterApi,
        authority: Authority | None,
        ca_file: Path | None,
        now: Callable[[], datetime],
    ) -> None:
        self._api, self._authority, self._ca_file, self._now = api, authority, ca_file, now
        self._seen: tuple[datetime, Kind | None] | None = None

    async def kind(self) -> Kind | None:
        """In the newest version that is served; None without any. Raises EdgeError."""
        now, seen = self._now(), self._seen
        if seen is None or now - seen[0] >= (_SERVED_FRESH if seen[1] else _UNSERVED_FRESH):
            self._seen = seen = (now, await self._discover())
        return seen[1]

    async def wanted(self, stored: ExamDelivery) -> list[tuple[Kind, Json]]:
        """What must stand before the route does. Raises EdgeError."""
        kind = await self.kind()
        if kind is None:
            return []
        bundle = access.authorities(stored.metadata.namespace, self._bundle())
        return [(Kind.CONFIG_MAP, bundle), (kind, access.backend_tls(stored, kind.version))]

    async def _discover(self) -> Kind | None:
        for kind in (Kind.BACKEND_TLS, Kind.BACKEND_TLS_BEFORE):
            if await self._api.serves(kind):
                return kind
        return None

    def _bundle(self) -> str:
        if self._authority is not None:
            return self._authority.trusted().decode("ascii", "replace")
        if self._ca_file is None:
            raise _unusable("MEDXAMION_OPERATOR_COORDINATOR_CA_FILE is not set")
        try:
            return self._ca_file.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(f"{self._ca_file} can't be read ({error})") from error


def _unusable(message: str) -> Refused:
    return Refused("AuthorityUnusable", f"{message}; a Gateway verifies exam-clients with it")
