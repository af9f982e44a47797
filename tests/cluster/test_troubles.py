"""What the platform can't give or somebody takes away: said in words soon, and mended by itself.

A lost key half alone does not mend itself: it is said, and the exam goes on.
"""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509

from exam_contract.delivery import FINALIZER, Phase
from exam_operator.adapters.certificates import LIFETIME, Authority
from examctl.commands.exam import upload
from tests.support.cluster import exam_day, objects
from tests.support.cluster.api import Api, Json
from tests.support.cluster.exam_day import Imported
from tests.support.cluster.installation import OPERATOR_NAMESPACE, Installation
from tests.support.cluster.objects import Delivery
from tests.support.cluster.proof import SAID, Proof, Scenario
from tests.support.waiting import until

NAME = "troubles"
MACHINE_SECONDS = 5
"""On top of what is promised: node, API server, PostgreSQL and this test share two cores, and what
the kubelet and the scheduler find out first is not the operator's to hasten."""
SAID_WITHIN = SAID.first + MACHINE_SECONDS

pytestmark = pytest.mark.timeout(600)


class Said:
    """How soon Degraded says what was put wrong, for the proof."""

    def __init__(self, proof: Proof) -> None:
        self._proof = proof
        self.from_now()

    def from_now(self) -> None:
        self._began = time.monotonic()

    def wait(self, delivery: Delivery, words: str, trouble: str) -> None:
        """Return once it is said."""

        def told() -> bool:
            found = delivery.raw().get("status", {}).get("conditions", [])
            messages = [one["message"] for one in found if one["type"] == "Degraded"]
            return any(words in message for message in messages)

        left = self._began + SAID_WITHIN - time.monotonic()
        until(told, seconds=left, what=f"Degraded to say {words!r}", pause_seconds=0.2)
        seconds = round(time.monotonic() - self._began, 1)
        row = Scenario(f"{trouble}: said", NAME, 1, (seconds,), SAID)
        self._proof.scenarios.append(row)


@pytest.fixture
def said(proof: Proof, room: None) -> Said:
    return Said(proof)


