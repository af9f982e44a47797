"""Fixtures for tests that need a real cluster.

They bring it up, build and load the images where something changed, and install the chart. What is
missing is a failure that says how to get it, never a skip.
"""

import os
import signal
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.cluster import installation, kubectl, objects, script
from tests.support.cluster.api import Api
from tests.support.cluster.installation import DELIVERY_NAMESPACES, Installation
from tests.support.cluster.proof import Proof

T = TypeVar("T")
CRD = script.ROOT / "crds" / "examdelivery.yaml"


_PROOF = pytest.StashKey[Proof]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_PROOF] = Proof()
    # Ended from outside, tests still put back what they took down.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    found = config.stash[_PROOF]
    if not found.is_empty:
        terminalreporter.section("recovery")
        terminalreporter.write_line("\n".join(found.lines()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = os.environ.get("MEDXAMION_PROOF")
    found = session.config.stash[_PROOF]
    if folder and not found.is_empty:
        found.write(Path(folder))


@pytest.fixture(scope="session")
def proof(pytestconfig: pytest.Config) -> Proof:
    """Where tests put what they measured."""
    return pytestconfig.stash[_PROOF]


@pytest.fixture(scope="session")
def cluster() -> None:
    """A cluster that answers; kubectl and helm of this process talk to it."""
    _in_words(script.bring_up)


@pytest.fixture(scope="session")
def api(cluster: None) -> Iterator[Api]:
    """The API server's objects."""
    with kubectl.proxied() as url:
        api = Api(url)
        yield api
        api.close()


@pytest.fixture(scope="session")
def crd(cluster: None) -> None:
    """The generated CRD, taken by the API server; a release that is installed later adopts it."""
    _in_words(lambda: kubectl.apply_crd(CRD))


@pytest.fixture(scope="session")
def images(cluster: None) -> None:
    """Today's images, where the nodes find them."""
    _in_words(script.bring_images)


@pytest.fixture(scope="session")
def installed(api: Api, images: None) -> Installation:
    """The chart's release with two coordinators, the operator and a PostgreSQL."""
    return _in_words(lambda: installation.install(api))


@pytest.fixture(scope="module")
def namespace(request: pytest.FixtureRequest, installed: Installation, api: Api) -> Iterator[str]:
    """A namespace for one module's deliveries; what tests leave in it is discarded."""
    # By the module's name, so that two people who share a cluster rarely meet.
    number = zlib.crc32(request.module.__name__.encode()) % (len(DELIVERY_NAMESPACES) - 1)
    one = DELIVERY_NAMESPACES[1 + number]
    objects.discard_all(api, [one])
    yield one
    objects.discard_all(api, [one])


def _in_words(find: Callable[[], T]) -> T:
    """What `find` finds, or a failure that is the sentence about the mend and nothing else."""
    try:
        return find()
    except (script.ClusterMissing, kubectl.Refused) as error:
        sentence = str(error)
    pytest.fail(sentence, pytrace=False)
