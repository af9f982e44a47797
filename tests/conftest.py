"""Fixtures for every test: a real PostgreSQL, a real browser, and room for server files.

What is missing is a failure that says how to get it, never a skip.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from examctl.postgres_errors import PostgresError
from tests.support import chromium, postgres


def pytest_configure(config: pytest.Config) -> None:
    if not is_worker(config):
        postgres.open_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not is_worker(config) and postgres.RUN in os.environ:
        postgres.close_run()


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.fixture(scope="session")
def pg_server() -> str:
    """DSN of the run's PostgreSQL, with the right to create databases."""
    try:
        return postgres.server_dsn()
    except PostgresError as error:
        pytest.fail(f"These tests need a PostgreSQL. {error}", pytrace=False)


@pytest.fixture
def pg_dsn(pg_server: str) -> Iterator[str]:
    """DSN of a fresh, migrated database that is this test's alone."""
    with postgres.fresh_database(pg_server) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """The browser's program; start it with tests.support.chromium.ARGUMENTS."""
    try:
        return chromium.find_chromium()
    except LookupError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that other uids may pass through, unlike pytest's tmp_path."""
    folder = Path(tempfile.mkdtemp(prefix="medxamion-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
