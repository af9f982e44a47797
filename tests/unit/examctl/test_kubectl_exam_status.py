"""``kubectl exam status``: where deliveries stand, what troubles them, what a person can do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exam_contract.delivery import FENCE_ANNOTATION, RESTART_ANNOTATION, Phase
from examctl.kubectl import app, deliveries
from examctl.kubectl.advice import Advice, advice
from tests.support import kubectl_objects as objects
from tests.support.deliveries import UID
from tests.support.kubectl_cluster import KubectlCluster

Run = Callable[..., int]


def test_one_delivery_is_told_in_words(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.put(objects.delivery())
    assert run("status", "morning") == 0
    said = capsys.readouterr().out
    for told in (
        "Running",
        "5 enrolled, 4 started, 3 open",
        "77 answers",
        "OOMKilled",
        f"exam-{UID}, uid pod-3",
        "node-a",
        "https://exams.example.org:30443",
        "participants are served",
        "the writer is not stopped",
        "Nothing needs a person.",
    ):
        assert told in said


def test_all_of_them_are_a_table_and_what_needs_a_person(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.put(objects.delivery("quiet", uid="u-1"))
    silent = ("False", "NotAnswering", "no answer since 12:00:00 UTC")
    cluster.put(objects.delivery("silent", uid="u-2", ClientHealthy=silent))
    assert run("status") == 0
    said = capsys.readouterr().out
    table, _, below = said.partition("\n\n")
    assert table.splitlines()[0].split()[:3] == ["NAME", "EXAM", "PHASE"]
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["quiet", "silent"]
    assert "quiet" not in below
    assert "NotAnswering: no answer since" in below
    assert "kubectl exam restart silent -n exams" in below


def test_every_namespace_can_be_asked(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = objects.delivery("evening", uid="u-2")
    elsewhere["metadata"]["namespace"] = "other"
    cluster.put(objects.delivery())
    cluster.put(elsewhere)
    assert run("status", "-A") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split()[0] == "NAMESPACE"
    assert [line.split()[:2] for line in said[1:]] == [["exams", "morning"], ["other", "evening"]]


def test_json_is_one_document(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.put(objects.delivery(WriterFenced=("True", "Fenced")))
    assert run("status", "morning", "-o", "json") == 0
    one = json.loads(capsys.readouterr().out)
    assert one["object"]["status"]["epoch"] == 3
    assert [found["trouble"] for found in one["advice"]] == ["Fenced"]
    assert run("status", "-o", "json") == 0
    assert [found["object"] for found in json.loads(capsys.readouterr().out)["items"]] == [
        one["object"]
    ]


def test_none_is_told_in_words(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status") == 0
    assert "no ExamDelivery in namespace exams" in capsys.readouterr().err


def test_what_a_newer_operator_tells_is_left_out(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = objects.delivery()
    newer["spec"]["window"]["late"] = {"entry": True}
    newer["status"]["conditions"][0]["severity"] = "high"
    cluster.put(newer)
    assert run("status", "morning") == 0
    assert "Running" in capsys.readouterr().out


def test_what_cannot_be_understood_asks_for_the_same_version(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = objects.delivery()
    newer["status"]["phase"] = "Archived"
    cluster.put(newer)
    assert run("status") == 2
    said = capsys.readouterr().err
    assert "morning: status.phase" in said
    assert "install the same version" in said


@pytest.mark.parametrize(
    ("break_it", "exit_code", "says"),
    [
        (lambda cluster: None, 1, "there is no ExamDelivery morning in namespace exams"),
        (lambda cluster: setattr(cluster, "installed", False), 1, "knows no ExamDelivery"),
        (lambda cluster: cluster.forbidden.add("get examdeliveries"), 3, "forbidden: "),
        (lambda cluster: setattr(cluster, "token", "new"), 3, "does not accept who you are"),
        (lambda cluster: setattr(cluster, "away", 9), 4, "unable to handle the request"),
    ],
)
def test_what_stands_in_the_way_is_told(
    cluster: KubectlCluster,
    run: Run,
    break_it: Callable[[KubectlCluster], object],
    exit_code: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    break_it(cluster)
    assert run("status", "morning") == exit_code
    said = capsys.readouterr()
    assert says in said.err
    assert said.out == ""


def test_no_cluster_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, broken = tmp_path / "missing", tmp_path / "broken"
    broken.write_text("hello")
    for path in (missing, broken):
        assert app.run(["status", "--kubeconfig", str(path)]) == 2
        assert "--kubeconfig" in capsys.readouterr().err
    gone = KubectlCluster("http://127.0.0.1:9").kubeconfig(tmp_path)
    assert app.run(["status", "--kubeconfig", str(gone)]) == 4
    assert "http://127.0.0.1:9 does not answer" in capsys.readouterr().err
    assert app.run(["status", "--kubeconfig", str(gone), "--context", "other"]) == 2


@pytest.mark.parametrize(
    ("reason", "action"),
    [
        ("AdmissionRefused", "the message says who forbids it"),
        ("FailedMount", "kubectl describe pod exam-"),
        ("FailedAttachVolume", "kubectl describe pod exam-"),
        ("FailedCreatePodSandBox", "kubectl describe pod exam-"),
        ("ImagePullBackOff", "client.image of the chart"),
        ("NameTaken", "remove the object"),
        ("QuotaUnanswered", "LimitRange"),
        ("SecretMissing", "put the Secret exam-"),
    ],
)
def test_what_a_platform_refuses_has_an_action_of_its_own(reason: str, action: str) -> None:
    stored = deliveries.parse(objects.delivery(Degraded=("True", reason, "it says so")))
    (found,) = advice(stored)
    assert action in found.action


@pytest.mark.parametrize(
    ("raw", "troubles"),
    [
        (objects.delivery(), []),
        (objects.delivery(Degraded=("True", "StorageLost", "gone")), ["StorageLost"]),
        (
            objects.delivery(
                Degraded=("True", "StorageLost", "gone"),
                StorageReady=("False", "StorageLost", "gone"),
                ClientHealthy=("False", "NoClient"),
            ),
            ["StorageLost", "NoClient"],
        ),
        (objects.delivery(Degraded=("True", "NeverHeardOf", "new")), ["NeverHeardOf"]),
        (objects.delivery(StorageReady=("False", "Opening")), []),
        (objects.delivery(PendingTemplate=("True", "AppliesAtNextStart")), ["PendingTemplate"]),
        (
            objects.delivery(phase=Phase.RECOVERING, status={"resumePhase": "Running"}),
            ["Recovering"],
        ),
        (objects.delivery(status={"observedGeneration": 0}), ["NotSeen"]),
        (objects.delivery(annotations={FENCE_ANNOTATION: "true"}), ["FencePending"]),
        (objects.delivery(annotations={RESTART_ANNOTATION: "now"}), ["RestartPending"]),
        (
            objects.delivery(
                annotations={FENCE_ANNOTATION: "true"}, WriterFenced=("True", "Fenced")
            ),
            ["Fenced"],
        ),
        (
            objects.delivery(
                phase=Phase.CLEANED_UP,
                annotations={RESTART_ANNOTATION: "now"},
                ClientHealthy=("False", "NoClient"),
            ),
            [],
        ),
    ],
)
def test_advice_is_what_needs_a_person(raw: dict[str, Any], troubles: list[str]) -> None:
    found = told(raw)
    assert [one.trouble for one in found] == troubles
    assert all(one.told and one.action and "{" not in one.action for one in found)


def test_a_paused_object_is_told() -> None:
    raw = objects.delivery()
    raw["spec"]["paused"] = True
    assert [one.trouble for one in told(raw)] == ["Paused"]


def told(raw: dict[str, Any]) -> list[Advice]:
    return advice(deliveries.parse(raw))


@pytest.mark.parametrize(
    "verb", ["status", "fence", "unfence", "restart", "export", "open", "keygen", "report"]
)
def test_every_verb_teaches(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([verb, "--help"]) == 0
    assert "kubectl exam" in capsys.readouterr().out
