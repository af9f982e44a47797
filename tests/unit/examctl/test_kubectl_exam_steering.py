"""``fence``, ``unfence`` and ``restart``: exit code 0 means that it was carried out."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from exam_contract.delivery import FENCE_ANNOTATION, RESTART_ANNOTATION, Phase
from examctl.kubectl import steering
from tests.support import kubectl_objects as objects
from tests.support.kubectl_cluster import KubectlCluster

Run = Callable[..., int]
Json = dict[str, Any]


def operator(patched: Json) -> None:
    """Carries out what the annotations ask, at once."""
    marks, status = patched["metadata"]["annotations"], patched["status"]
    fenced = marks.get(FENCE_ANNOTATION) == "true"
    told = ("True", "Fenced") if fenced else ("False", "NotFenced")
    objects.set_condition(patched, "WriterFenced", *told)
    asked = marks.get(RESTART_ANNOTATION)
    if asked and asked != status["restarts"].get("lastRequestedAt"):
        status["epoch"] += 1
        status["restarts"] |= {"lastRequestedAt": asked, "lastRecoverySeconds": "4.200"}


def test_a_fence_waits_for_the_exam_client(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = cluster.put(objects.delivery())
    cluster.react = operator
    assert run("fence", "morning", "-o", "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["confirmed"], said["fenced"], said["epoch"]) == (True, True, 3)
    assert stored["metadata"]["annotations"] == {FENCE_ANNOTATION: "true"}


def test_unfencing_takes_the_annotation_away(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = cluster.put(
        objects.delivery(annotations={FENCE_ANNOTATION: "true"}, WriterFenced=("True", "Fenced"))
    )
    cluster.react = operator
    assert run("unfence", "morning") == 0
    assert "accepts answers again" in capsys.readouterr().out
    assert stored["metadata"]["annotations"] == {}


def test_a_fence_that_is_not_confirmed_is_no_success(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = cluster.put(objects.delivery())
    assert run("fence", "morning", "--timeout", "0.1") == 4
    said = capsys.readouterr().err
    assert "not carried out within 0.1 s" in said
    assert "FencePending" in said
    assert stored["metadata"]["annotations"] == {FENCE_ANNOTATION: "true"}


def test_a_fence_that_was_there_before_is_not_taken_for_this_one(
    cluster: KubectlCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unfence was asked for a moment ago: the condition is still that of before."""
    stored = cluster.put(objects.delivery(WriterFenced=("True", "Fenced")))
    looks = 0

    def lagging(method: str, path: str) -> None:
        nonlocal looks
        looks += method == "GET"
        if looks == 3:
            objects.set_condition(stored, "WriterFenced", "False", "NotFenced")
        if looks == 4:
            objects.set_condition(stored, "WriterFenced", "True", "Fenced")

    answer = cluster.answer

    def answering(method: str, target: str, token: str, body: Json | None) -> tuple[int, Any]:
        lagging(method, target)
        return answer(method, target, token, body)

    monkeypatch.setattr(cluster, "answer", answering)
    monkeypatch.setattr(steering, "HOLD_SECONDS", 0.8)
    assert run("fence", "morning", "--timeout", "20") == 0
    assert looks > 5


def test_a_restart_shows_the_new_epoch(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = cluster.put(objects.delivery())
    cluster.react = operator
    assert run("restart", "morning") == 0
    assert "epoch 3 -> 4" in capsys.readouterr().out
    asked = stored["metadata"]["annotations"][RESTART_ANNOTATION]
    assert asked.endswith("Z")
    assert run("restart", "morning", "-o", "json") == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["epoch_before"], again["epoch"], again["confirmed"]) == (4, 5, True)
    assert again["requested_at"] != asked


def test_a_successor_that_does_not_answer_is_no_success(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.put(objects.delivery(ClientHealthy=("False", "CrashLoop", "it ends again")))
    cluster.react = operator
    assert run("restart", "morning", "--timeout", "0.1") == 4
    assert "CrashLoop: it ends again" in capsys.readouterr().err


def test_asking_without_waiting_says_so(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.put(objects.delivery())
    for verb in ("fence", "unfence", "restart"):
        assert run(verb, "morning", "--timeout", "0") == 0
    said = capsys.readouterr().out
    assert said.count("asked for; nothing was waited for") == 2
    assert "accepts answers again" not in said.splitlines()[0]


def test_an_api_server_that_is_away_meanwhile_is_waited_for(
    cluster: KubectlCluster, run: Run
) -> None:
    cluster.put(objects.delivery())

    def restarted(patched: Json) -> None:
        operator(patched)
        cluster.away = 1

    cluster.react = restarted
    assert run("fence", "morning") == 0


@pytest.mark.parametrize("verb", ["fence", "unfence", "restart"])
@pytest.mark.parametrize("phase", [Phase.CLEANED_UP, Phase.ABORTED, Phase.FAILED])
def test_what_has_ended_is_left_alone(
    cluster: KubectlCluster, run: Run, verb: str, phase: Phase, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = cluster.put(objects.delivery(phase=phase))
    assert run(verb, "morning") == 3
    assert f"morning is {phase}" in capsys.readouterr().err
    assert stored["metadata"]["annotations"] == {}


def test_a_paused_object_is_not_asked_for_what_would_surprise_later(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = objects.delivery()
    stored["spec"]["paused"] = True
    cluster.put(stored)
    assert run("restart", "morning") == 3
    assert "spec.paused" in capsys.readouterr().err
    assert stored["metadata"]["annotations"] == {}


def test_the_right_to_patch_is_named(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.put(objects.delivery())
    cluster.forbidden.add("patch examdeliveries")
    assert run("fence", "morning") == 3
    assert "the right to patch examdeliveries in exams" in capsys.readouterr().err


def test_an_object_made_anew_is_not_the_one_that_was_asked(
    cluster: KubectlCluster, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = cluster.put(objects.delivery())

    def replaced(patched: Json) -> None:
        stored["metadata"]["uid"] = "another"

    cluster.react = replaced
    assert run("fence", "morning") == 1
    assert "made anew" in capsys.readouterr().err
