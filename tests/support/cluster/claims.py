"""A volume claim that somebody deleted, made anew over its volume as docs/kubernetes.md says."""

from exam_contract.delivery import FINALIZER
from tests.support.cluster.api import Api

_OURS = "medxamion.io/"


def make_anew(api: Api, namespace: str, name: str) -> None:
    """Another claim of that name holds the same PersistentVolume."""
    held = api.get("persistentvolumeclaims", name, namespace)
    meta, volume = held["metadata"], held["spec"]["volumeName"]
    policy = api.get("persistentvolumes", volume)["spec"]["persistentVolumeReclaimPolicy"]
    _reclaim(api, volume, "Retain")
    api.merge("persistentvolumeclaims", name, {"metadata": {"finalizers": None}}, namespace)
    api.wait_gone("persistentvolumeclaims", name, namespace)
    api.merge("persistentvolumes", volume, {"spec": {"claimRef": None}})
    notes = {key: text for key, text in meta["annotations"].items() if key.startswith(_OURS)}
    kept = {"name": name, "labels": meta["labels"], "annotations": notes}
    claim = {"metadata": {**kept, "finalizers": [FINALIZER]}, "spec": held["spec"]}
    api.create("persistentvolumeclaims", claim, namespace)
    api.wait(
        *("persistentvolumeclaims", name, namespace),
        lambda found: found.get("status", {}).get("phase") == "Bound",
        seconds=60,
        what=f"claim {name} to be bound again",
    )
    _reclaim(api, volume, policy)


def _reclaim(api: Api, volume: str, policy: str) -> None:
    api.merge("persistentvolumes", volume, {"spec": {"persistentVolumeReclaimPolicy": policy}})
