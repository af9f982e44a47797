"""What ``examctl up`` was asked for, frozen."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exam_contract.canonical import digest
from examctl import postgres_binaries
from examctl.errors import UnreadableInputError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Options:
    """Ports 0 to 65535; ``host`` is where people connect, everything else stays on loopback."""

    home: Path
    host: str = LOOPBACK
    public_host: str | None = None
    port: int = 8080
    internal_port: int = 8081
    metrics_port: int = 9090
    edge_port: int = 8234
    first_client_port: int = 8235
    last_client_port: int = 8999
    postgres_port: int | None = None
    database_url: str | None = None

    @property
    def public_name(self) -> str:
        """The host name in every URL that a browser gets."""
        if self.public_host:
            return self.public_host
        return LOOPBACK if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared

    @property
    def coordinator_url(self) -> str:
        return f"http://{self.public_name}:{self.port}"

    @property
    def internal_url(self) -> str:
        return f"http://{LOOPBACK}:{self.internal_port}"

    @property
    def metrics_url(self) -> str:
        return f"http://{LOOPBACK}:{self.metrics_port}"

    @property
    def edge_url(self) -> str:
        return f"http://{LOOPBACK}:{self.edge_port}"

    @property
    def instance(self) -> str:
        """Sets this home's cookies apart from those of another home on the same host."""
        return digest(str(self.home)).removeprefix("sha256:")[:8]


def postgres_folder(home: Path) -> Path:
    """Inside the home; in the system's folder where the server's own uid can't reach the home."""
    if postgres_binaries.reachable(home, postgres_binaries.server_uid()):
        return home / "postgres"
    name = digest(str(home)).removeprefix("sha256:")[:12]
    return postgres_binaries.SYSTEM_FOLDER / "clusters" / name


def check_distinct(ports: Mapping[str, int | None]) -> None:
    """Flags and their ports. Raises UnreadableInputError where two flags name one port."""
    taken: dict[int, str] = {}
    for flag, port in ports.items():
        if port is None:
            continue
        if port in taken:
            raise UnreadableInputError(
                f"{taken[port]} and {flag} are both {port}", "give each a port of its own"
            )
        taken[port] = flag


def parse_ports(text: str) -> tuple[int, int]:
    """``8235-8999``. Raises UnreadableInputError in words."""
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit()):
        raise UnreadableInputError(
            f"--client-ports {text} is no range", "give first-last, for example 8235-8999"
        )
    if not 1024 <= int(first) <= int(last) <= 64_535:
        raise UnreadableInputError(
            f"--client-ports {text} is out of bounds",
            "use ports from 1024 to 64535: each control port lies 1000 above its public one",
        )
    return int(first), int(last)


def given_database_url() -> str | None:
    """DATABASE_URL as a libpq URL, whatever driver name it carries."""
    url = os.environ.get("DATABASE_URL", "").strip()
    if not url:
        return None
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    return f"{scheme.partition('+')[0]}://{rest}"
