"""Fixtures of the coordinator's tests: one over a database of its own per test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.coordinator_rig import Rig, coordinator_rig
from tests.support.fake_exam_client import FakeExamClient
from tests.support.served import served


@pytest.fixture
async def rig(pg_dsn: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with coordinator_rig(pg_dsn, tmp_path) as opened:
        yield opened


@pytest.fixture
async def client() -> AsyncIterator[tuple[FakeExamClient, str]]:
    """A fake exam-client and its address."""
    fake = FakeExamClient()
    async with served(fake.app) as address:
        yield fake, f"http://{address}"
