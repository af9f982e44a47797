"""A backup of a live exam-client over TLS: sealed, whole, restorable, and an exam that goes on."""

import base64
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from examctl.kubectl import app
from tests.support import client_process
from tests.support import kubectl_objects as objects
from tests.support.certificates import LOOPBACK, Issuer, shown
from tests.support.client_process import Rig
from tests.support.cut_line import cut_line
from tests.support.kubectl_cluster import KubectlCluster, kubectl_cluster
from tests.support.waiting import until

ANSWERED = 6


@dataclass
class Live:
    """A delivery that people sit, and the cluster that holds its objects."""

    rig: Rig
    cluster: KubectlCluster
    issuer: Issuer

    @property
    def uid(self) -> str:
        return self.rig.client.uid

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.rig.client.control_port}"

    @property
    def storage_key(self) -> Path:
        return self.rig.client.secret_dir / "storage.key"

    def put_objects(self) -> None:
        """As the operator made them."""
        held = {path.name: path.read_bytes() for path in self.rig.client.secret_dir.iterdir()}
        self.cluster.put(objects.delivery(uid=self.uid))
        self.cluster.put(objects.pod(self.uid))
        self.cluster.put(objects.secret(f"exam-{self.uid}", held, self.uid))
        self.put_authority(self.issuer)

    def put_authority(self, issuer: Issuer) -> None:
        name = f"exam-{self.uid}-tls"
        self.cluster.put(objects.secret(name, {"ca.crt": issuer.pem}, self.uid))


@dataclass
class Here:
    """Somebody at a terminal, in a folder of their own."""

    live: Live
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        self.kubeconfig = self.live.cluster.kubeconfig(self.folder)
        assert app.run(["keygen", "-f", str(self.key), "-o", "json"]) == 0
        self.public = json.loads(self.capsys.readouterr().out)["public_key"]
        self.kept = set(os.listdir(self.folder))

    @property
    def key(self) -> Path:
        return self.folder / "key.txt"

    @property
    def file(self) -> Path:
        return self.folder / "backup.age"

    def export(self, *more: str, address: str | None = None) -> int:
        words = ["export", "morning", "-f", str(self.file), "-r", self.public]
        place = ["--address", address or self.live.address]
        return app.run([*words, *place, *more, "--kubeconfig", str(self.kubeconfig)])

    def open(self, *more: str) -> int:
        return app.run(["open", str(self.file), "-i", str(self.key), *more])

    def told(self) -> Any:
        return json.loads(self.capsys.readouterr().out)

    def nothing_new(self) -> bool:
        return set(os.listdir(self.folder)) == self.kept


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    issuer = Issuer()
    rig = client_process.rig(tmp_path_factory.mktemp("live"), issuer, participants=20)
    names = (*LOOPBACK, f"exam-{rig.client.uid}.exams.svc")
    issuer.folder(rig.client.tls_dir, names)
    with kubectl_cluster() as cluster:
        rig.client.start_ready(bundle=rig.bundle)
        sitter = rig.sitter(1)
        sitter.begin()
        for item in range(1, ANSWERED + 1):
            assert sitter.answer(item, "A").status_code == 200
        yield Live(rig, cluster, issuer)
        rig.close()


