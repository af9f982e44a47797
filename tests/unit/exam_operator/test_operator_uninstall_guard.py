"""The operator is not taken away while something still needs it, and the reasons are told."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from exam_contract.delivery import DISCARD_ANNOTATION, FINALIZER
from exam_operator import uninstall_guard
from tests.support import deliveries

Json = dict[str, Any]
UID = deliveries.UID


def test_an_installation_without_deliveries_may_go(capsys: pytest.CaptureFixture[str]) -> None:
    assert _judged([]) == uninstall_guard.FREE
    assert "no delivery needs the operator" in capsys.readouterr().out


@pytest.mark.parametrize("phase", ["Validated", "CleanedUp", "Aborted", "Failed"])
def test_a_delivery_at_an_end_keeps_nothing_back(phase: str) -> None:
    assert _judged([_delivery(phase, started=3)]) == uninstall_guard.FREE


def test_untransferred_data_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    code = _judged([_delivery("Running", started=3), _delivery("Validated", name="done")])

    said = capsys.readouterr().err
    assert code == uninstall_guard.REFUSED
    assert "exams/anatomy: phase Running, 3 attempts" in said
    assert "done" not in said


def test_a_recovering_delivery_is_judged_by_the_phase_it_left() -> None:
    running = _delivery("Recovering", started=3)
    running["status"]["resumePhase"] = "Transferring"

    assert _judged([running]) == uninstall_guard.REFUSED


def test_a_delivery_that_the_operator_still_holds_is_to_be_deleted_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without the operator nobody would ever take the finalizer away."""
    prepared = _delivery("Prepared", started=0)
    prepared["metadata"]["finalizers"] = [FINALIZER]

    assert _judged([prepared]) == uninstall_guard.REFUSED
    assert "kubectl -n exams delete exd anatomy" in capsys.readouterr().err


def test_discarding_alone_does_not_let_go() -> None:
    given_up = _delivery("Running", started=3)
    given_up["metadata"] |= {
        "annotations": {DISCARD_ANNOTATION: UID},
        "finalizers": [FINALIZER],
    }

    assert _judged([given_up]) == uninstall_guard.REFUSED


def test_an_object_of_another_version_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    strange = _delivery("CleanedUp")
    strange["spec"]["later"] = True

    assert _judged([strange]) == uninstall_guard.REFUSED
    assert "can't read it" in capsys.readouterr().err


def test_a_volume_without_its_delivery_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert _judged([], volumes=[_volume(FINALIZER)]) == uninstall_guard.REFUSED
    assert f"exams/exam-{UID}: this volume" in capsys.readouterr().err


def test_a_volume_that_is_held_holds_its_delivery(capsys: pytest.CaptureFixture[str]) -> None:
    """From the volume's first day, long before the object itself is held."""
    held = _volume(FINALIZER)

    assert _judged([_delivery("Prepared", started=0)], volumes=[held]) == uninstall_guard.REFUSED
    said = capsys.readouterr().err
    assert "exams/anatomy: phase Prepared" in said
    assert "its ExamDelivery is gone" not in said


def test_a_volume_that_waits_for_its_retention_needs_nobody() -> None:
    handed_over = _volume("kubernetes.io/pvc-protection")

    assert _judged([_delivery("Validated")], volumes=[handed_over]) == uninstall_guard.FREE


def test_a_namespace_that_is_gone_needs_nobody() -> None:
    api = _api(lambda request: httpx.Response(404, json={}))

    assert uninstall_guard.judge(api, ["exams"]) == uninstall_guard.FREE


def test_long_lists_are_read_to_the_end() -> None:
    pages = [[_delivery("CleanedUp")], [_delivery("Running", started=1)]]

    def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("examdeliveries"):
            return _answer_without_deliveries(request)
        following = request.url.params.get("continue")
        page = pages[1] if following == "next" else pages[0]
        return httpx.Response(200, json=_list(page, "" if following else "next"))

    assert uninstall_guard.judge(_api(answer), ["exams"]) == uninstall_guard.REFUSED


def test_an_api_server_that_refuses_is_no_permission() -> None:
    api = _api(lambda request: httpx.Response(403, text="forbidden for a reason"))

    with pytest.raises(uninstall_guard.Unanswered, match="403: forbidden for a reason"):
        uninstall_guard.judge(api, ["exams"])


def test_outside_a_cluster_nothing_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    mend = "helm rollback medxamion 3 -n medxamion"

    assert uninstall_guard.main([f"--mend={mend}", "exams"]) == uninstall_guard.UNKNOWN
    said = capsys.readouterr().err
    assert "so nothing is removed" in said
    assert f"before its next upgrade: {mend}" in said


def _judged(standing: list[Json], volumes: list[Json] | None = None) -> int:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("examdeliveries"):
            return httpx.Response(200, json=_list(standing))
        return _answer_without_deliveries(request, volumes)

    return uninstall_guard.judge(_api(answer), ["exams"])


def _answer_without_deliveries(
    request: httpx.Request, volumes: list[Json] | None = None
) -> httpx.Response:
    if request.url.path == "/api/v1/namespaces/exams":
        return httpx.Response(200, json={"kind": "Namespace"})
    assert request.url.path == "/api/v1/namespaces/exams/persistentvolumeclaims"
    listing = _list(volumes or []) | {"apiVersion": "v1", "kind": "PersistentVolumeClaimList"}
    return httpx.Response(200, json=listing)


def _list(items: list[Json], following: str = "") -> Json:
    """A list as the API server gives it: its items name neither kind nor apiVersion."""
    bare = [
        {name: value for name, value in item.items() if name not in ("apiVersion", "kind")}
        for item in items
    ]
    return {
        "apiVersion": "exams.medxamion.io/v1",
        "kind": "ExamDeliveryList",
        "metadata": {"continue": following},
        "items": bare,
    }


def _delivery(phase: str, started: int = 1, name: str = "anatomy") -> Json:
    document = deliveries.document(name)
    document["metadata"] |= {"namespace": "exams", "uid": UID}
    document["status"] = {"phase": phase, "counts": {"started": started}}
    return document


def _volume(finalizer: str) -> Json:
    return {
        "metadata": {
            "name": f"exam-{UID}",
            "labels": {"medxamion.io/delivery": UID},
            "finalizers": [finalizer],
        }
    }


def _api(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(answer), base_url="https://api.invalid")
