"""What reaches an exam-client's log, and so its pod's status: never the message of an error."""

import json
import subprocess
import sys

_PROGRAM = """
import asyncio
import logging
import structlog
from pydantic import BaseModel
from exam_client.services import logs

class Row(BaseModel):
    points: int

logs.configure("INFO")
try:
    Row.model_validate({"points": "the text of an answer"})
except ValueError:
    structlog.get_logger("x").exception("request_broke", path="/exam/answer")
    logging.getLogger("asyncio").exception("never retrieved")

async def broken():
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(nobody())

async def nobody():
    raise KeyError("the name of a person")

asyncio.run(broken())
"""


def test_errors_are_told_by_kind_and_place_alone() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "answer" not in ran.stderr.replace("/exam/answer", "")
    assert "person" not in ran.stderr
    first, library, *last = ran.stderr.splitlines()
    assert "pydantic_core._pydantic_core.ValidationError" in json.loads(first)["exception"]
    assert library == "never retrieved"
    assert "builtins.KeyError" in last
