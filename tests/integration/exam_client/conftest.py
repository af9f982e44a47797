"""One delivery with a real exam-client process and a fake coordinator, per test or per module."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import client_process
from tests.support.certificates import Issuer
from tests.support.client_process import Rig

MakeRig = Callable[..., Rig]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    """Makes rigs below the test's folder, and ends what they started."""
    made: list[Rig] = []

    def make(**bundle_members: Any) -> Rig:
        made.append(client_process.rig(tmp_path / f"rig-{len(made)}", **bundle_members))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    """A certificate authority for deliveries over https."""
    return Issuer()


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB of its own (the tests run as root where they run in CI)."""
    folder = tmp_path / "rig" / "volume"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A delivery that runs; tests of a module share it, each with participants of its own."""
    rig = client_process.rig(tmp_path_factory.mktemp("running"), participants=60)
    rig.client.start_ready(bundle=rig.bundle)
    yield rig
    rig.close()
