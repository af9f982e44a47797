"""kubectl as people use it: what it prints, and what it says when it is refused."""

import contextlib
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.waiting import until

Json = dict[str, Any]


class Refused(Exception):
    """kubectl ended with an error; the message is what it said."""


def kubectl(*words: str, stdin: str | None = None) -> str:
    """What kubectl prints. Raises Refused."""
    done = subprocess.run(
        ["kubectl", *words], input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Refused(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def read(*words: str) -> Any:
    """What kubectl prints as JSON."""
    return json.loads(kubectl(*words, "-o", "json"))


def apply(*documents: Json, namespace: str | None = None, server_side: bool = False) -> None:
    """``kubectl apply --validate=strict``. Raises Refused."""
    words = ["apply", "--validate=strict", "-f", "-"]
    words += ["--server-side", "--force-conflicts"] if server_side else []
    words += ["-n", namespace] if namespace else []
    kubectl(*words, stdin=in_one(*documents))


def apply_crd(path: Path) -> None:
    """The CRD as the chart would own it, and return once it is served. Raises Refused."""
    document = yaml.safe_load(path.read_text())
    document["metadata"] |= {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "helm.sh/resource-policy": "keep",
            "meta.helm.sh/release-name": "medxamion",
            "meta.helm.sh/release-namespace": "medxamion",
        },
    }
    apply(document, server_side=True)
    named = document["metadata"]["name"]
    kubectl("wait", "--for=condition=Established", f"crd/{named}", "--timeout=30s")
    # Established comes before the storage is there.
    until(lambda: _is_served(named), seconds=30, what=f"{named} to be served", pause_seconds=0.2)


def _is_served(plural: str) -> bool:
    try:
        return kubectl("get", plural, "-A", "-o", "name") is not None
    except Refused:
        return False


def in_one(*documents: Json) -> str:
    """Several objects as one document for kubectl's standard input."""
    if len(documents) == 1:
        return json.dumps(documents[0])
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)})


@contextlib.contextmanager
def proxied() -> Iterator[str]:
    """URL of a ``kubectl proxy``: the API server with whatever credentials kubectl has."""
    with _running(["kubectl", "proxy", "--port=0"], r"127\.0\.0\.1:([0-9]+)") as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def forwarded(namespace: str, target: str, port: int) -> Iterator[int]:
    """The local port of a ``kubectl port-forward`` to ``target`` (pod/NAME or svc/NAME)."""
    words = ["kubectl", "-n", namespace, "port-forward", target, f":{port}"]
    with _running(words, r"127\.0\.0\.1:([0-9]+) ->") as local:
        yield int(local)


@contextlib.contextmanager
def executing(namespace: str, pod: str, *program: str) -> Iterator[None]:
    """A program in a pod's container, for the while; its standard input stays open."""
    words = ["kubectl", "-n", namespace, "exec", "-i", pod, "--", *program]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def _running(words: list[str], ready: str) -> Iterator[str]:
    """What the first group of ``ready`` finds in what a process prints; ends it afterwards.

    It prints to a file: a pipe that nobody reads would fill, and stop it.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(words, stdout=said, stderr=subprocess.STDOUT)

        def told() -> re.Match[str] | None:
            said.seek(0)
            text = said.read()
            if process.poll() is not None:
                raise Refused(text.strip())
            return re.search(ready, text)

        try:
            found = until(told, seconds=20, what=f"{words} to be ready", pause_seconds=0.05)
            assert found is not None
            yield found.group(1)
        finally:
            process.kill()
            process.wait()
