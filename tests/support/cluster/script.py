"""``scripts/cluster.sh`` as the tests use it: a cluster that is up, with today's images in it.

What is missing is a failure in the script's own words, never a skip.
"""

import contextlib
import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_SCRIPT = ROOT / "scripts" / "cluster.sh"
_EXPORTED = ("KUBECONFIG", "PATH", "MEDXAMION_CLUSTER", "MEDXAMION_IMAGES", "MEDXAMION_IMAGE_TAG")
_LAST_LINES = 25


class ClusterMissing(LookupError):
    """No cluster can be had; the message says what to do."""


def bring_up() -> None:
    """A cluster, and what it offers in this process's environment. Raises ClusterMissing."""
    run("up")
    shell = f'eval "$({_SCRIPT} env)" && env -0'
    printed = subprocess.run(["bash", "-c", shell], check=True, capture_output=True).stdout
    found = dict(entry.split("=", 1) for entry in printed.decode().split("\0") if "=" in entry)
    os.environ.update({name: found[name] for name in _EXPORTED})


def bring_images() -> None:
    """The three images and the trial's PostgreSQL, built where changed. Raises ClusterMissing."""
    with alone("images"):
        run("build-images")
        run("load-images")


def provider() -> str:
    """``localkube``, ``kind`` or ``existing``."""
    return os.environ["MEDXAMION_CLUSTER"]


def image(part: str) -> str:
    """The whole name of ``client``, ``coordinator``, ``operator`` or ``postgres``."""
    return f"{os.environ['MEDXAMION_IMAGES']}/{part}:{os.environ['MEDXAMION_IMAGE_TAG']}"


@contextlib.contextmanager
def alone(what: str) -> Iterator[None]:
    """One run of tests at a time does that on this machine; the others wait."""
    with (Path(tempfile.gettempdir()) / f"medxamion-cluster-{what}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def image_content(part: str) -> str:
    """What tells one image of that name from the next."""
    return run("image-content", part).strip()


def run(*words: str, program: Path = _SCRIPT) -> str:
    """What a script prints. Raises ClusterMissing with its last lines."""
    return call(str(program), *words)


def call(*words: str) -> str:
    """What a program prints. Raises ClusterMissing with its last lines."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        told = (done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:]
        named = " ".join([Path(words[0]).name, *words[1:]])[:200]
        raise ClusterMissing("\n".join([f"{named} failed:", *told]))
    return done.stdout