@pytest.fixture(scope="module")
def imported(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    folder = tmp_path_factory.mktemp("troubles")
    return exam_day.bring_exam(installed, folder, name=NAME, participants=2)


@pytest.fixture(autouse=True)
def room(api: Api, namespace: str) -> Iterator[None]:
    """A small node has no room for many."""
    yield
    objects.discard_all(api, [namespace])


def test_a_storage_class_that_is_not_there(
    api: Api, namespace: str, imported: Imported, said: Said
) -> None:
    spec = {"storage": {"size": "64Mi", "className": "made-later"}}
    delivery = _apply(api, namespace, "no-class", imported, spec)

    said.wait(delivery, "made-later", "no such storage class")

    with _storage_class(api, "made-later"):
        _wait_well(delivery)


def test_a_storage_class_that_gives_no_volume(
    api: Api, namespace: str, imported: Imported, said: Said
) -> None:
    parts = {"provisioner": "nobody.example.org/none", "volumeBindingMode": "Immediate"}
    api.create("storageclasses", {"metadata": {"name": "gives-nothing"}, **parts})
    try:
        spec = {"storage": {"size": "64Mi", "className": "gives-nothing"}}
        delivery = _apply(api, namespace, "no-volume", imported, spec)
        said.wait(delivery, "unbound immediate PersistentVolumeClaims", "volume can't be bound")
    finally:
        api.delete("storageclasses", "gives-nothing")


def test_an_exam_version_that_is_imported_later(
    api: Api, namespace: str, imported: Imported, installed: Installation, said: Said
) -> None:
    exam = imported.document.exam.model_copy(update={"version": f"later-{uuid4().hex[:8]}"})
    later = replace(imported, document=imported.document.model_copy(update={"exam": exam}))
    delivery = _apply(api, namespace, "no-exam", later)

    said.wait(delivery, "import it first", "no such exam version")

    with installed.coordinator() as coordinator:
        upload(coordinator, later.document)
    _wait_well(delivery)


def test_an_image_that_is_nowhere(api: Api, namespace: str, imported: Imported, said: Said) -> None:
    spec = {"client": {"image": "localhost/no/such:image"}}
    delivery = _apply(api, namespace, "no-image", imported, spec)

    said.wait(delivery, "correct spec.client.image", "image can't be pulled")

    delivery.change({"client": {"image": None}})
    _wait_well(delivery)


def test_a_quota_that_is_used_up(api: Api, namespace: str, imported: Imported, said: Said) -> None:
    quota = {"metadata": {"name": "none-left"}, "spec": {"hard": {"pods": "0"}}}
    api.create("resourcequotas", quota, namespace)
    try:
        delivery = _apply(api, namespace, "no-quota", imported)
        said.wait(delivery, "exceeded quota: none-left", "quota used up")
    finally:
        api.delete("resourcequotas", "none-left", namespace)

    _wait_well(delivery)


def test_keys_that_are_deleted_and_put_back(
    api: Api, namespace: str, imported: Imported, said: Said
) -> None:
    delivery = _running(api, namespace, "no-keys", imported)
    name, before = delivery.children, delivery.running()
    kept = api.get("secrets", name, namespace)

    said.from_now()
    api.delete("secrets", name, namespace)
    said.wait(delivery, "is being deleted; keep a copy", "keys deleted")
    assert FINALIZER in api.get("secrets", name, namespace)["metadata"]["finalizers"]
    api.merge("secrets", name, {"metadata": {"finalizers": None}}, namespace)
    said.from_now()
    api.wait_gone("secrets", name, namespace)
    said.wait(delivery, "the delivery's keys are gone", "keys gone")
    said.from_now()
    api.create("secrets", _altered(kept), namespace)
    said.wait(delivery, "restore the first", "keys altered")
    assert delivery.running() == before, "the running exam-client goes on"

    api.merge("secrets", name, {"metadata": {"finalizers": None}}, namespace)
    api.delete("secrets", name, namespace)
    api.wait_gone("secrets", name, namespace)
    api.create("secrets", _as_new(kept), namespace)
    delivery.wait_condition("Degraded", "False", seconds=SAID_WITHIN)
    assert delivery.running() == before


def test_a_certificate_that_ended_is_made_anew(
    api: Api, namespace: str, imported: Imported, tmp_path: Path
) -> None:
    delivery = _running(api, namespace, "old-certificate", imported)
    name, before = f"{delivery.children}-tls", delivery.running()
    held = api.get("secrets", "medxamion-ca", OPERATOR_NAMESPACE)["data"]
    for part in ("ca.crt", "ca.key"):
        (tmp_path / part).write_bytes(base64.b64decode(held[part]))
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    # Seconds after the authority began, which was minutes ago, this one's time was over.
    issued_at = authority.not_valid_before_utc + timedelta(seconds=5) - LIFETIME
    ended = Authority(tmp_path).issue((delivery.children,), issued_at)
    data = {part: base64.b64encode(text).decode() for part, text in ended.items()}

    api.merge("secrets", name, {"data": data}, namespace)

    def renewed() -> bool:
        text = base64.b64decode(api.get("secrets", name, namespace)["data"]["tls.crt"])
        return x509.load_pem_x509_certificate(text).not_valid_after_utc > datetime.now(UTC)

    until(renewed, seconds=90, what="the certificate to be made anew", pause_seconds=0.2)
    until(
        lambda: "CertificateExpired" in _reasons(api, delivery),
        seconds=SAID_WITHIN,
        what="the end of the certificate to be told",
    )
    delivery.wait_condition("Ready")
    assert delivery.running() == before


def _apply(
    api: Api, namespace: str, name: str, imported: Imported, spec: Json | None = None
) -> Delivery:
    return objects.apply_example(
        *(api, namespace, name),
        exam=imported.exam,
        roster=imported.roster,
        participants=2,
        spec=spec,
    )


def _running(api: Api, namespace: str, name: str, imported: Imported) -> Delivery:
    delivery = _apply(api, namespace, name, imported)
    _wait_well(delivery)
    return delivery


def _wait_well(delivery: Delivery) -> None:
    delivery.wait_phase(Phase.RUNNING)
    delivery.wait_condition("Ready")
    delivery.wait_condition("Degraded", "False")


def _reasons(api: Api, delivery: Delivery) -> set[str]:
    """Of the Events about the object; a condition may be over before anybody looks."""
    about = f"involvedObject.uid={delivery.uid}"
    found = api.all("events", delivery.namespace, fieldSelector=about)
    return {str(one["reason"]) for one in found}


def _as_new(kept: Json) -> Json:
    """A Secret that can be created again."""
    meta = {part: kept["metadata"][part] for part in ("name", "labels", "finalizers")}
    return {"metadata": meta, "type": kept["type"], "immutable": True, "data": kept["data"]}


def _altered(kept: Json) -> Json:
    other = base64.b64encode(b"\x07" * 32).decode()
    return _as_new(kept) | {"data": kept["data"] | {"storage.key": other}}


@contextmanager
def _storage_class(api: Api, name: str) -> Iterator[None]:
    """A class of that name, as the cluster's default one is."""
    found = api.all("storageclasses")
    mark = "storageclass.kubernetes.io/is-default-class"
    default = next(
        one for one in found if one["metadata"].get("annotations", {}).get(mark) == "true"
    )
    parts = ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode")
    made = {part: default[part] for part in parts if part in default}
    api.create("storageclasses", {"metadata": {"name": name}, **made})
    try:
        yield
    finally:
        api.delete("storageclasses", name)
