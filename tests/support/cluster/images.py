"""What a built image is, as its builder tells it."""

import json
from dataclasses import dataclass

from tests.support.cluster import script

_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True)
class Image:
    """``bytes_above_base``: unpacked, rounded to the builder's own precision."""

    user: str
    entrypoint: list[str]
    labels: dict[str, str]
    environment: dict[str, str]
    bytes_above_base: int


def describe(part: str) -> Image:
    """The image of ``client``, ``coordinator`` or ``operator``."""
    builder, name = script.run("builder").strip(), script.image(part)
    base = script.run("base-image").strip()
    if builder == "docker":
        found = json.loads(script.call("docker", "image", "inspect", name))[0]["Config"]
        size = _docker_size(name) - _docker_size(base)
    else:
        told = script.call("buildah", "inspect", "--type", "image", name)
        found = json.loads(told)["OCIv1"]["config"]
        size = _buildah_size(name) - _buildah_size(base)
    environment = dict(entry.split("=", 1) for entry in found["Env"])
    return Image(found["User"], found["Entrypoint"], found["Labels"], environment, size)


def _docker_size(name: str) -> int:
    return int(script.call("docker", "image", "inspect", "--format", "{{.Size}}", name))


def _buildah_size(name: str) -> int:
    number, unit = json.loads(script.call("buildah", "images", "--json", name))[0]["size"].split()
    return int(float(number) * _UNITS[unit])
