"""ExamDelivery objects: one suite over the cluster's door and the one of this machine."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from coordinator.adapters.cluster_objects import cluster_door
from coordinator.adapters.local_objects import local_door
from coordinator.adapters.objects_api import Door, ObjectsApi
from coordinator.core.deliveries import edited
from coordinator.errors import Conflict, NotFound, NotReady, RuleViolated, Stale
from coordinator.services import objects as port
from coordinator.store.deliveries import Delivery
from exam_contract.delivery import RESTART_ANNOTATION, DesiredState, ExamDelivery, Phase
from exam_contract.delivery_rules import DELETE_REFUSED
from exam_operator.adapters.metrics import OperatorMetrics
from exam_operator.core.world import Key
from exam_operator.local.api import ObjectApi
from exam_operator.local.edge import ProcessEdge
from exam_operator.local.objects import ObjectStore
from tests.support import deliveries
from tests.support.fake_api_server import FakeApiServer
from tests.support.served import served

Json = dict[str, Any]
_NOW = datetime(2030, 1, 1, tzinfo=UTC)


class ClusterWorld:
    """The fake API server behind the cluster's door."""

    def __init__(self, server: FakeApiServer, door: Door) -> None:
        self.server, self.door = server, door

    def report(self, name: str, **status: Any) -> None:
        """What the operator writes into the status."""
        document = self.server.objects["exams", name]
        document["status"] = {**document.get("status", {}), **status}

    def status(self, name: str) -> Json:
        return dict(self.server.objects["exams", name]["status"])

    def annotations(self, name: str) -> Json:
        return dict(self.server.objects["exams", name]["metadata"]["annotations"])

    def write_meanwhile(self, name: str) -> None:
        metadata = self.server.objects["exams", name]["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)


class LocalWorld:
    """The process edge's own API behind the door of one machine."""

    def __init__(self, store: ObjectStore, door: Door) -> None:
        self.store, self.door = store, door

    def report(self, name: str, **status: Any) -> None:
        stored = self.store.get(Key("exams", name))
        after = stored.status.model_validate({**stored.status.model_dump(), **status})
        self.store.write_status(Key("exams", name), after, stored.metadata.uid)

    def status(self, name: str) -> Json:
        return dict(self.store.get(Key("exams", name)).to_dict()["status"])

    def annotations(self, name: str) -> Json:
        return self.store.get(Key("exams", name)).metadata.annotations

    def write_meanwhile(self, name: str) -> None:
        stored = self.store.get(Key("exams", name))
        self.report(name, epoch=stored.status.epoch + 1)


World = ClusterWorld | LocalWorld


class _NobodyStarted:
    async def started_now(self, key: Key) -> int:
        return 0


@asynccontextmanager
async def cluster_world(folder: Path) -> AsyncIterator[World]:
    server = FakeApiServer("own")
    async with served(server.app) as address:
        door = cluster_door(f"http://{address}", folder / "token", None)
        yield ClusterWorld(server, door)


@asynccontextmanager
async def local_world(folder: Path) -> AsyncIterator[World]:
    store = ObjectStore(folder / "objects", lambda: _NOW)
    edge = cast(ProcessEdge, _NobodyStarted())
    api = ObjectApi(store, edge, OperatorMetrics(), folder / "token", lambda key: None)
    async with served(api.app()) as address:
        yield LocalWorld(store, local_door(f"http://{address}", folder / "token"))


@pytest.fixture(params=[cluster_world, local_world], ids=["cluster", "local"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "token").write_text("own\n")
    async with request.param(tmp_path) as opened:
        yield opened


@pytest.fixture
async def api(world: World) -> AsyncIterator[ObjectsApi]:
    async with ObjectsApi(world.door) as opened:
        yield opened


def wanted(name: str = "morning", **spec: Any) -> ExamDelivery:
    made = deliveries.delivery(name, **spec)
    metadata = made.metadata.model_copy(
        update={"namespace": "exams", "uid": None, "resource_version": None}
    )
    return made.model_copy(update={"metadata": metadata})


def uid(made: ExamDelivery) -> str:
    assert made.metadata.uid is not None
    return made.metadata.uid


async def test_a_created_object_has_its_identity(api: ObjectsApi) -> None:
    made = await api.create(wanted())
    assert (made.metadata.name, made.metadata.namespace) == ("morning", "exams")
    assert uid(made)
    assert made.metadata.generation == 1
    assert made.spec == wanted().spec


async def test_a_taken_name_is_a_conflict(api: ObjectsApi) -> None:
    await api.create(wanted())
    with pytest.raises(Conflict, match="morning"):
        await api.create(wanted())


async def test_a_broken_rule_is_told_at_its_path_in_its_sentence(api: ObjectsApi) -> None:
    with pytest.raises(RuleViolated) as refused:
        await api.create(wanted(replicas=2))
    assert refused.value.members["errors"] == [
        {
            "path": "spec.replicas",
            "message": "replicas must be 1: a delivery has exactly one exam-client",
        }
    ]


async def test_an_edit_changes_what_it_touched_and_leaves_the_status(
    api: ObjectsApi, world: World
) -> None:
    made = await api.create(wanted())
    world.report("morning", phase=Phase.RUNNING, epoch=3)
    changed = await api.edit(
        "exams", "morning", uid(made), lambda stored: edited(stored, "restart", _NOW)
    )
    assert changed.metadata.annotations[RESTART_ANNOTATION].startswith("2030-01-01T00:00:00")
    assert changed.spec == made.spec
    assert (world.status("morning")["phase"], world.status("morning")["epoch"]) == ("Running", 3)


async def test_an_edit_that_breaks_a_rule_is_refused_at_its_path(
    api: ObjectsApi, world: World
) -> None:
    made = await api.create(wanted(desired_state=DesiredState.FINALISED))
    world.report("morning", phase=Phase.RUNNING)
    with pytest.raises(RuleViolated) as refused:
        await api.edit(
            "exams", "morning", uid(made), lambda stored: edited(stored, "rollback", _NOW)
        )
    assert refused.value.members["errors"][0]["path"] == "spec.desiredState"  # type: ignore[index]
    assert "moves forward only" in refused.value.detail


async def test_a_write_in_between_is_stale_and_tried_again(api: ObjectsApi, world: World) -> None:
    made = await api.create(wanted())
    interruptions = [None]

    def slow(stored: ExamDelivery) -> ExamDelivery:
        if interruptions:
            interruptions.pop()
            world.write_meanwhile("morning")
        return edited(stored, "finalise", _NOW)

    with pytest.raises(Stale):
        await api.edit("exams", "morning", uid(made), slow)
    interruptions.append(None)
    registered = _registered(made)
    changed = await port.edit(api, registered, slow)
    assert changed.spec.desired_state is DesiredState.FINALISED


async def test_a_refusal_of_the_edit_itself_is_not_tried_again(
    api: ObjectsApi, world: World
) -> None:
    made = await api.create(wanted())
    tries: list[int] = []

    def refuse(stored: ExamDelivery) -> ExamDelivery:
        tries.append(1)
        return edited(stored, "rollback", _NOW)

    with pytest.raises(Conflict, match="nothing to roll back"):
        await port.edit(api, _registered(made), refuse)
    assert len(tries) == 1


async def test_another_object_of_the_same_name_is_left_alone(api: ObjectsApi) -> None:
    await api.create(wanted())
    with pytest.raises(NotFound, match="another one has its name"):
        await api.edit("exams", "morning", "other-uid", lambda stored: stored)
    with pytest.raises(NotFound):
        await api.delete("exams", "morning", "other-uid")


async def test_an_object_that_is_gone_is_told(api: ObjectsApi) -> None:
    with pytest.raises(NotFound):
        await api.edit("exams", "never", "uid", lambda stored: stored)
    with pytest.raises(NotFound):
        await api.delete("exams", "never", "uid")


async def test_untransferred_data_keeps_its_object(api: ObjectsApi, world: World) -> None:
    made = await api.create(wanted())
    world.report("morning", phase=Phase.RUNNING, counts={"started": 1})
    with pytest.raises(RuleViolated) as refused:
        await api.delete("exams", "morning", uid(made))
    assert refused.value.members["errors"] == [{"path": "metadata.name", "message": DELETE_REFUSED}]
    world.report("morning", phase=Phase.CLEANED_UP)
    await api.delete("exams", "morning", uid(made))


async def test_a_token_that_is_not_accepted_is_told_and_read_again(
    api: ObjectsApi, world: World, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("stale")
    if isinstance(world, LocalWorld):  # that door knows the token by the same file
        return
    with pytest.raises(NotReady, match="token"):
        await api.create(wanted())
    (tmp_path / "token").write_text("own")
    assert uid(await api.create(wanted()))
    (tmp_path / "token").unlink()
    with pytest.raises(NotReady):
        await api.create(wanted("another"))


async def test_an_api_that_is_away_is_told_in_its_own_words(world: World) -> None:
    door = dataclasses.replace(world.door, base_url="http://127.0.0.1:1")
    async with ObjectsApi(door) as api:
        with pytest.raises(NotReady) as away:
            await api.create(wanted())
    assert away.value.detail == door.away


async def test_an_edit_keeps_what_our_model_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("own")
    async with cluster_world(tmp_path) as world, ObjectsApi(world.door) as api:
        assert isinstance(world, ClusterWorld)
        made = await api.create(wanted())
        document = world.server.objects["exams", "morning"]
        document["metadata"].update(
            finalizers=["exams.medxamion.io/untransferred-data"],
            ownerReferences=[{"kind": "Course", "name": "c", "uid": "u"}],
            labels={"team": "cardiology"},
            annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        )
        before = dict(document["metadata"])
        await api.edit(
            "exams", "morning", uid(made), lambda stored: edited(stored, "restart", _NOW)
        )
        after = world.server.objects["exams", "morning"]["metadata"]
        for kept in ("finalizers", "ownerReferences", "labels", "managedFields"):
            assert after[kept] == before[kept]
        assert set(after["annotations"]) == {*before["annotations"], RESTART_ANNOTATION}
        assert after["generation"] == 1


@pytest.mark.parametrize(
    ("namespace", "forbidden", "word"),
    [("nowhere", set(), "no namespace nowhere"), ("exams", {"create"}, "no right to create")],
)
async def test_a_namespace_that_can_not_be_used_is_told_at_its_path(
    tmp_path: Path, namespace: str, forbidden: set[str], word: str
) -> None:
    (tmp_path / "token").write_text("own")
    async with cluster_world(tmp_path) as world, ObjectsApi(world.door) as api:
        assert isinstance(world, ClusterWorld)
        world.server.forbidden = forbidden
        made = wanted()
        metadata = made.metadata.model_copy(update={"namespace": namespace})
        with pytest.raises(RuleViolated, match=word) as refused:
            await api.create(made.model_copy(update={"metadata": metadata}))
    assert refused.value.members["errors"][0]["path"] == "metadata.namespace"  # type: ignore[index]


def _registered(made: ExamDelivery) -> Delivery:
    """As much of a registered delivery as an edit asks for."""
    fields = {field.name: None for field in dataclasses.fields(Delivery)}
    named = {"name": "morning", "namespace": "exams", "uid": uid(made)}
    return Delivery(**{**fields, **named})  # type: ignore[arg-type]
