"""The three images as anybody would build them: what is in them, what is not, how they start.

Looked at from inside, in pods under the restricted Pod Security standard with a read-only root.
"""

import json
from collections.abc import Iterator

import pytest

from exam_contract.version import VERSION
from tests.support.cluster import images as built
from tests.support.cluster import kubectl, script
from tests.support.cluster.api import Api, Json
from tests.support.cluster.images import Image

NAMESPACE = "images"
PARTS = {"client": "exam_client", "coordinator": "coordinator", "operator": "exam_operator"}
MOST_MEGABYTES = {"client": 150, "coordinator": 220, "operator": 220}
ELSEWHERE = {
    # What each part has no business with, beside the other parts.
    "client": ("psycopg", "sqlalchemy", "kopf", "kubernetes"),
    "coordinator": ("sqlcipher3", "kopf"),
    "operator": ("psycopg", "sqlalchemy", "sqlcipher3", "fastapi"),
}
TOOLS = ("pip", "pip3", "uv", "uvx", "gcc", "cc", "make", "ld", "git", "easy_install")
PROBE = script.ROOT / "tests" / "support" / "cluster" / "image_probe.py"


@pytest.fixture(scope="module")
def room(api: Api, images: None) -> Iterator[str]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": NAMESPACE, "labels": labels}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    for left in api.all("pods", NAMESPACE):
        api.delete("pods", left["metadata"]["name"], NAMESPACE, gracePeriodSeconds=0)
        api.wait_gone("pods", left["metadata"]["name"], NAMESPACE)
    kubectl.apply(
        *(pod for part in PARTS for pod in (bare(part), probe(part))), namespace=NAMESPACE
    )
    yield NAMESPACE
    kubectl.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="module", params=list(PARTS))
def part(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def image(part: str, images: None) -> Image:
    return built.describe(part)


@pytest.fixture(scope="module")
def inside(part: str, api: Api, room: str) -> Json:
    """What the probe found in the image."""
    ended, said = outcome(api, f"probe-{part}")
    assert ended == 0, said
    return dict(json.loads(said.splitlines()[-1]))


def test_size(part: str, image: Image) -> None:
    assert image.bytes_above_base / 10**6 <= MOST_MEGABYTES[part]


def test_it_starts_its_part_as_nobody(part: str, image: Image) -> None:
    assert image.user == "65532:65532"
    assert image.entrypoint == ["python", "-m", PARTS[part]], "exec form, so that it is PID 1"
    assert "PYTHONDONTWRITEBYTECODE" not in image.environment


def test_labels(part: str, image: Image) -> None:
    assert image.labels["org.opencontainers.image.title"] == f"medxamion-{part}"
    assert image.labels["org.opencontainers.image.version"] == VERSION
    assert len(image.labels["org.opencontainers.image.revision"]) == 40


def test_nothing_else_can_be_imported(inside: Json) -> None:
    assert inside["importable"] == []


def test_no_tool_is_left(inside: Json) -> None:
    assert inside["tools"] == []


def test_every_start_finds_its_modules_compiled(inside: Json) -> None:
    assert inside["uncompiled"] == []


def test_it_runs_as_nobody_on_a_root_that_nobody_writes(inside: Json) -> None:
    assert (inside["uid"], inside["pid"]) == (65532, 1)
    assert inside["root"] == "Read-only file system"


def test_it_knows_its_version(inside: Json) -> None:
    assert inside["version"] == VERSION


def test_without_settings_it_refuses_in_words(part: str, api: Api, room: str) -> None:
    ended, said = outcome(api, f"bare-{part}")
    assert ended == 2
    assert "MEDXAMION_" in said
    assert "Traceback" not in said


def bare(part: str) -> Json:
    """The image with nothing told."""
    return pod(f"bare-{part}", part, {})


def probe(part: str) -> Json:
    others = [name for name in PARTS.values() if name != PARTS[part]]
    absent = [*others, *ELSEWHERE[part], "examctl", "tests", "pip", "uv", "ensurepip", "setuptools"]
    told = json.dumps({"package": PARTS[part], "absent": absent, "tools": TOOLS})
    return pod(f"probe-{part}", part, {"command": ["python", "-c", PROBE.read_text(), told]})


def pod(name: str, part: str, container: Json) -> Json:
    security = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {"name": "main", "image": script.image(part), "securityContext": security}
                | container
            ],
        },
    }


def outcome(api: Api, name: str) -> tuple[int, str]:
    """Exit code and log of a pod that ends by itself."""

    def ended(found: Json) -> bool:
        return found["status"].get("phase") in ("Failed", "Succeeded")

    found = api.wait("pods", name, NAMESPACE, ended, seconds=60, what=f"pod {name} to end")
    state = found["status"]["containerStatuses"][0]["state"]["terminated"]
    return int(state["exitCode"]), kubectl.kubectl("-n", NAMESPACE, "logs", name)
