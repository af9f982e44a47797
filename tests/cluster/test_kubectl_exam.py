"""Every verb of `kubectl exam` on a real cluster, as kubectl itself finds and runs it.

They are used while people sit: afterwards every answer that was told to be saved is stored once.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exam_contract.delivery import FENCE_ANNOTATION, Phase
from examctl.simulation.sitting import Behaviour
from examctl.simulation.tally import Tally
from tests.support import deliveries
from tests.support.cluster import exam_day, kubectl, objects
from tests.support.cluster.api import Api
from tests.support.cluster.exam_day import ExamDay
from tests.support.cluster.installation import Installation

PARTICIPANTS = 8
BEHAVIOUR = Behaviour(think_seconds=0.8, arrival_seconds=3, patience_seconds=180)
NAME = "plugin"
LOOKED_AT = "looked-at"
READER = "plugin-reader"

pytestmark = pytest.mark.timeout(600)
Json = dict[str, Any]


@dataclass
class Person:
    """Somebody at a terminal with kubectl; ``more`` goes with every verb."""

    namespace: str
    folder: Path
    more: tuple[str, ...] = ()

    def says(self, *words: str, code: int = 0) -> str:
        """What `kubectl exam` prints; it must end with that code."""
        scripts = Path(sys.executable).parent
        done = subprocess.run(
            ["kubectl", "exam", *words, *self.more],
            env=os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{words}: {done.returncode}, {done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def told(self, verb: str, *words: str) -> Json:
        """The same about the delivery, as JSON."""
        said = self.says(verb, NAME, "-n", self.namespace, "-o", "json", *words)
        return dict(json.loads(said))


@dataclass
class Incident:
    """What the verbs said while people sat. ``keys``: what the delivery's Secret held."""

    day: ExamDay
    person: Person
    keys: dict[str, str]
    said: dict[str, Json] = field(default_factory=dict)
    acknowledged_before_export: int = 0
    public: str = ""

    def __post_init__(self) -> None:
        made = self.person.says("keygen", "-f", str(self.key), "-o", "json")
        self.public = str(json.loads(made)["public_key"])

    @property
    def backup(self) -> Path:
        return self.person.folder / "backup.age"

    @property
    def key(self) -> Path:
        return self.person.folder / "key.txt"

    async def happen(self, tally: Tally) -> None:
        await tally.until(lambda: tally.acknowledged >= 10 and tally.in_flight > 0)
        self.acknowledged_before_export = tally.acknowledged
        await self._note("export", "export", "-f", str(self.backup), "-r", self.public)
        await self._note("fence", "fence")
        await self._note("fenced report", "report")
        await self._note("fenced status", "status")
        await self._note("later fenced report", "report")
        await self._note("unfence", "unfence")
        reached = tally.acknowledged + 5
        await tally.until(lambda: tally.acknowledged >= reached)
        await self._note("restart", "restart")
        reached = tally.acknowledged + 5
        await tally.until(lambda: tally.acknowledged >= reached)
        await self._note("report", "report")

    async def _note(self, step: str, verb: str, *words: str) -> None:
        self.said[step] = await asyncio.to_thread(self.person.told, verb, *words)


