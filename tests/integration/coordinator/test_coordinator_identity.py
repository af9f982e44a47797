"""The internal door in a cluster: whose token opens it, with the Kubernetes API and without."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordinator.adapters.token_reviews import TokenReviews
from coordinator.core.identity import Account
from coordinator.errors import NotReady, Refused, Unauthenticated
from coordinator.services.identity import REVIEWED_SECONDS, ClusterTokens, Expected
from tests.support.cluster_tokens import unsigned
from tests.support.coordinator_rig import Delivery, Rig, coordinator_rig
from tests.support.fake_api_server import FakeApiServer
from tests.support.served import served
from tests.support.waiting import until_async


def operators(server: FakeApiServer) -> str:
    """The token of the operator's pod."""
    return server.issuer.token("medxamion-operator", "medxamion-operator", "op")


@dataclass
class Hours:
    """Both clocks of the identity, moved by hand."""

    seconds: float = 0.0
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.seconds)


@dataclass
class World:
    server: FakeApiServer
    tokens: ClusterTokens
    hours: Hours

    async def proof(self, token: str) -> Any:
        return await self.tokens.exam_client(token)

    async def refused(self, token: str, kind: type[Refused] = Unauthenticated) -> str:
        with pytest.raises(kind) as refusal:
            await self.tokens.exam_client(token)
        return refusal.value.detail


@pytest.fixture
async def server() -> AsyncIterator[tuple[FakeApiServer, str]]:
    fake = FakeApiServer("own")
    async with served(fake.app) as address:
        yield fake, f"http://{address}"


@pytest.fixture
async def world(server: tuple[FakeApiServer, str], tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "own").write_text("own")
    hours = Hours()
    expected = Expected("coordinator", "medxamion-operator:medxamion-operator", "exam-client")
    async with TokenReviews(server[1], tmp_path / "own", None) as reviews:
        tokens = ClusterTokens(reviews, expected, hours.monotonic, hours.now)
        yield World(server[0], tokens, hours)


async def test_a_pods_token_proves_its_pod(world: World) -> None:
    proof = await world.proof(world.server.issuer.token())
    assert proof == Account("exams", "exam-client", "pod-1")


async def test_a_verdict_is_kept_for_five_minutes_at_most(world: World) -> None:
    token = world.server.issuer.token()
    for _ in range(3):
        await world.proof(token)
    assert len(world.server.reviews) == 1
    world.hours.seconds = REVIEWED_SECONDS + 1
    await world.proof(token)
    assert len(world.server.reviews) == 2


async def test_a_verdict_is_not_kept_longer_than_the_token_lives(world: World) -> None:
    token = world.server.issuer.token(lives=timedelta(seconds=60))
    await world.proof(token)
    world.hours.seconds = 61
    assert "expired" in await world.refused(token)


async def test_many_callers_with_one_token_cost_one_review(world: World) -> None:
    token = world.server.issuer.token()
    await asyncio.gather(*(world.proof(token) for _ in range(20)))
    assert len(world.server.reviews) == 1


async def test_a_rotated_token_is_reviewed_anew_and_the_old_one_stays_good(world: World) -> None:
    old, new = world.server.issuer.token(), world.server.issuer.token()
    assert await world.proof(old) == await world.proof(new)
    assert world.server.reviews == [old, new]


async def test_what_the_review_refuses_stays_refused_for_a_moment(world: World) -> None:
    stranger = type(world.server.issuer)().token()
    assert "does not accept" in await world.refused(stranger)
    await world.refused(stranger)
    assert len(world.server.reviews) == 1
    world.hours.seconds = 11
    await world.refused(stranger)
    assert len(world.server.reviews) == 2


@pytest.mark.parametrize("away", [False, True])
async def test_bad_tokens_are_refused_with_and_without_the_api(world: World, away: bool) -> None:
    issuer = world.server.issuer
    await world.tokens.fetch_keys()
    world.server.away = away
    for token in (
        issuer.token(aud=["other"]),
        issuer.token(lives=timedelta(seconds=-5)),
        unsigned(issuer.token()),
        type(issuer)().token(),
        issuer.token(account="default"),
        "garbage",
    ):
        await world.refused(token)


