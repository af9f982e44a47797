"""The table of accepted and rejected objects, at the HTTP door of one machine and by its command.

Its functions are held to the table by ``test_operator_admission``; here is what a caller gets.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from exam_contract.delivery import API_VERSION
from exam_operator.adapters.metrics import OperatorMetrics
from exam_operator.core.world import Key
from exam_operator.local.api import ObjectApi
from exam_operator.local.edge import ProcessEdge
from exam_operator.local.objects import ObjectStore
from examctl.main import run
from examctl.runtime import Runtime, edge_token_file, write_private
from tests.support import deliveries
from tests.support.examdelivery_table import CHANGES, NEW_OBJECTS, Change, NewObject
from tests.support.served import served

BEARER = "own"
WRONG = "Ingress with no host"


@dataclass
class Door:
    """The API over a folder of objects that no operator looks after."""

    store: ObjectStore
    api: ObjectApi
    http: httpx.AsyncClient

    async def ask(self, method: str, document: Any, name: str = "") -> httpx.Response:
        path = f"/apis/{API_VERSION}/namespaces/default/examdeliveries{name and f'/{name}'}"
        headers = {"Authorization": f"Bearer {BEARER}"}
        return await self.http.request(method, path, json=document, headers=headers)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    write_private(edge_token_file(tmp_path), BEARER.encode())
    store = ObjectStore(tmp_path / "objects", lambda: deliveries.NOON)
    nobody, token = cast(ProcessEdge, None), edge_token_file(tmp_path)
    api = ObjectApi(store, nobody, OperatorMetrics(), token, lambda key: None)
    transport = httpx.ASGITransport(app=api.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://edge") as http:
        yield Door(store, api, http)


def by_name(case: Change | NewObject) -> str:
    return case.name


@pytest.mark.parametrize("case", NEW_OBJECTS, ids=by_name)
async def test_a_new_object(case: NewObject, door: Door) -> None:
    reply = await door.ask("POST", case.document())
    assert reply.status_code == (201 if case.accepted else 422), reply.text
    if not case.accepted:
        assert_told(reply, case.path, case.says)
        assert door.store.all_keys() == []


@pytest.mark.parametrize("case", CHANGES, ids=by_name)
async def test_a_change(case: Change, door: Door) -> None:
    standing, wanted = case.documents()
    name = standing["metadata"]["name"]
    made = await door.ask("POST", standing)
    assert made.status_code == 201, made.text
    door.store.write_status(Key("default", name), case.status(), made.json()["metadata"]["uid"])

    reply = await door.ask("PUT", wanted, name)

    assert reply.status_code == (200 if case.accepted else 422), reply.text
    if not case.accepted:
        assert_told(reply, case.path, case.says)


def assert_told(reply: httpx.Response, path: str, sentence: str) -> None:
    problem = reply.json()
    assert problem["code"] == "rule_violated"
    assert [one["path"] for one in problem["errors"]] == [path]
    assert sentence in problem["errors"][0]["message"]


async def test_apply_says_what_became_of_an_accepted_and_of_a_rejected_object(
    door: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accepted = NEW_OBJECTS[0].document()
    rejected = next(case for case in NEW_OBJECTS if case.name == WRONG)
    async with served(door.api.app()) as address:
        _stands_at(tmp_path, f"http://{address}")
        assert await _apply(tmp_path, accepted) == 0
        said = capsys.readouterr().out
        assert f"{accepted['metadata']['name']} created" in said
        assert await _apply(tmp_path, accepted) == 0
        assert "unchanged" in capsys.readouterr().out

        wrong = rejected.document()
        wrong["metadata"]["name"] = "wrong"
        assert await _apply(tmp_path, wrong) == 3

    said = " ".join(capsys.readouterr().err.split())
    assert rejected.path in said
    assert rejected.says in said
    assert [key.name for key in door.store.all_keys()] == [accepted["metadata"]["name"]]


async def _apply(home: Path, document: Any) -> int:
    file = home / "object.yaml"
    file.write_text(json.dumps(document))
    return await asyncio.to_thread(run, ["apply", "-f", str(file), "--home", str(home)])


def _stands_at(home: Path, edge_url: str) -> None:
    """What ``examctl up`` leaves for the other commands."""
    nowhere = "http://127.0.0.1:9"
    Runtime(
        home=home,
        pid=os.getpid(),
        started_at=deliveries.NOON,
        state="ready",
        coordinator_url=nowhere,
        internal_url=nowhere,
        metrics_url=nowhere,
        edge_url=edge_url,
        postgres="given",
        postgres_dsn="postgresql://nowhere",
    ).save()
