"""A forwarded port lives as long as it is used, and what kubectl says is told."""

import os
import signal
import sys
from pathlib import Path

import pytest

from examctl.errors import UnreachableError
from examctl.kubectl import forwarding
from examctl.kubectl.cluster import Cluster
from examctl.kubectl.forwarding import forwarded
from tests.support.kubectl_cluster import KubectlCluster

FORWARDS = """
open({notes!r}, "w").write(" ".join(sys.argv[1:]) + f"\\n{{os.getpid()}}")
print("Forwarding from 127.0.0.1:4321 -> 9235", flush=True)
signal.pause()
"""
REFUSES = """
print('error: pods "exam-u" not found', file=sys.stderr)
sys.exit(1)
"""
SILENT = "signal.pause()\n"


@pytest.fixture
def here(tmp_path: Path) -> Cluster:
    kubeconfig = KubectlCluster("http://127.0.0.1:9").kubeconfig(tmp_path)
    return Cluster.connect(kubeconfig, "here", None)


def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> Path:
    """A ``kubectl`` on the PATH that does this; where it notes its words and its pid."""
    notes, program = tmp_path / "notes", tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    body = does.format(notes=str(notes)) if "{notes" in does else does
    program.write_text(f"#!{sys.executable}\nimport os, signal, sys\n{body}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return notes


def test_the_way_is_open_while_it_is_used(
    here: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = kubectl(tmp_path, monkeypatch, FORWARDS)
    with forwarded(here, "exam-u", 9235) as place:
        assert place == "127.0.0.1:4321"
        words, pid = notes.read_text().splitlines()
        os.kill(int(pid), 0)
    assert words.split() == [
        "port-forward",
        "--namespace=exams",
        f"--kubeconfig={tmp_path / 'kubeconfig'}",
        "--context=here",
        "--address=127.0.0.1",
        "pod/exam-u",
        ":9235",
    ]
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_one_that_does_not_end_is_ended(
    here: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" + FORWARDS.replace(
        "signal.pause()", "\nwhile True: signal.pause()"
    )
    notes = kubectl(tmp_path, monkeypatch, deaf)
    monkeypatch.setattr(forwarding, "STOP_SECONDS", 0.1)
    with forwarded(here, "exam-u", 9235):
        pid = int(notes.read_text().splitlines()[1])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def test_what_kubectl_says_is_told(
    here: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl(tmp_path, monkeypatch, REFUSES)
    with pytest.raises(UnreachableError, match='pods "exam-u" not found'):
        forwarded(here, "exam-u", 9235).__enter__()


def test_silence_has_an_end(here: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl(tmp_path, monkeypatch, SILENT)
    monkeypatch.setattr(forwarding, "SECONDS", 0.2)
    with pytest.raises(UnreachableError, match="said nothing"):
        forwarded(here, "exam-u", 9235).__enter__()


def test_without_kubectl_another_way_is_named(
    here: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UnreachableError) as refused:
        forwarded(here, "exam-u", 9235).__enter__()
    assert "--address" in str(refused.value.hint)
