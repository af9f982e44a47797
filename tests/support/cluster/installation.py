"""MedXamion in the cluster by its chart, and the doors to it that tests use."""

import base64
import contextlib
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import httpx

from examctl.coordinator_api import Coordinator
from tests.support.cluster import kubectl, script
from tests.support.cluster.api import Api
from tests.support.waiting import until

Json = dict[str, Any]
NAMESPACE = "medxamion"
OPERATOR_NAMESPACE = "medxamion-operator"
DELIVERY_NAMESPACES = ("exams", "exams-a", "exams-b", "exams-c", "exams-d", "exams-e")
"""Looked after by the operator; a module of tests takes one, so that modules stay apart."""
NODE_PORT = 30_043
_LONGEST_UPGRADE = timedelta(minutes=6)
_TOKEN_SECRET = "medxamion-e2e-token"
_VALUES = script.ROOT / "tests" / "cluster" / "values.yaml"
_CHART = script.ROOT / "charts" / "medxamion"
_DEPLOYMENTS = (
    (NAMESPACE, "medxamion-coordinator", "coordinator"),
    (OPERATOR_NAMESPACE, "medxamion-operator", "operator"),
)


@dataclass(frozen=True)
class Installation:
    """A release that is up."""

    api: Api
    public_host: str

    @property
    def url(self) -> str:
        """The coordinator's public door."""
        return f"https://{self.public_host}:{NODE_PORT}"

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """The chart's certificate authority."""
        return authority(self.api)

    @cached_property
    def token(self) -> str:
        """An API token of an administrator; made once per installation and kept in a Secret."""
        held = self.api.find("secrets", _TOKEN_SECRET, NAMESPACE)
        return _secret(held, "token").decode() if held else self._first_token()

    def coordinator(self) -> Coordinator:
        """A signed-in connection; close it."""
        return Coordinator(self.url, self.token, trust=self.trust)

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """DSN of the cluster's PostgreSQL, forwarded to this machine for the while."""
        held = self.api.get("secrets", "medxamion-postgresql", NAMESPACE)
        password = _secret(held, "password").decode()
        with kubectl.forwarded(NAMESPACE, "svc/medxamion-postgresql", 5432) as port:
            yield f"postgresql://medxamion:{password}@127.0.0.1:{port}/medxamion?sslmode=require"

    def scale(self, namespace: str, deployment: str, replicas: int) -> None:
        """Pods up to ``replicas``, or down to none, and return when it is so."""
        self.api.merge("deployments", deployment, {"spec": {"replicas": replicas}}, namespace)
        if replicas:
            roll_out(namespace, deployment)
            return
        selector = f"app.kubernetes.io/name={deployment.removeprefix('medxamion-')}"
        until(
            lambda: not self.api.all("pods", namespace, labelSelector=selector),
            seconds=120,
            what=f"the pods of {deployment} to be gone",
            pause_seconds=0.2,
        )

    @contextlib.contextmanager
    def without_coordinator(self) -> Iterator[None]:
        """Neither coordinators nor PostgreSQL, for the while."""
        found = self.api.get("deployments", "medxamion-coordinator", NAMESPACE)
        replicas = int(found["spec"]["replicas"])
        try:
            self.scale(NAMESPACE, "medxamion-coordinator", 0)
            self._scale_database(0)
            yield
        finally:
            self._scale_database(1)
            self.scale(NAMESPACE, "medxamion-coordinator", replicas)

    def _scale_database(self, replicas: int) -> None:
        name, change = "medxamion-postgresql", {"spec": {"replicas": replicas}}
        self.api.merge("statefulsets", name, change, NAMESPACE)
        self.api.wait(
            *("statefulsets", name, NAMESPACE),
            lambda found: found["status"].get("availableReplicas", 0) == replicas,
            seconds=180,
            what=f"PostgreSQL to have {replicas} pods",
        )

    def operator_down(self) -> None:
        self.scale(OPERATOR_NAMESPACE, "medxamion-operator", 0)

    def operator_up(self) -> None:
        self.scale(OPERATOR_NAMESPACE, "medxamion-operator", 1)

    def _first_token(self) -> str:
        """Become the first administrator as NOTES says, and make an API token."""
        link = self.api.get("secrets", "medxamion-bootstrap", NAMESPACE)
        account = {
            "token": _secret(link, "token").decode(),
            "username": "e2e",
            "display_name": "End to end",
            "password": "only in a cluster for tests",
        }
        with httpx.Client(base_url=self.url, verify=self.trust, timeout=30) as browser:
            reply = browser.post("/api/first-admin", json=account, headers={"Origin": self.url})
            assert reply.status_code == 201, reply.text
            headers = {"X-CSRF-Token": reply.json()["csrf_token"], "Origin": self.url}
            made = browser.post("/api/tokens", json={"label": "end to end"}, headers=headers)
            assert made.status_code == 201, made.text
        token = str(made.json()["token"])
        secret = {
            "metadata": {"name": _TOKEN_SECRET},
            "stringData": {"token": token},
        }
        self.api.create("secrets", secret, NAMESPACE)
        return token


