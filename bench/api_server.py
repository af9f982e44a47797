"""A bare etcd and kube-apiserver on loopback: objects, watches, CEL; nobody who runs pods.

The binaries are those of the single-node cluster (``make cluster-up`` or ``scripts/cluster.sh
prepare`` makes them).
"""

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from bench.machine import ROOT, BenchError, Process, free_ports, start

_CACHE = Path(os.environ.get("LOCALKUBE_CACHE", Path.home() / ".cache" / "localkube"))


@dataclass(frozen=True, slots=True)
class ApiServer:
    """``kubeconfig`` has every right."""

    url: str
    token: str
    kubeconfig: Path
    process: Process
    store: Process

    def cpu_seconds(self) -> float:
        """Of API server and etcd together."""
        return self.process.cpu_seconds() + self.store.cpu_seconds()

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, verify=False, timeout=60)  # noqa: S501


@contextmanager
def api_server() -> Iterator[ApiServer]:
    """Up with our CRD and a namespace ``bench``; gone with all it holds afterwards."""
    with tempfile.TemporaryDirectory(prefix="medxamion-bench-") as name:
        folder = Path(name)
        etcd_port, peer_port, port = free_ports(3)
        etcd = start(
            [_binary("etcd"), "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync",
             "--listen-client-urls", f"http://127.0.0.1:{etcd_port}",
             "--advertise-client-urls", f"http://127.0.0.1:{etcd_port}",
             "--listen-peer-urls", f"http://127.0.0.1:{peer_port}"],
            None, folder / "etcd.log",
        )  # fmt: skip
        try:
            token = secrets.token_hex(16)
            server = start(_command(folder, port, etcd_port, token), None, folder / "apiserver.log")
            try:
                yield _ready(folder, port, token, server, etcd)
            finally:
                server.kill()
        finally:
            etcd.kill()


def _command(folder: Path, port: int, etcd_port: int, token: str) -> list[str]:
    (folder / "tokens.csv").write_text(f"{token},bench,bench,system:masters\n")
    key = folder / "sa.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    return [
        _binary("kube-apiserver"), "--etcd-servers", f"http://127.0.0.1:{etcd_port}",
        "--secure-port", str(port), "--bind-address", "127.0.0.1",
        "--cert-dir", str(folder / "pki"), "--token-auth-file", str(folder / "tokens.csv"),
        "--service-account-issuer", "https://bench", "--service-account-key-file", str(key),
        "--service-account-signing-key-file", str(key),
        "--service-cluster-ip-range", "10.97.0.0/16",
        # Without controllers nobody makes ServiceAccounts, and a pod must not wait for one.
        "--disable-admission-plugins", "ServiceAccount", "--authorization-mode", "RBAC",
    ]  # fmt: skip


def _ready(folder: Path, port: int, token: str, process: Process, store: Process) -> ApiServer:
    url = f"https://127.0.0.1:{port}"
    config = folder / "kubeconfig"
    config.write_text(yaml.safe_dump(_kubeconfig(url, token)))
    found = ApiServer(url, token, config, process, store)
    with found.client() as http:
        process.wait_until(lambda: _answers(http, "/readyz"), "the API server")
        crd = yaml.safe_load((ROOT / "crds" / "examdelivery.yaml").read_text())
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        http.post(path, json=crd).raise_for_status()
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}}
        http.post("/api/v1/namespaces", json=space)
        served = "/apis/exams.medxamion.io/v1/namespaces/bench/examdeliveries"
        process.wait_until(lambda: _answers(http, served), "the CRD")
    return found


def _kubeconfig(url: str, token: str) -> dict[str, object]:
    named = {"name": "bench"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "contexts": [{**named, "context": {"cluster": "bench", "user": "bench"}}],
        "clusters": [{**named, "cluster": {"server": url, "insecure-skip-tls-verify": True}}],
        "users": [{**named, "user": {"token": token}}],
    }


def _answers(http: httpx.Client, path: str) -> bool:
    try:
        return http.get(path).is_success
    except httpx.HTTPError:
        return False


def _binary(name: str) -> str:
    path = _CACHE / "bin" / name
    if not path.exists():
        raise BenchError(f"{name} is missing; `scripts/cluster.sh prepare` makes it")
    return str(path)