async def test_a_known_token_passes_after_the_api_went_away(world: World) -> None:
    token = world.server.issuer.token()
    await world.proof(token)
    world.server.away = True
    assert await world.proof(token)
    world.hours.seconds = REVIEWED_SECONDS + 1
    # No keys were fetched: what can't be verified any more is not believed any more.
    assert "can't be verified" in await world.refused(token, NotReady)


async def test_a_new_token_passes_by_the_clusters_keys_while_the_api_is_away(
    world: World,
) -> None:
    await world.tokens.fetch_keys()
    world.server.away = True
    assert await world.proof(world.server.issuer.token())
    assert await world.proof(world.server.issuer.token(algorithm="ES256"))
    unknown = world.server.issuer.token(header={"kid": "newer"})
    assert "can't be verified" in await world.refused(unknown, NotReady)


async def test_an_api_that_was_never_there_verifies_nobody(world: World) -> None:
    world.server.away = True
    assert not await world.tokens.fetch_keys()
    token = world.server.issuer.token()
    await world.refused(token, NotReady)
    world.server.away = False
    world.hours.seconds = 3  # the pause after a vain question
    assert await world.proof(token)


async def test_a_dead_api_is_not_asked_for_every_request(world: World) -> None:
    await world.tokens.fetch_keys()
    world.server.away = True
    for _ in range(20):
        await world.proof(world.server.issuer.token())
    world.server.away = False
    world.hours.seconds = 3
    await world.proof(world.server.issuer.token())
    assert len(world.server.reviews) == 1


async def test_a_right_that_was_taken_away_counts_as_the_api_being_away(world: World) -> None:
    await world.tokens.fetch_keys()
    world.server.forbidden = {"review"}
    assert await world.proof(world.server.issuer.token())


async def test_the_operator_is_its_own_service_account(world: World) -> None:
    await world.tokens.operator(operators(world.server))
    for token in (
        world.server.issuer.token(),
        world.server.issuer.token(namespace="exams", account="medxamion-operator"),
    ):
        with pytest.raises(Unauthenticated):
            await world.tokens.operator(token)
    assert "exam-client's" in await world.refused(operators(world.server))


@pytest.fixture
async def cluster(
    server: tuple[FakeApiServer, str], pg_dsn: str, tmp_path: Path
) -> AsyncIterator[Rig]:
    """A whole coordinator with Kubernetes around it."""
    (tmp_path / "own").write_text("own")
    settings = {
        "kubernetes": True,
        "kubernetes_api_url": server[1],
        "kubernetes_token_file": tmp_path / "own",
        "kubernetes_ca_file": None,
        "default_namespace": "exams",
        "operator_key_file": None,
    }
    async with coordinator_rig(pg_dsn, tmp_path, **settings) as rig:
        rig.operator_key = operators(server[0])
        yield rig


async def up(rig: Rig, server: FakeApiServer, pod_uid: str = "pod-1") -> Delivery:
    """A delivery whose exam-client is a pod in the namespace ``exams``."""
    exam, roster = await rig.import_exam(), await rig.import_roster()
    delivery = Delivery(rig=rig, exam=exam, roster=roster, pod_uid=pod_uid)
    delivery.service_key = server.issuer.token(pod_uid=pod_uid)
    await delivery.register(namespace="exams", service_key_sha256=None)
    return delivery


async def test_a_pod_delivers_events_by_its_own_token(
    cluster: Rig, server: tuple[FakeApiServer, str]
) -> None:
    delivery = await up(cluster, server[0])
    assert (await delivery.incarnate()).status_code == 200
    assert (await delivery.send(delivery.event())).json() == {"accepted_through": 1}
    path = f"/api/internal/deliveries/{delivery.uid}/bundle"
    reply = await cluster.internal.get(path, headers=delivery.headers())
    assert reply.status_code == 200, reply.text


async def test_only_the_current_pod_of_the_delivery_passes(
    cluster: Rig, server: tuple[FakeApiServer, str]
) -> None:
    delivery, issuer = await up(cluster, server[0]), server[0].issuer

    async def answer(token: str, pod_uid: str = "pod-1") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}", "X-Pod-Uid": pod_uid}
        reply = await cluster.internal.get(
            f"/api/internal/deliveries/{delivery.uid}/bundle", headers=delivery.headers(**headers)
        )
        return reply.status_code, reply.json().get("code", "")

    other_pod = issuer.token(pod_uid="pod-2")
    assert await answer(issuer.token()) == (200, "")
    assert await answer(other_pod) == (401, "unauthenticated")
    assert await answer(other_pod, "pod-2") == (409, "not_registered")
    assert await answer(issuer.token(namespace="elsewhere")) == (401, "unauthenticated")
    assert await answer(issuer.token(pod_uid=None)) == (401, "unauthenticated")
    assert await answer(cluster.operator_key) == (401, "unauthenticated")
    delivery.epoch, delivery.pod_uid = 2, "pod-2"
    await delivery.register(namespace="exams", service_key_sha256=None)
    assert await answer(issuer.token()) == (409, "not_registered")
    assert await answer(other_pod, "pod-2") == (200, "")