def authority(api: Api) -> ssl.SSLContext:
    """The chart's certificate authority as it is now."""
    held = api.get("secrets", "medxamion-ca", OPERATOR_NAMESPACE)
    return ssl.create_default_context(cadata=_secret(held, "ca.crt").decode())


def install(api: Api) -> Installation:
    """Install or upgrade the release with the values for tests. Raises ClusterMissing."""
    host = os.environ.get("MEDXAMION_E2E_PUBLIC_HOST", "127.0.0.1")
    registry, _, repository = os.environ["MEDXAMION_IMAGES"].rpartition("/")
    settings = {
        "image.registry": registry,
        "image.tag": os.environ["MEDXAMION_IMAGE_TAG"],
        "coordinator.publicUrl": f"https://{host}:{NODE_PORT}",
        "coordinator.service.nodePort": str(NODE_PORT),
        "operator.publicHost": host,
        "postgresql.trial.image": script.image("postgres"),
        "deliveryNamespaces": "{" + ",".join(DELIVERY_NAMESPACES) + "}",
    }
    assert repository == "medxamion", "the chart's images are named medxamion/..."
    with script.alone("install"):
        _upgrade(api, settings)
    return Installation(api, host)


def _upgrade(api: Api, settings: dict[str, str]) -> None:
    _forget_interrupted(api)
    chosen = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    _mend_release(api)
    helm("upgrade", "--install", "medxamion", str(_CHART), "-n", NAMESPACE, "--create-namespace",
         "--values", str(_VALUES), *chosen, "--timeout", "5m")  # fmt: skip
    for namespace, deployment, part in _DEPLOYMENTS:
        _run_todays_image(api, namespace, deployment, part)
        roll_out(namespace, deployment)


def change_values(values: dict[str, str]) -> None:
    """Upgrade the release by some values; all others stay. Raises ClusterMissing."""
    chosen = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    words = ("upgrade", "medxamion", str(_CHART), "-n", NAMESPACE, "--reuse-values", "--no-hooks")
    helm(*words, *chosen)


def _forget_interrupted(api: Api) -> None:
    """Helm refuses for ever after a run that was killed; old notes of one are taken away."""
    pending = "owner=helm,name=medxamion,status in (pending-install,pending-upgrade)"
    long_ago = datetime.now(UTC) - _LONGEST_UPGRADE
    for note in api.all("secrets", NAMESPACE, labelSelector=pending):
        if datetime.fromisoformat(note["metadata"]["creationTimestamp"]) < long_ago:
            api.delete("secrets", note["metadata"]["name"], NAMESPACE)


def _mend_release(api: Api) -> None:
    """A removal that was killed in the middle leaves a release that helm won't upgrade."""
    found = api.all("secrets", NAMESPACE, labelSelector="owner=helm,name=medxamion")
    states = [one["metadata"]["labels"]["status"] for one in found]
    if states and "deployed" not in states:
        helm("rollback", "medxamion", "-n", NAMESPACE, "--no-hooks")


def helm(*words: str) -> str:
    """What helm prints. Raises ClusterMissing with what it said instead."""
    return script.call("helm", *words)


def roll_out(namespace: str, deployment: str) -> None:
    """Return once all pods are of the newest template and ready."""
    name = f"deployment/{deployment}"
    kubectl.kubectl("-n", namespace, "rollout", "status", name, "--timeout=240s")


def _run_todays_image(api: Api, namespace: str, deployment: str, part: str) -> None:
    """The tag stays the same when the image changes; the template tells the difference."""
    annotations = {"medxamion.io/tested-image": script.image_content(part)}
    change = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    api.merge("deployments", deployment, change, namespace)


def _secret(held: Json, key: str) -> bytes:
    return base64.b64decode(held["data"][key])
