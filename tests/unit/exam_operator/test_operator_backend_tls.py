"""Which BackendTLSPolicy a cluster serves, and the authorities that a Gateway is given."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from exam_operator.adapters.certificates import Authority
from exam_operator.cluster.api import ClusterApi, Kind
from exam_operator.cluster.backend_tls import BackendTls
from exam_operator.core import sightings
from exam_operator.errors import Refused
from tests.support import deliveries
from tests.support.certificate_folder import make_authority

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


class Cluster:
    """As far as it is asked what it serves."""

    def __init__(self, *served: Kind) -> None:
        self.served, self.asked, self.now = set(served), 0, NOW

    async def serves(self, kind: Kind) -> bool:
        self.asked += 1
        return kind in self.served

    def backend_tls(
        self, authority: Authority | None = None, ca_file: Path | None = None
    ) -> BackendTls:
        return BackendTls(cast("ClusterApi", self), authority, ca_file, lambda: self.now)


@pytest.mark.parametrize(
    ("served", "used"),
    [
        ([Kind.BACKEND_TLS], Kind.BACKEND_TLS),
        ([Kind.BACKEND_TLS_BEFORE], Kind.BACKEND_TLS_BEFORE),
        ([Kind.BACKEND_TLS_BEFORE, Kind.BACKEND_TLS], Kind.BACKEND_TLS),
        ([], None),
    ],
)
async def test_the_newest_version_that_is_served_is_used(
    served: list[Kind], used: Kind | None, tmp_path: Path
) -> None:
    backend_tls = Cluster(*served).backend_tls(Authority(make_authority(tmp_path / "ca")))

    assert await backend_tls.kind() is used
    wanted = await backend_tls.wanted(deliveries.delivery())
    assert [kind for kind, _ in wanted] == ([Kind.CONFIG_MAP, used] if used else [])
    if used is not None:
        assert wanted[1][1]["apiVersion"] == used.value[0].removeprefix("apis/")


async def test_what_is_installed_later_is_seen_within_seconds_and_then_believed() -> None:
    cluster = Cluster()
    backend_tls = cluster.backend_tls()
    assert await backend_tls.kind() is None
    cluster.served.add(Kind.BACKEND_TLS)
    assert await backend_tls.kind() is None
    cluster.now += timedelta(seconds=5)
    assert await backend_tls.kind() is Kind.BACKEND_TLS
    asked = cluster.asked
    cluster.now += timedelta(minutes=4)
    assert await backend_tls.kind() is Kind.BACKEND_TLS
    assert cluster.asked == asked


async def test_the_authorities_are_those_that_the_operator_itself_believes(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.crt"
    bundle.write_text("PEM")
    backend_tls = Cluster(Kind.BACKEND_TLS).backend_tls(ca_file=bundle)
    (_, manifest), _ = await backend_tls.wanted(deliveries.delivery())
    assert manifest["data"] == {"ca.crt": "PEM"}


@pytest.mark.parametrize("named", [True, False])
async def test_a_bundle_that_is_not_there_is_told(tmp_path: Path, named: bool) -> None:
    ca_file = tmp_path / "ca.crt" if named else None
    backend_tls = Cluster(Kind.BACKEND_TLS).backend_tls(ca_file=ca_file)

    with pytest.raises(Refused, match=r"a Gateway verifies exam-clients with it"):
        await backend_tls.wanted(deliveries.delivery())


@pytest.mark.parametrize("place", ["parents", "ancestors"])
def test_what_a_gateway_does_not_take_is_told_in_its_words(place: str) -> None:
    condition = {"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners"}
    told = {"kind": "HTTPRoute", "status": {place: [{"conditions": [condition]}]}}

    trouble = sightings.attachment_trouble(told)

    assert trouble is not None
    assert trouble.reason == "RouteNotAccepted"
    assert "the Gateway does not take HTTPRoute: NotAllowedByListeners" in trouble.message


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"parents": []},
        {"parents": [{"conditions": [{"type": "Accepted", "status": "True"}]}]},
        {"parents": [{"conditions": [{"type": "Programmed", "status": "False"}]}]},
        {"ancestors": [{}]},
    ],
)
def test_a_route_that_is_taken_or_not_judged_yet_is_no_trouble(status: dict[str, object]) -> None:
    assert sightings.attachment_trouble({"status": status}) is None
