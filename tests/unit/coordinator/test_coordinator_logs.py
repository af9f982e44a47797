"""What reaches the log of a process: kinds and places, never the message of an error."""

import json
import subprocess
import sys

_PROGRAM = """
import logging
import structlog
from coordinator.adapters import logs

logs.configure("INFO")
try:
    try:
        raise KeyError("name of a person")
    except KeyError as error:
        raise ValueError("text of an answer") from error
except ValueError as error:
    structlog.get_logger("x").error("failed", exc_info=error, delivery_id=7)
    logging.getLogger("uvicorn").exception("failed too")
"""


def test_errors_are_logged_by_kind_and_place_alone() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert "person" not in ran.stderr
    assert "answer" not in ran.stderr
    entries = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [entry["event"] for entry in entries] == ["failed", "failed too"]
    for entry in entries:
        assert "builtins.ValueError" in entry["exception"]
        assert "builtins.KeyError" in entry["exception"]
