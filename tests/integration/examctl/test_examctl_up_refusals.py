"""`up` that can't start says why, names the mend, and leaves nothing running."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.one_machine import OneMachine, one_machine


@pytest.fixture
def machine(open_folder: Path) -> Iterator[OneMachine]:
    with one_machine(open_folder / "home") as made:
        yield made


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port: int = other.getsockname()[1]
        yield port


@pytest.mark.parametrize("flag", ["--port", "--internal-port", "--metrics-port", "--edge-port"])
def test_a_taken_port_is_named_with_its_flag(
    machine: OneMachine, taken_port: int, flag: str
) -> None:
    done = machine.run("up", *machine.ports(), flag, str(taken_port))
    assert done.code == 1
    assert f"port {taken_port}" in done.err
    assert flag in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("port", ["0", "65536", "-1", "high"])
def test_what_is_no_port_is_wrong_usage(machine: OneMachine, port: str) -> None:
    done = machine.run("up", *machine.ports(), "--metrics-port", port)
    assert done.code == 2
    assert "--metrics-port" in done.err


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody:wrong@127.0.0.1:1/nothing",
        "postgresql://nobody@no-such-host.invalid/nothing",
        "nonsense",
    ],
)
def test_a_wrong_database_url_is_told(machine: OneMachine, url: str) -> None:
    machine.environment["DATABASE_URL"] = url
    done = machine.run("up", *machine.ports())
    assert done.code == 4
    assert "DATABASE_URL" in done.err
    assert "Traceback" not in done.err


def test_a_home_below_a_file_is_told(machine: OneMachine) -> None:
    machine.home.parent.mkdir(exist_ok=True)
    machine.home.write_text("")
    done = machine.run("up", *machine.ports())
    assert done.code == 1
    assert "can't be written" in done.err


def test_commands_without_up_say_how_to_start(machine: OneMachine) -> None:
    for command in (("get",), ("describe", "morning"), ("delete", "morning")):
        done = machine.run(*command)
        assert done.code == 4
        assert "examctl up" in done.err


def test_apply_reads_the_file_before_it_looks_for_a_service(machine: OneMachine) -> None:
    done = machine.run("apply", "-f", "-", stdin="kind: [")
    assert done.code == 2
    assert "line 1" in done.err


def test_down_without_anything_says_so(machine: OneMachine) -> None:
    assert machine.run("down").code == 4