async def test_a_pod_that_is_not_registered_yet_is_told_to_come_again(
    cluster: Rig, server: tuple[FakeApiServer, str]
) -> None:
    token = server[0].issuer.token()
    reply = await cluster.internal.post(
        "/api/internal/exam-clients/event",
        json={"events": []},
        headers={
            "Authorization": f"Bearer {token}",
            "X-Delivery-Uid": "nobody",
            "X-Pod-Uid": "pod-1",
        },
    )
    assert reply.status_code == 422  # nothing was sent
    body = await cluster.internal.get(
        "/api/internal/deliveries/nobody/bundle",
        headers={
            "Authorization": f"Bearer {token}",
            "X-Delivery-Uid": "nobody",
            "X-Pod-Uid": "pod-1",
        },
    )
    assert (body.status_code, body.json()["code"]) == (409, "not_registered")


async def test_a_key_file_opens_nothing_in_a_cluster(
    cluster: Rig, server: tuple[FakeApiServer, str]
) -> None:
    delivery = await up(cluster, server[0])
    for headers in ({"Authorization": "Bearer operator-key"}, {}):
        reply = await cluster.internal.put(
            f"/api/internal/deliveries/{delivery.uid}",
            json=delivery.registration(namespace="exams"),
            headers=headers,
        )
        assert reply.status_code == 401


async def test_the_coordinator_fetches_the_clusters_keys_at_its_start(
    cluster: Rig, server: tuple[FakeApiServer, str]
) -> None:
    delivery = await up(cluster, server[0])

    async def fetched() -> bool:
        return cluster.runtime.callers._keys is not None  # type: ignore[attr-defined]

    await until_async(fetched, what="the cluster's keys")
    server[0].away = True
    delivery.service_key = server[0].issuer.token()  # rotated meanwhile
    assert (await delivery.incarnate()).status_code == 200


async def test_a_delivery_is_made_in_the_installations_namespace(
    cluster: Rig, server: tuple[FakeApiServer, str]
) -> None:
    await cluster.import_exam()
    roster = await cluster.import_roster(2)
    body = {
        "name": "Spring Sitting",
        "exam_id": "sample",
        "exam_version": "1",
        "roster_id": roster["roster_id"],
        "opens_at": "2030-01-01T10:00:00Z",
        "closes_at": "2030-01-01T12:00:00Z",
        "time_limit_seconds": 3600,
    }
    made = await cluster.admin.post("/api/deliveries", json=body)
    assert (made.status_code, made.json()["namespace"]) == (201, "exams"), made.text


async def test_the_operator_may_be_quicker_than_the_admins_own_request(
    cluster: Rig, server: tuple[FakeApiServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it registered meanwhile is not overwritten by the object's first state."""
    exam, roster = await cluster.import_exam(), await cluster.import_roster(2)
    delivery = Delivery(rig=cluster, exam=exam, roster=roster, pod_uid="pod-1")
    create = cluster.objects.create

    async def slow(wanted: Any) -> Any:
        made = await create(wanted)
        delivery.uid = str(made.metadata.uid)
        await delivery.register(
            namespace="exams",
            service_key_sha256=None,
            phase="Preparing",
            endpoint_internal="https://exam.example",
        )
        return made

    monkeypatch.setattr(cluster.objects, "create", slow)
    body = {
        "name": "d",
        "exam_id": "sample",
        "exam_version": "1",
        "roster_id": roster["roster_id"],
        "opens_at": "2030-01-01T10:00:00Z",
        "closes_at": "2030-01-01T12:00:00Z",
        "time_limit_seconds": 3600,
    }
    made: httpx.Response = await cluster.admin.post("/api/deliveries", json=body)
    assert (made.status_code, made.json()["phase"]) == (201, "Preparing"), made.text