@pytest.fixture
def here(live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Here:
    live.put_objects()
    return Here(live, tmp_path, capsys)


def test_a_backup_is_restorable_and_the_exam_goes_on(here: Here, live: Live) -> None:
    assert here.export("--with-key", "-o", "json") == 0
    exported = here.told()
    assert exported["delivery_uid"] == live.uid
    assert exported["bytes"] == here.file.stat().st_size
    assert stat.S_IMODE(here.file.stat().st_mode) == 0o600
    assert here.open("-o", "json") == 0
    proven = here.told()
    assert proven["database_sha256"] == exported["database_sha256"]
    assert proven["export"]["name"] == "morning"
    held, counts = live.rig.client.status().counts, proven["counts"]
    assert (counts["participants"], counts["attempts_open"]) == (20, held.open)
    assert (counts["answers"], counts["answer_revisions"]) == (held.answers, held.revisions)
    sitter = live.rig.sitter(2)
    sitter.begin()
    assert sitter.answer(1, "B").status_code == 200


def test_without_the_secrets_half_nobody_reads_it(here: Here, live: Live) -> None:
    assert here.export() == 0
    assert here.open() == 2
    assert "was not opened" in here.capsys.readouterr().err
    assert here.open("--storage-key", str(live.storage_key)) == 0
    answers = live.rig.client.status().counts.answers
    assert f"{answers} answers" in here.capsys.readouterr().out
    text = here.folder / "half.txt"
    text.write_bytes(base64.b64encode(live.storage_key.read_bytes()))
    assert here.open("--storage-key", str(text)) == 0


def test_what_is_on_the_disk_is_sealed(here: Here, live: Live) -> None:
    assert here.export("--with-key") == 0
    sealed = here.file.read_bytes()
    volume_half = (live.rig.client.volume_dir / "volume.key").read_bytes()
    for secret in (volume_half, live.storage_key.read_bytes(), b"volume.key", b"delivery.db"):
        assert secret not in sealed


def test_a_file_is_never_overwritten(here: Here) -> None:
    here.file.write_text("mine")
    assert here.export() == 2
    assert here.file.read_text() == "mine"


@pytest.mark.parametrize("after_bytes", [0, 3000, 30_000, 90_000])
def test_a_line_that_is_cut_leaves_nothing(here: Here, live: Live, after_bytes: int) -> None:
    with cut_line(live.rig.client.control_port, after_bytes) as address:
        assert here.export(address=address) == 4
    assert here.nothing_new()
    assert here.export() == 0


def test_who_is_not_this_delivery_gets_no_key(here: Here, live: Live) -> None:
    live.put_authority(Issuer())
    assert here.export() == 3
    assert "not this delivery's exam-client" in here.capsys.readouterr().err
    assert here.nothing_new()


def _until_shown(live: Live, serial: int) -> None:
    place = ("127.0.0.1", live.rig.client.control_port)
    until(lambda: shown(place).serial_number == serial, what="the certificate to be shown")


def _serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


def test_a_neighbours_certificate_is_not_enough(here: Here, live: Live, tmp_path: Path) -> None:
    """Signed by the same authority, but for another delivery's name."""
    tls = live.rig.client.tls_dir
    kept = {path.name: path.read_bytes() for path in tls.iterdir()}
    other = live.issuer.folder(tls, (*LOOPBACK, "exam-another.exams.svc"))
    _until_shown(live, other.serial_number)
    try:
        assert here.export() == 3
        assert "not this delivery's exam-client" in here.capsys.readouterr().err
    finally:
        for name, content in kept.items():
            (tls / name).write_bytes(content)
        _until_shown(live, _serial(kept["tls.crt"]))


def test_an_altered_control_key_is_told(here: Here, live: Live) -> None:
    secret = live.cluster.objects["secrets", "exams", f"exam-{live.uid}"]
    secret["data"]["control.key"] = base64.b64encode(b"another").decode()
    assert here.export() == 3
    assert "refuses the control key" in here.capsys.readouterr().err
    assert here.nothing_new()


def test_a_secret_without_its_half_is_not_sealed_in_with_key(here: Here, live: Live) -> None:
    secret = live.cluster.objects["secrets", "exams", f"exam-{live.uid}"]
    secret["data"]["storage.key"] = base64.b64encode(b"short").decode()
    assert here.export("--with-key") == 1
    assert here.nothing_new()


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere", "a b:1", "127.0.0.1:"])
def test_an_address_that_leads_nowhere(here: Here, address: str) -> None:
    assert here.export(address=address) in (2, 4)
    assert here.nothing_new()


def test_a_missing_secret_is_told(here: Here, live: Live) -> None:
    live.cluster.remove("secrets", "exams", f"exam-{live.uid}")
    assert here.export() == 1
    assert f"Secret exam-{live.uid} of the delivery is not there" in here.capsys.readouterr().err


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        (None, "there is no pod"),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, "is not running: Running, CrashLoopBackOff"),
    ],
)
def test_a_pod_that_does_not_run_is_told(
    here: Here, live: Live, pod: dict[str, Any] | None, says: str
) -> None:
    if pod is None:
        live.cluster.remove("pods", "exams", f"exam-{live.uid}")
    else:
        live.cluster.put(objects.pod(live.uid, pod))
    words = ["export", "morning", "-f", str(here.file), "-r", here.public]
    assert app.run([*words, "--kubeconfig", str(here.kubeconfig)]) == 4
    assert says in here.capsys.readouterr().err
    assert here.nothing_new()


def test_the_way_through_kubectl(
    here: Here, live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport signal\n"
        f'print("Forwarding from {live.address} -> 9235", flush=True)\nsignal.pause()\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    words = ["export", "morning", "-f", str(here.file), "-r", here.public, "--with-key"]
    assert app.run([*words, "--kubeconfig", str(here.kubeconfig)]) == 0
    assert here.open() == 0


def test_the_report_has_the_exam_clients_own_view(here: Here, live: Live) -> None:
    words = ["report", "morning", "--address", live.address, "-o", "json"]
    assert app.run([*words, "--kubeconfig", str(here.kubeconfig)]) == 0
    said = here.capsys.readouterr().out
    view = json.loads(said)["exam_client"]
    assert view["counts"]["answers"] >= ANSWERED
    assert view["mode"] == "run"
    assert live.rig.client.control_key not in said
    assert not re.search(r"Person Number", said)
