"""Where a one-machine installation stands: its folder, its URLs and the keys its owner may use.

``examctl up`` writes it, every other command reads it. The file holds no secret but the DSN and is
0600; tokens lie in 0600 files of their own beside it.
"""

import json
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from exam_contract.base import UtcTime
from examctl.errors import UnreachableError, UnreadableInputError

FILE = "runtime.json"


class Runtime(BaseModel):
    """What runs, as the last ``examctl up`` left it. ``postgres``: whose server it is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    home: Path
    pid: int
    started_at: UtcTime
    state: Literal["starting", "ready", "stopping"]
    coordinator_url: str
    internal_url: str
    metrics_url: str
    edge_url: str
    postgres: Literal["own", "given"]
    postgres_dsn: str

    @classmethod
    def load(cls, home: Path | None = None) -> "Runtime":
        """Read the state of a home. Raises UnreachableError when nothing was ever started there."""
        folder = resolve_home(home)
        try:
            return cls.model_validate_json((folder / FILE).read_bytes())
        except FileNotFoundError:
            raise UnreachableError(
                f"nothing runs in {folder}",
                "start it with `examctl up`, or name another folder by --home or MEDXAMION_HOME",
            ) from None
        except OSError as error:
            raise UnreadableInputError(
                f"{folder / FILE} can't be read: {error.strerror}"
            ) from error
        except ValidationError as error:
            raise UnreadableInputError(
                f"{folder / FILE} is damaged", "run `examctl up` again: it writes the file anew"
            ) from error

    def save(self) -> None:
        """Write the file whole or not at all, readable by its owner alone."""
        write_private(self.home / FILE, json.dumps(self.model_dump(mode="json"), indent=2).encode())

    @property
    def cli_token(self) -> str:
        """The API token of this machine's owner: an admin at the coordinator."""
        return _read_token(cli_token_file(self.home))

    @property
    def edge_token(self) -> str:
        """The bearer of the process edge's loopback API."""
        return _read_token(edge_token_file(self.home))


def resolve_home(home: Path | None = None) -> Path:
    """The folder that holds everything: as given, by MEDXAMION_HOME, or this user's default."""
    named = home or os.environ.get("MEDXAMION_HOME")
    if named:
        return Path(named).expanduser().resolve()
    if os.geteuid() == 0:
        return Path("/var/lib/medxamion")
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "medxamion"


def cli_token_file(home: Path) -> Path:
    return home / "secrets" / "cli.token"


def edge_token_file(home: Path) -> Path:
    return home / "secrets" / "local.token"


def write_private(path: Path, data: bytes) -> None:
    """Atomic replace of a 0600 file, on disk before the name points to it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.new")
    staging.unlink(missing_ok=True)
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    staging.replace(path)


def _read_token(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise UnreachableError(
            f"{path} can't be read ({error.strerror})",
            "run the command as the user who runs `examctl up`",
        ) from error
