"""What a cluster does by itself beside running pods: claims are bound, Services get ports.

Also clean-up: claims are held while a pod uses them, and what lost its owner goes.
"""

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.fake_store import Store, rfc3339

Json = dict[str, Any]
Issue = Callable[[tuple[str, ...]], Mapping[str, str]]
_CLAIMS = "persistentvolumeclaims"
_PROTECTION = "kubernetes.io/pvc-protection"
_FIRST_NODE_PORT = 30_000


class FakeControllers:
    """``binds``: whether volumes can be made; else why not is told in an Event."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.binds = True
        self.issue: Issue | None = None
        """What cert-manager would: a Secret's data for names; it owns no Secret that it fills."""
        self._ports = itertools.count(_FIRST_NODE_PORT)

    def turn(self) -> None:
        """One step of everything."""
        for service in self.store.listed("services"):
            self._give_a_port(service)
        for certificate in self.store.listed("certificates"):
            self._issue(certificate)
        for claim in self.store.listed(_CLAIMS):
            if claim["status"]["phase"] == "Pending":
                self._bind(claim)
            if "deletionTimestamp" in claim["metadata"]:
                self._release(claim)
        self.store.collect_garbage()

    def _issue(self, certificate: Json) -> None:
        spec, namespace = certificate["spec"], certificate["metadata"]["namespace"]
        name = spec["secretName"]
        if self.issue is None or self.store.find("secrets", namespace, name) is not None:
            return
        hosts = (*spec["dnsNames"], *spec["ipAddresses"])
        meta = {"name": name, **spec.get("secretTemplate", {})}
        self.store.create("secrets", namespace, {"metadata": meta, "data": self.issue(hosts)})

    def _give_a_port(self, service: Json) -> None:
        meta, spec = service["metadata"], service["spec"]
        if spec.get("type") == "NodePort" and "nodePort" not in spec["ports"][0]:
            change = functools.partial(_set_port, port=next(self._ports))
            self.store.edit("services", meta["namespace"], meta["name"], change)

    def _bind(self, claim: Json) -> None:
        meta = claim["metadata"]
        if self.binds:
            self.store.edit(_CLAIMS, meta["namespace"], meta["name"], _set_bound)
            return
        name = f"{meta['name']}.warned"
        if self.store.find("events", meta["namespace"], name) is None:
            event = {
                "metadata": {"name": name},
                "involvedObject": {"uid": meta["uid"], "kind": "PersistentVolumeClaim"},
                "type": "Warning",
                "reason": "ProvisioningFailed",
                "message": 'storageclass.storage.k8s.io "fast" not found',
                "lastTimestamp": rfc3339(self.store.now()),
            }
            self.store.create("events", meta["namespace"], event)

    def _release(self, claim: Json) -> None:
        meta = claim["metadata"]
        pods = self.store.listed("pods", meta["namespace"])
        held = meta.get("finalizers") or []
        if _PROTECTION in held and not any(meta["name"] in claims_of(pod) for pod in pods):
            self.store.edit(_CLAIMS, meta["namespace"], meta["name"], _unprotect)


def claims_of(pod: Json) -> set[str]:
    """Names of the claims that a pod mounts."""
    return {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }


def _set_port(service: Json, *, port: int) -> None:
    service["spec"]["ports"][0]["nodePort"] = port


def _set_bound(claim: Json) -> None:
    claim["status"] = {"phase": "Bound"}


def _unprotect(claim: Json) -> None:
    meta = claim["metadata"]
    meta["finalizers"] = [one for one in meta["finalizers"] if one != _PROTECTION]
