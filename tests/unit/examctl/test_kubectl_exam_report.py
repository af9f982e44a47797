"""``kubectl exam report``: all that is known of an incident, and nothing that must not leave."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from examctl.kubectl.incident import client_view, coordinator_view
from tests.support import kubectl_objects as objects
from tests.support.deliveries import UID
from tests.support.golden import load
from tests.support.kubectl_cluster import KubectlCluster
from tests.support.recorded_coordinator import recorded_coordinator

Run = Callable[..., int]
FORBIDDEN = ("Zoë", "secret-value", "hello: 1", "Traceback")


@pytest.fixture(autouse=True)
def incident(cluster: KubectlCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery after a restart; its pod can't be reached from here."""
    monkeypatch.setenv("PATH", "")
    lost = ("True", "TooManyRestarts", "6 restarts, more than 5; trying on")
    stored = cluster.put(objects.delivery(Degraded=lost, annotations={"note": "call Zoë"}))
    stored["metadata"]["labels"] = {"room": "Zoë"}
    pod = cluster.put(objects.pod())
    cluster.put(objects.claim())
    cluster.put(objects.secret(f"exam-{UID}", {"control.key": b"secret-value"}))
    cluster.put(objects.secret(f"exam-{UID}-tls", {"ca.crt": b"no certificate"}))
    cluster.put(objects.event("b", pod, "BackOff", "2026-01-15T12:07:00Z"))
    cluster.put(objects.event("a", stored, "Recovering", "2026-01-15T12:06:00Z"))
    elsewhere = objects.delivery("evening", uid="u-2")
    cluster.put(objects.event("c", elsewhere, "NotOurs"))


def test_the_report_holds_what_happened(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("report", "morning", "-o", "json") == 0
    said = capsys.readouterr().out
    made = json.loads(said)
    assert made["delivery"]["uid"] == UID
    assert [one["trouble"] for one in made["advice"]] == ["TooManyRestarts"]
    assert {one["type"] for one in made["conditions"]} >= {"Ready", "Degraded"}
    assert made["status"]["restarts"]["lastReason"] == "OOMKilled"
    before = made["pod"]["containers"][0]["before"]["terminated"]
    assert (before["exitCode"], before["reason"]) == (137, "OOMKilled")
    assert made["volume"]["phase"] == "Bound"
    assert [one["reason"] for one in made["events"]] == ["Recovering", "BackOff"]
    assert "ca.crt" in made["exam_client"]["not_told"]
    assert "no --url" in made["coordinator"]["not_told"]
    assert not [word for word in FORBIDDEN if word in said]


def test_the_same_for_people(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("report", "morning") == 0
    said = capsys.readouterr().out
    assert said.startswith("# Incident report: exams/morning\n")
    assert "## What can be done\n\n- **TooManyRestarts**: 6 restarts" in said
    assert "| 2026-01-15T12:07:00Z | 2 | Warning | Pod/" in said
    assert "BackOff: it \\| happened |" in said
    assert not [word for word in FORBIDDEN if word in said]


def test_a_report_is_written_privately_and_never_over_a_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "incident.md"
    assert run("report", "morning", "-f", str(path)) == 0
    assert path.read_text().startswith("# Incident report")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert run("report", "morning", "-f", str(path)) == 2


def test_a_delivery_without_pod_and_volume_has_a_report(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.remove("pods", "exams", f"exam-{UID}")
    cluster.remove("persistentvolumeclaims", "exams", f"exam-{UID}")
    assert run("report", "morning") == 0
    said = capsys.readouterr().out
    assert "There is no pod." in said
    assert "There is no volume claim." in said


def test_without_the_right_to_read_secrets_the_rest_is_told(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.forbidden.add("get secrets")
    assert run("report", "morning", "-o", "json") == 0
    assert "cannot get" in json.loads(capsys.readouterr().out)["exam_client"]["not_told"]


def test_the_coordinator_is_asked_where_it_is_named(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with recorded_coordinator(tmp_path) as coordinator:
        shown: dict[str, Any] = {"id": 12, "phase": "Running", "exam_title": "Zoë's", "epoch": 3}
        coordinator.replies["GET /api/deliveries/12"] = (200, shown)
        assert run("report", "morning", "-o", "json", *coordinator.options()) == 0
    told = json.loads(capsys.readouterr().out)["coordinator"]
    assert told == {"id": 12, "phase": "Running", "epoch": 3}


def test_views_take_by_name_only() -> None:
    status = {**load("client-status"), "answers": ["x"]}
    told = client_view(status)
    assert told["counts"] == status["counts"]
    assert told["transfer"]["state"] == "receipted"
    assert "receipt" not in told["transfer"]
    assert "answers" not in told
    assert coordinator_view({"participants": [1], "phase": "Running"}) == {"phase": "Running"}
