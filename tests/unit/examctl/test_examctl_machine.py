"""What `up` is told, what it refuses in words, and how its objects are shown."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from exam_contract.delivery import ExamDeliveryStatus, Phase
from examctl import object_views
from examctl.errors import ExamctlError, RefusedError, UnreachableError, UnreadableInputError
from examctl.machine import home, options
from examctl.runtime import Runtime, resolve_home
from tests.support import deliveries


@pytest.mark.parametrize(
    ("said", "ports"), [("8235-8999", (8235, 8999)), ("20000-20000", (20_000, 20_000))]
)
def test_a_range_of_ports(said: str, ports: tuple[int, int]) -> None:
    assert options.parse_ports(said) == ports


def test_two_doors_never_share_a_port() -> None:
    options.check_distinct({"--port": 8080, "--edge-port": 8234, "--postgres-port": None})
    with pytest.raises(UnreadableInputError, match="--port and --metrics-port are both 8080"):
        options.check_distinct({"--port": 8080, "--edge-port": 8234, "--metrics-port": 8080})


@pytest.mark.parametrize("said", ["8235", "8999-8235", "a-b", "80-90", "60000-65000", "-", ""])
def test_what_is_no_range_of_ports(said: str) -> None:
    with pytest.raises(UnreadableInputError, match="client-ports"):
        options.parse_ports(said)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("", None),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql://u@h/d"),
        ("host=h dbname=d", "host=h dbname=d"),
    ],
)
def test_database_url(monkeypatch: pytest.MonkeyPatch, given: str, taken: str | None) -> None:
    monkeypatch.setenv("DATABASE_URL", given)
    assert options.given_database_url() == taken


def test_a_home_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExamctlError, match="can't be written") as refused:
        home.prepare(tmp_path / "file" / "home")
    assert "--home" in refused.value.hint if refused.value.hint else False


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "_BYTES_NEEDED", 2**60)
    with pytest.raises(ExamctlError, match="is full"):
        home.prepare(tmp_path / "home")


def test_a_home_has_one_owner(tmp_path: Path) -> None:
    with home.owned(tmp_path):
        assert home.is_owned(tmp_path)
        with pytest.raises(RefusedError, match=f"process {os.getpid()}"), home.owned(tmp_path):
            pass
    assert not home.is_owned(tmp_path)


def test_secrets_are_drawn_once_and_private(tmp_path: Path) -> None:
    home.prepare(tmp_path)
    home.ensure_secrets(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
    home.ensure_secrets(tmp_path)
    assert {path: path.read_bytes() for path in (tmp_path / "secrets").iterdir()} == before
    assert {path.stat().st_mode & 0o777 for path in before} == {0o600}
    assert len(set(before.values())) == len(before)


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="nothing runs"):
        Runtime.load(tmp_path)


def test_a_damaged_runtime_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "runtime.json").write_text('{"home": ')
    with pytest.raises(UnreadableInputError, match="damaged"):
        Runtime.load(tmp_path)


def test_the_home_is_named_by_flag_then_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXAMION_HOME", str(tmp_path / "environment"))
    assert resolve_home() == tmp_path / "environment"
    assert resolve_home(tmp_path / "flag") == tmp_path / "flag"


def shown(renderable: object) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def test_the_table_has_the_printer_columns() -> None:
    status = ExamDeliveryStatus(phase=Phase.RECOVERING, resume_phase=Phase.RUNNING)
    stored = deliveries.delivery().model_copy(update={"status": status})
    later = deliveries.NOON + timedelta(minutes=3)
    heading, row, *_ = shown(object_views.table([stored], wide=True, now=later)).splitlines()
    assert heading.split() == [
        *("NAME", "EXAM", "PHASE", "READY", "PARTICIPANTS", "ACKED", "RESTARTS", "AGE"),
        *("NODE", "EPOCH", "TRANSFER", "PVC"),
    ]
    assert "Recovering (Running)" in row
    assert " 3m " in row


def test_a_description_tells_window_and_address() -> None:
    text = shown(object_views.description(deliveries.delivery()))
    assert "2026-01-15 11:59:00 UTC to 2026-01-15 14:00:00 UTC" in text
    assert "sample version 1" in text


@pytest.mark.parametrize(
    ("seconds", "age"), [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (86_400, "1d")]
)
def test_age(seconds: int, age: str) -> None:
    later = deliveries.NOON + timedelta(seconds=seconds)
    assert object_views.age(deliveries.NOON, later) == age
