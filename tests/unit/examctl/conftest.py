"""Fixtures for the kubectl plugin: a cluster's API as a person sees it, and its command line."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examctl.kubectl import app
from tests.support.kubectl_cluster import KubectlCluster, kubectl_cluster


@pytest.fixture
def cluster() -> Iterator[KubectlCluster]:
    with kubectl_cluster() as cluster:
        yield cluster


@pytest.fixture
def run(cluster: KubectlCluster, tmp_path: Path) -> Callable[..., int]:
    """``kubectl exam`` with these words, in the cluster's namespace ``exams``; the exit code."""
    kubeconfig = str(cluster.kubeconfig(tmp_path))

    def run(*arguments: str) -> int:
        return app.run([*arguments, "--kubeconfig", kubeconfig])

    return run
