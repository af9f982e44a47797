"""The outbox and a coordinator that is away, rewinds, refuses or fences."""

from collections.abc import Callable

from exam_contract.problems import ProblemCode
from tests.support import loopback
from tests.support.client_process import Rig, Sitter
from tests.support.waiting import until

MakeRig = Callable[..., Rig]


def _sitting(rig: Rig) -> Sitter:
    rig.client.start_ready(bundle=rig.bundle)
    sitter = rig.sitter(1)
    sitter.begin()
    return sitter


def _drained(rig: Rig) -> bool:
    return rig.coordinator.accepted == rig.client.status().counts.last_seq


def test_the_exam_goes_on_without_the_coordinator_and_drains_later(make_rig: MakeRig) -> None:
    rig = make_rig()
    sitter = _sitting(rig)
    rig.coordinator.stop()
    replies = [sitter.answer(question, "A") for question in range(1, 11)]
    assert [reply.status_code for reply in replies] == [200] * 10
    until(lambda: rig.client.status().coordinator_reachable is False, what="the absence to be seen")
    rig.coordinator.start()
    until(lambda: _drained(rig), what="the outbox to drain")
    assert [event["seq"] for event in rig.coordinator.events] == list(
        range(1, rig.coordinator.accepted + 1)
    )


def test_a_rewound_coordinator_is_refilled(make_rig: MakeRig) -> None:
    rig = make_rig()
    sitter = _sitting(rig)
    for question in range(1, 6):
        sitter.answer(question, "A")
    until(lambda: _drained(rig), what="the first draining")
    before = [event["digest"] for event in rig.coordinator.events]
    rig.coordinator.rewind(2)
    sitter.answer(6, "A")
    until(lambda: _drained(rig), what="the refill")
    assert [event["digest"] for event in rig.coordinator.events][: len(before)] == before


def test_a_restarted_client_sends_on_from_where_the_coordinator_stands(make_rig: MakeRig) -> None:
    rig = make_rig()
    sitter = _sitting(rig)
    until(lambda: _drained(rig), what="the first draining")
    rig.client.kill()
    rig.coordinator.rewind(1)
    rig.client.start()
    sitter.answer(1, "A")
    until(lambda: _drained(rig), what="the refill")
    told = rig.coordinator.incarnations
    assert [one["incarnation"] for one in told] == [1, 2]
    assert told[0]["public_key"] == told[1]["public_key"]


def test_refusals_that_pass_are_tried_again(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.coordinator.refuse = {
        "incarnation": (ProblemCode.NOT_REGISTERED, 2),
        "event": (ProblemCode.DATABASE_UNAVAILABLE, 2),
    }
    _sitting(rig)
    until(lambda: _drained(rig), what="the outbox to drain")


def test_fenced_by_the_coordinator_it_acknowledges_nothing_more(make_rig: MakeRig) -> None:
    rig = make_rig()
    sitter = _sitting(rig)
    rig.coordinator.refuse["event"] = (ProblemCode.FENCED, 1)
    sitter.answer(1, "A")
    until(lambda: rig.client.status().fenced, what="the fence")
    assert sitter.answer(2, "A").json()["code"] == "fenced"
    assert loopback.get(f"{rig.client.control_url}/healthz/ready").status_code == 503


def test_an_old_copy_of_the_volume_sends_nothing_under_known_numbers(make_rig: MakeRig) -> None:
    rig = make_rig()
    sitter = _sitting(rig)
    until(lambda: rig.coordinator.accepted >= 3, what="the events")
    rig.client.terminate()
    copy = {path: path.read_bytes() for path in rig.client.volume_dir.glob("*.db")}
    rig.client.start()
    for question in range(1, 8):
        sitter.answer(question, "A")
    until(lambda: _drained(rig), what="the second draining")
    rig.client.terminate()
    for path, data in copy.items():
        path.write_bytes(data)
    known = list(rig.coordinator.events)
    rig.client.start()
    until(lambda: "old_copy" in rig.client.log_text(), what="the alarm")
    assert rig.coordinator.events == known


def test_a_file_begun_anew_on_an_emptied_volume_serves_nobody(make_rig: MakeRig) -> None:
    """Whoever had a session is asked to wait: signing in again would lead nowhere."""
    rig = make_rig()
    sitter = _sitting(rig)
    sitter.answer(1, "A")
    until(lambda: _drained(rig), what="the events")
    rig.client.kill()
    for path in rig.client.volume_dir.iterdir():
        path.unlink()
    rig.client.start()
    until(lambda: "it was emptied or swapped" in rig.client.log_text(), what="the refusal")
    answer = sitter.answer(2, "A")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert sitter.get("/exam/progress").json()["code"] == "not_ready"
    assert not rig.client.status().ready
