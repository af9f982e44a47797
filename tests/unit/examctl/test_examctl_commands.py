"""Commands as a person runs them: what they ask the coordinator, what they say, how they exit."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examctl.main import run
from tests.support.recorded_coordinator import Recorded, recorded_coordinator
from tests.support.transferred import coordinator_audit

BARE = 'Which?,"a, with comma",b,c,d,A\r\n'
ROSTER = "identifier,name,email\r\nMX1,Zoë,z@example.org\r\nMX2,Åsa,a@example.org\r\n"
CODES = {
    "roster_id": "r1",
    "participants": [
        {"identifier": "MX1", "access_code": "one", "takeover_codes": ["x", "y"]},
        {"identifier": "MX2", "access_code": "two", "takeover_codes": []},
    ],
}
DELIVERIES = {"items": [{"id": 4, "name": "morning"}, {"id": 5, "name": "evening"}], "next": None}
OUTCOME = {"action_id": "a", "applied": [1, 2], "skipped": {"3": "not started"}, "seq": 9}


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[Recorded]:
    with recorded_coordinator(tmp_path) as recorded:
        yield recorded


@pytest.fixture
def exam(tmp_path: Path) -> Path:
    path = tmp_path / "small.csv"
    path.write_bytes(BARE.encode())
    return path


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_bytes(ROSTER.encode())
    return path


def test_validate_says_what_is_in_an_exam(exam: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exam", "validate", str(exam), "--output", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["exam_id"], said["items"], said["types"]) == ("small", 1, {"single_best": 1})
    assert said["content_digest"].startswith("sha256:")


@pytest.mark.parametrize(
    "arguments",
    [
        ["exam", "validate", "missing.csv"],
        ["roster", "import", "missing.csv"],
        ["simulate", "--delivery", "1", "--codes", "missing.csv", "--ledger", "x"],
        ["verify", "--ledger", "missing.jsonl"],
        ["demo", "--exam", "missing.json"],
        ["demo-samples", "missing"],
        ["delivery", "extend", "1", "--reason", "x"],
        ["delivery", "extend", "1", "-r", "x", "--closes-at", "soon", "--url", "http://x"],
        ["exam", "import"],
    ],
)
def test_wrong_usage_exits_2_in_words(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err
    assert "Traceback" not in said.err


def test_an_exam_is_imported_whole(
    coordinator: Recorded, exam: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator.replies["POST /api/exams"] = (201, {})
    assert run(["exam", "import", str(exam), *coordinator.options(), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["created"] is True
    ((method, path, body),) = coordinator.asked
    assert (method, path) == ("POST", "/api/exams")
    assert body["exam"]["items"][0]["options"][0]["text"] == "a, with comma"


def test_the_same_exam_again_changes_nothing(
    coordinator: Recorded, exam: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator.replies["POST /api/exams"] = (200, {})
    assert run(["exam", "import", str(exam), *coordinator.options()]) == 0
    assert "was imported before" in capsys.readouterr().out


def test_a_refusal_is_told_with_its_places(
    coordinator: Recorded, exam: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = [{"row": 3, "field": "email", "message": "taken"}]
    refusal = {"title": "A field is wrong", "detail": "look", "code": "x", "errors": errors}
    coordinator.replies["POST /api/exams"] = (422, refusal)
    assert run(["exam", "import", str(exam), *coordinator.options()]) == 3
    said = capsys.readouterr().err
    assert "A field is wrong: look" in said
    assert "row 3, email: taken" in said


@pytest.mark.parametrize(
    ("status", "body", "exit_code"),
    [
        (503, {"title": "The database does not answer", "code": "database_unavailable"}, 4),
        (500, b"oops", 4),
        (409, {"title": "This version exists with other content", "code": "version_in_use"}, 3),
    ],
)
def test_what_the_coordinator_says_decides_the_exit_code(
    coordinator: Recorded, exam: Path, status: int, body: Any, exit_code: int
) -> None:
    coordinator.replies["POST /api/exams"] = (status, body)
    assert run(["exam", "import", str(exam), *coordinator.options()]) == exit_code


def test_nobody_there_exits_4(
    exam: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    options = ["--url", "http://127.0.0.1:9", "--token-file", str(token)]
    assert run(["exam", "import", str(exam), *options]) == 4
    assert "nobody answers at http://127.0.0.1:9" in capsys.readouterr().err


def test_a_wrong_token_is_told(
    coordinator: Recorded, exam: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator.token_file.write_text("other")
    assert run(["exam", "import", str(exam), *coordinator.options()]) == 3
    assert "--token-file" in capsys.readouterr().err


def test_a_flawed_exam_is_never_sent(coordinator: Recorded, exam: Path) -> None:
    exam.write_bytes(BARE.encode() + b"cut,off\r\n")
    assert run(["exam", "import", str(exam), *coordinator.options()]) == 2
    assert coordinator.asked == []


def test_codes_are_written_once_and_private(
    coordinator: Recorded, roster: Path, tmp_path: Path
) -> None:
    coordinator.replies["POST /api/rosters"] = (201, CODES)
    codes = tmp_path / "people.codes.csv"
    assert run(["roster", "import", str(roster), *coordinator.options()]) == 0
    assert stat.S_IMODE(codes.stat().st_mode) == 0o600
    assert codes.read_text().splitlines() == [
        "identifier,access_code,takeover_codes",
        "MX1,one,x y",
        "MX2,two,",
    ]
    assert coordinator.asked[0][2]["entries"][0]["name"] == "Zoë"
    assert run(["roster", "import", str(roster), *coordinator.options()]) == 2
    assert len(coordinator.asked) == 1


def test_a_refused_roster_leaves_no_codes_file(
    coordinator: Recorded, roster: Path, tmp_path: Path
) -> None:
    coordinator.replies["POST /api/rosters"] = (409, {"title": "It exists", "code": "conflict"})
    assert run(["roster", "import", str(roster), *coordinator.options()]) == 3
    assert not (tmp_path / "people.codes.csv").exists()


def test_a_dry_run_asks_and_writes_nothing(
    coordinator: Recorded, roster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator.replies["POST /api/rosters"] = (200, {"dry_run": True})
    assert run(["roster", "import", str(roster), "--dry-run", *coordinator.options()]) == 0
    assert coordinator.asked[0][1] == "/api/rosters?dry_run=true"
    assert not (tmp_path / "people.codes.csv").exists()
    assert "Nothing imported" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["finalise", "rollback", "restart"])
def test_a_verb_names_delivery_and_reason(coordinator: Recorded, verb: str) -> None:
    coordinator.replies["GET /api/deliveries"] = (200, DELIVERIES)
    coordinator.replies[f"POST /api/deliveries/5/{verb}"] = (200, {"id": 5})
    arguments = ["delivery", verb, "evening", "--reason", "why", *coordinator.options()]
    assert run(arguments) == 0
    assert coordinator.asked[-1][2] == {"reason": "why"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["pause", "4"], {"kind": "pause"}),
        (["resume", "4", "-p", "1", "-p", "2"], {"kind": "resume", "participant_ids": [1, 2]}),
        (["extend", "4", "--minutes", "5"], {"kind": "grant_time", "seconds": 300}),
    ],
)
def test_an_action_goes_to_the_exam_client(
    coordinator: Recorded,
    arguments: list[str],
    expected: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    coordinator.replies["POST /api/deliveries/4/actions"] = (200, OUTCOME)
    assert run(["delivery", *arguments, "-r", "why", *coordinator.options()]) == 0
    body = coordinator.asked[0][2]
    assert len(body.pop("action_id")) == 36
    assert body == {**expected, "reason": "why"}
    assert "participant 3: not started" in capsys.readouterr().out


def test_the_window_is_extended_to_a_time_in_utc(coordinator: Recorded) -> None:
    coordinator.replies["POST /api/deliveries/4/extend"] = (200, {"id": 4})
    arguments = ["extend", "4", "--closes-at", "2030-01-15T12:00:00+02:00", "-r", "why"]
    assert run(["delivery", *arguments, *coordinator.options()]) == 0
    assert coordinator.asked[0][2]["closes_at"] == "2030-01-15T10:00:00.000000Z"


def test_an_unknown_delivery_is_told(
    coordinator: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator.replies["GET /api/deliveries"] = (200, DELIVERIES)
    assert run(["delivery", "pause", "noon", "-r", "x", *coordinator.options()]) == 3
    assert "no delivery named noon" in capsys.readouterr().err


def test_results_are_exported_privately_and_never_over_a_file(
    coordinator: Recorded, tmp_path: Path
) -> None:
    coordinator.replies["GET /api/deliveries/4/results"] = (200, b"a,b\r\n1,2\r\n")
    target = tmp_path / "results.csv"
    arguments = ["results", "export", "4", "-f", str(target), *coordinator.options()]
    assert run(arguments) == 0
    assert target.read_bytes() == b"a,b\r\n1,2\r\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert run(arguments) == 2


def test_a_failed_export_leaves_no_file(coordinator: Recorded, tmp_path: Path) -> None:
    target = tmp_path / "results.csv"
    assert run(["results", "export", "4", "-f", str(target), *coordinator.options()]) == 3
    assert not target.exists()


def test_the_audit_chain_is_recomputed_here(
    coordinator: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = coordinator_audit(3)
    coordinator.replies["GET /api/audit"] = (200, {"items": entries, "next": None})
    assert run(["audit", "verify", *coordinator.options()]) == 0
    assert "3 entries" in capsys.readouterr().out
    entries[1]["actor"] = "staff:2"
    assert run(["audit", "verify", *coordinator.options()]) == 1
    assert "entry 2 was altered" in capsys.readouterr().err


def test_a_database_that_does_not_answer_exits_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = tmp_path / "l.jsonl"
    ledger.write_text('{"kind": "begin", "delivery_id": 1, "format": 1}\n')
    dsn = "postgresql://nobody@127.0.0.1:9/none"
    assert run(["verify", "--ledger", str(ledger), "--database-url", dsn]) == 4
    assert run(["audit", "verify", "--database-url", dsn]) == 4
    assert "PostgreSQL:" in capsys.readouterr().err
