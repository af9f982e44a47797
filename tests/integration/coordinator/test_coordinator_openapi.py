"""The OpenAPI documents against the process: whatever fits or nearly fits them never breaks it."""

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok

from exam_contract.problems import Problem
from tests.support import loopback, ports
from tests.support.coordinator_process import process, until_ready
from tests.support.waiting import PATIENCE_SECONDS

_EXAMPLES = 4
# Kept for people who are signed in: cases with the token of an admin reach behind every door.
_TOKEN = "t" * 32


@pytest.mark.parametrize("door", ["PORT", "INTERNAL_PORT"])
def test_generated_requests_get_a_reply_that_fits(tmp_path: Path, pg_dsn: str, door: str) -> None:
    doors = {name: ports.one() for name in ("PORT", "INTERNAL_PORT", "METRICS_PORT")}
    for name in ("cli.token", "operator.key"):
        (tmp_path / name).write_text(_TOKEN)
    places = {
        "CLI_TOKEN_FILE": str(tmp_path / "cli.token"),
        "OPERATOR_KEY_FILE": str(tmp_path / "operator.key"),
    }
    numbers = {name: str(port) for name, port in doors.items()}
    with process(tmp_path, pg_dsn, **numbers, **places):
        until_ready(doors["METRICS_PORT"])
        base = f"http://127.0.0.1:{doors[door]}"
        headers = {
            "Authorization": f"Bearer {_TOKEN}",
            "X-Delivery-Uid": "unknown",
            "X-Pod-Uid": "pid:1",
        }
        document = loopback.get(f"{base}/openapi.json", headers=headers).json()
        broken = try_all(document, base, headers)
    assert broken == []


def try_all(document: dict[str, object], base: str, headers: dict[str, str]) -> list[str]:
    """What came back wrong, of every operation."""
    schema = schemathesis.openapi.from_dict(document)
    broken: list[str] = []
    tried = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=_EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def attempt(case: Any) -> None:
            reply = case.call(base_url=base, headers=headers, timeout=PATIENCE_SECONDS)
            wrong = judge(reply.status_code, reply.headers, reply.content)
            if wrong:
                broken.append(f"{case.method} {case.formatted_path}: {wrong}")

        attempt()
        tried += 1
    assert tried > 5
    return broken


def judge(status: int, headers: dict[str, list[str]], content: bytes) -> str | None:
    """503 is an answer (no exam-client, no objects here); 500 never is."""
    if status == 500:
        return "500"
    if status >= 400:
        media = headers.get("content-type", ["none"])[0]
        if media != "application/problem+json":
            return f"{status} as {media}"
        if Problem.model_validate(json.loads(content)).status != status:
            return f"{status} with another status inside"
    return None