@pytest.fixture(scope="module")
def incident(
    installed: Installation, api: Api, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Incident:
    """A delivery that was sat while every verb was used on it."""
    folder = tmp_path_factory.mktemp("incident")
    imported = exam_day.bring_exam(installed, folder, name=NAME, participants=PARTICIPANTS)
    delivery = objects.apply_example(
        api,
        namespace,
        NAME,
        exam=imported.exam,
        roster=imported.roster,
        participants=PARTICIPANTS,
    )
    delivery.wait_phase(Phase.RUNNING)
    day = ExamDay(installed, delivery, imported, folder / "ledger.jsonl")
    keys = kubectl.read("get", "secret", delivery.children, "-n", namespace)["data"]
    incident = Incident(day, Person(namespace, folder), keys)
    day.sit(BEHAVIOUR, meanwhile=incident.happen)
    delivery.wait_phase(Phase.CLEANED_UP, seconds=180)
    return incident


def test_nothing_is_lost_by_fence_export_and_restart(incident: Incident) -> None:
    incident.day.assert_nothing_lost()


def test_status_tells_where_it_stands(incident: Incident) -> None:
    said = incident.said["fenced status"]
    assert said["object"]["status"]["phase"] == Phase.RUNNING
    assert "Fenced" in [one["trouble"] for one in said["advice"]]
    table = incident.person.says("status", "-A")
    assert NAME in table
    assert Phase.CLEANED_UP in incident.person.says("status", NAME, "-n", incident.person.namespace)


def test_a_fence_holds_until_it_is_lifted(incident: Incident) -> None:
    first, second = incident.said["fenced report"], incident.said["later fenced report"]
    assert incident.said["fence"]["confirmed"]
    for report in (first, second):
        assert report["exam_client"]["fenced"]
        assert report["delivery"]["requests"] == {FENCE_ANNOTATION: "true"}
    revisions = [report["exam_client"]["counts"]["revisions"] for report in (first, second)]
    assert revisions[0] == revisions[1]
    assert not incident.said["unfence"]["fenced"]


def test_a_restart_shows_the_new_epoch(incident: Incident) -> None:
    said = incident.said["restart"]
    assert said["confirmed"]
    assert said["epoch"] == said["epoch_before"] + 1
    assert said["phase"] == Phase.RUNNING
    report = incident.said["report"]
    assert report["exam_client"]["epoch"] == said["epoch"]
    assert report["status"]["restarts"]["lastReason"] == "RestartRequested"


def test_a_report_holds_events_and_no_secret(incident: Incident) -> None:
    report = incident.said["report"]
    assert {"ClientStarted", "ClientRestarted"} <= {one["reason"] for one in report["events"]}
    assert report["pod"]["containers"][0]["ready"]
    assert report["volume"]["phase"] == "Bound"
    text = json.dumps(report)
    assert not [value for value in incident.keys.values() if value in text]
    codes = [who.access_code for who in incident.day.imported.people()]
    assert not [code for code in codes if code in text]


def test_a_report_has_the_coordinators_view(
    incident: Incident, installed: Installation, api: Api
) -> None:
    folder = incident.person.folder
    (folder / "token").write_text(installed.token)
    authority = base64.b64decode(
        api.get("secrets", "medxamion-ca", "medxamion-operator")["data"]["ca.crt"]
    )
    (folder / "ca.crt").write_bytes(authority)
    words = ["--url", installed.url, "--token-file", str(folder / "token")]
    said = incident.person.told("report", *words, "--ca-file", str(folder / "ca.crt"))
    assert said["coordinator"]["uid"] == incident.day.delivery.uid


def test_a_backup_of_the_live_delivery_is_restorable(incident: Incident) -> None:
    """Long after the delivery was erased, and without the cluster."""
    exported = incident.said["export"]
    opening = ["open", str(incident.backup), "-i", str(incident.key), "-o", "json"]
    assert "was not opened" in incident.person.says(*opening, code=2)
    half = incident.person.folder / "half.txt"
    half.write_text(incident.keys["storage.key"])
    proven = json.loads(incident.person.says(*opening, "--storage-key", str(half)))
    assert proven["database_sha256"] == exported["database_sha256"]
    assert proven["counts"]["participants"] == PARTICIPANTS
    assert proven["counts"]["answer_revisions"] >= incident.acknowledged_before_export


def test_what_was_erased_is_told(incident: Incident) -> None:
    person, place = incident.person, ["-n", incident.person.namespace]
    assert "is CleanedUp" in person.says("fence", NAME, *place, code=3)
    file = person.folder / "late.age"
    words = ["export", NAME, *place, "-f", str(file), "-r", incident.public]
    assert "is not there" in person.says(*words, code=1)
    assert not file.exists()


def test_rights_that_are_missing_are_named(
    installed: Installation, namespace: str, tmp_path: Path
) -> None:
    """A reader's account may look, and nothing else."""
    now = datetime.now(UTC)
    opens, closes = now + timedelta(hours=1), now + timedelta(hours=2)
    document = deliveries.document(
        LOOKED_AT, opens_at=opens, closes_at=closes, desiredState="Assigned"
    )
    document["metadata"]["namespace"] = namespace
    kubectl.apply(document)
    rule = {"apiGroups": ["exams.medxamion.io"], "resources": ["examdeliveries"]}
    meta = {"name": READER, "namespace": namespace}
    rbac = "rbac.authorization.k8s.io"
    kubectl.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "Role",
            "metadata": meta,
            "rules": [rule | {"verbs": ["get", "list"]}],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": READER},
            "subjects": [{"kind": "ServiceAccount", **meta}],
        },
    )
    reader = Person(namespace, tmp_path, ("--kubeconfig", str(_kubeconfig_of(meta, tmp_path))))
    assert LOOKED_AT in reader.says("status", "-n", namespace)
    refused = reader.says("restart", LOOKED_AT, "-n", namespace, code=3)
    assert f"the right to patch examdeliveries in {namespace}" in refused


def _kubeconfig_of(account: Json, folder: Path) -> Path:
    """A kubeconfig with that account's token instead of ours."""
    token = kubectl.kubectl("create", "token", account["name"], "-n", account["namespace"])
    found = json.loads(kubectl.kubectl("config", "view", "--minify", "--flatten", "-o", "json"))
    found["users"][0]["user"] = {"token": token.strip()}
    path = folder / "reader.kubeconfig"
    path.write_text(json.dumps(found))
    return path
