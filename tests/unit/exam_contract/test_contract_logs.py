"""What reaches any part's log, and so a pod's status: never the message of an error."""

import json
import subprocess
import sys

import pytest

_PROGRAM = """
import structlog
from pydantic import BaseModel

class Row(BaseModel):
    points: int

try:
    Row.model_validate({"points": "the text of an answer"})
except ValueError:
    structlog.get_logger("x").exception("request_broke", path="/exam/answer")
try:
    raise ExceptionGroup("of a person", [KeyError("the name of a person")])
except ExceptionGroup:
    structlog.get_logger("x").exception("group_broke")
"""
_OF_LIBRARIES = """
import asyncio
import logging

try:
    raise ValueError("the text of an answer")
except ValueError:
    logging.getLogger("asyncio").exception("never retrieved")
"""
_UNCAUGHT = """
async def broken():
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(nobody())

async def nobody():
    raise KeyError("the name of a person")

asyncio.run(broken())
"""
_COORDINATOR = "from coordinator.adapters import logs\nlogs.configure('INFO')\n"
_OTHERS = "from exam_contract.logs import log_json\nlog_json('INFO')\n"


def lines(*program: str, code: int = 0) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", "".join(program)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == code, ran.stderr
    assert "answer" not in ran.stderr.replace("/exam/answer", "")
    assert "person" not in ran.stderr
    return ran.stderr.splitlines()


@pytest.mark.parametrize("configure", [_COORDINATOR, _OTHERS])
def test_our_errors_are_told_by_kind_and_place_alone(configure: str) -> None:
    first, second = (json.loads(line)["exception"] for line in lines(configure, _PROGRAM))
    assert "pydantic_core._pydantic_core.ValidationError" in first
    assert second[0] == "builtins.ExceptionGroup"
    assert "builtins.KeyError" in second, "the parts of a group, too"


@pytest.mark.parametrize("configure", [_COORDINATOR, _OTHERS])
def test_errors_that_libraries_log_are_told_like_ours(configure: str) -> None:
    told = "\n".join(lines(configure, _OF_LIBRARIES))
    assert "never retrieved" in told
    assert "builtins.ValueError" in told


@pytest.mark.parametrize("configure", [_COORDINATOR, _OTHERS])
def test_the_last_words_of_a_process_are_of_the_same_kind(configure: str) -> None:
    """They become part of its pod's status."""
    assert "builtins.KeyError" in lines(configure, _OF_LIBRARIES, _UNCAUGHT, code=1)
