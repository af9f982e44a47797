"""What each part tells Prometheus, and what the chart's alerts and its dashboard ask of it."""

import re

from tests.support.cluster import script

_CHART = script.ROOT / "charts" / "medxamion"
_OWN = re.compile(r"\bmedxamion_(?:coordinator|operator|client)_[a-z_]+")
_TYPED = re.compile(r"^# TYPE (\S+) (\S+)$", re.M)
_SERIES = {"histogram": ("_bucket", "_count", "_sum")}


def asked_of(part: str) -> set[str]:
    """Names of series of ``coordinator``, ``operator`` or ``client``."""
    asking = [*(_CHART / "rules").glob("*.yaml"), _CHART / "files" / "dashboard.json"]
    found = {name for path in asking for name in _OWN.findall(path.read_text("utf-8"))}
    return {name for name in found if name.startswith(f"medxamion_{part}_")}


def told(text: str) -> set[str]:
    """Names of series in an exposition, also of those that have had nothing to count yet."""
    return {
        name + suffix for name, kind in _TYPED.findall(text) for suffix in _SERIES.get(kind, ("",))
    }
