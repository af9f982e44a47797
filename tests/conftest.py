"""Fixtures for every test: a real PostgreSQL, a real browser, and room for server files.

What is missing is a failure that says how to get it, never a skip.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest

from examctl.postgres_errors import PostgresError
from tests.support import chromium, postgres

T = TypeVar("T")

# A slow machine is no failure: times belong to bench/. The gate tries the same examples each time,
# so that what fails there was broken by the change; --hypothesis-profile=explore draws new ones.
PATIENT: dict[str, Any] = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [hypothesis.HealthCheck.too_slow],
}
hypothesis.settings.register_profile("medxamion", derandomize=True, **PATIENT)
hypothesis.settings.register_profile("explore", **PATIENT)
hypothesis.settings.load_profile("medxamion")


def pytest_configure(config: pytest.Config) -> None:
    if not is_worker(config):
        postgres.open_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not is_worker(config) and postgres.RUN in os.environ:
        postgres.close_run()


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def in_words(find: Callable[[], T]) -> T:
    """What `find` finds, or a failure that is the sentence about the mend and nothing else."""
    try:
        return find()
    except (PostgresError, LookupError) as error:
        sentence = str(error)
    pytest.fail(sentence, pytrace=False)


@pytest.fixture(scope="session")
def pg_server() -> str:
    """DSN of the run's PostgreSQL, with the right to create databases."""
    return in_words(postgres.server_dsn)


@pytest.fixture
def pg_dsn(pg_server: str) -> Iterator[str]:
    """DSN of a fresh, migrated database that is this test's alone."""
    with postgres.fresh_database(pg_server) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """The browser's program; start it with tests.support.chromium.ARGUMENTS."""
    return in_words(chromium.find_chromium)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that other uids may pass through, unlike pytest's tmp_path."""
    folder = Path(tempfile.mkdtemp(prefix="medxamion-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
