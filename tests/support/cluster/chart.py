"""The chart rendered without a cluster's help, over values that tests choose."""

import json

from tests.support.cluster import script

CHART = script.ROOT / "charts" / "medxamion"
# A helm built from source knows no newer Kubernetes when it renders without a cluster.
_KUBERNETES = "1.34.0"


def rendered(*values: str, namespace: str) -> str:
    """The manifests. Raises ClusterMissing with what helm said instead."""
    return script.call(
        *("helm", "template", "medxamion", str(CHART), "--namespace", namespace),
        *("--kube-version", _KUBERNETES, *values),
    )


def lint(*values: str) -> str:
    """What `helm lint` says. Raises ClusterMissing where it finds an error."""
    return script.call("helm", "lint", "--strict", str(CHART), *values)


def setting(**values: object) -> list[str]:
    """Words for helm; a double underscore is a dot."""
    return [
        word
        for name, value in values.items()
        for word in ("--set-json", f"{name.replace('__', '.')}={json.dumps(value)}")
    ]


TRIAL = setting(coordinator__publicUrl="https://exams.example.org", postgresql__trial__enabled=True)
"""The fewest values that render."""
