"""Where a delivery's things lie on one machine, and what they look like to the core.

In ``deliveries/<uid>/``: ``volume`` (its data), ``secret`` (its keys), ``client.json`` (its
process), ``client.lock`` (held by the exam-client for life), ``exam-client.log``.
"""

import contextlib
import json
import secrets
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from exam_contract.trust import TrustRoot
from exam_operator.core.world import Secret, SecretState, Volume, VolumeState
from exam_operator.errors import EdgeError
from exam_operator.local import durable

STORAGE_KEY_BYTES = 32
_MARKER = ".volume.json"
_PARTS = ("storage.key", "service.key", "control.key", "trust.json")


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one delivery."""

    folder: Path
    uid: str

    @property
    def volume(self) -> Path:
        return self.folder / "volume"

    @property
    def secret(self) -> Path:
        return self.folder / "secret"

    @property
    def log(self) -> Path:
        return self.folder / "exam-client.log"

    @property
    def record(self) -> Path:
        return self.folder / "client.json"

    @property
    def lock(self) -> Path:
        return self.folder / "client.lock"

    def look_at_volume(self) -> Volume:
        """A folder with this delivery's marker; another's is never adopted."""
        name = f"{self.uid}/volume"
        if not self.volume.is_dir():
            return Volume()
        holds_data = any(self.volume.glob("delivery_*.db"))
        if self._volume_owner() != self.uid:
            problem = f"{self.volume} is not this delivery's (its marker says so); move it away"
            return Volume(VolumeState.FOREIGN, name, holds_data, problem)
        return Volume(VolumeState.PRESENT, name, holds_data)

    def make_volume(self) -> None:
        """Idempotent. Made beside and renamed, so that no volume is ever without its marker."""
        if self.volume.exists():
            return
        staging = self.folder / ".volume.new"
        shutil.rmtree(staging, ignore_errors=True)
        durable.make_private_folder(staging)
        durable.write_private(staging / _MARKER, json.dumps({"uid": self.uid}).encode())
        staging.rename(self.volume)
        durable.sync_folder(self.folder)

    def delete_volume(self) -> None:
        shutil.rmtree(self.volume, ignore_errors=False)
        durable.sync_folder(self.folder)

    def look_at_secret(self) -> Secret:
        """Absent, whole, or damaged with the name of what is wrong."""
        if not self.secret.is_dir() or not any((self.secret / part).exists() for part in _PARTS):
            return Secret()
        missing = [part for part in _PARTS if not (self.secret / part).is_file()]
        if missing:
            return Secret(SecretState.DAMAGED, problem=f"missing in {self.secret}: {missing[0]}")
        if (self.secret / "storage.key").stat().st_size != STORAGE_KEY_BYTES:
            return Secret(SecretState.DAMAGED, problem="storage.key must hold 32 bytes")
        service_key = (self.secret / "service.key").read_bytes().strip()
        return Secret(SecretState.PRESENT, f"sha256:{sha256(service_key).hexdigest()}")

    def make_secret(self, trust: TrustRoot, key_file: Path | None) -> None:
        """Draw the keys into a folder beside, then rename: whole or not at all. Idempotent."""
        if self.secret.exists():
            return
        storage_key = _read(key_file) if key_file else secrets.token_bytes(STORAGE_KEY_BYTES)
        staging = self.folder / ".secret.new"
        shutil.rmtree(staging, ignore_errors=True)
        durable.make_private_folder(staging)
        durable.write_private(staging / "storage.key", storage_key)
        durable.write_private(staging / "service.key", secrets.token_hex(32).encode())
        durable.write_private(staging / "control.key", secrets.token_hex(32).encode())
        durable.write_private(staging / "trust.json", trust.model_dump_json().encode())
        staging.rename(self.secret)
        durable.sync_folder(self.folder)

    def delete_secret(self) -> None:
        """The key first, so that an interrupted deletion has already destroyed the data."""
        (self.secret / "storage.key").unlink(missing_ok=True)
        durable.sync_folder(self.secret)
        shutil.rmtree(self.secret)
        durable.sync_folder(self.folder)

    def remove_rest(self) -> None:
        """Log, record and lock of a delivery that is gone."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def control_key(self) -> str:
        """Raises EdgeError when it can't be read."""
        return _read_text(self.secret / "control.key")

    def trust(self) -> TrustRoot | None:
        with contextlib.suppress(OSError, ValidationError):
            return TrustRoot.model_validate_json((self.secret / "trust.json").read_bytes())
        return None

    def _volume_owner(self) -> str | None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            owner = json.loads((self.volume / _MARKER).read_text()).get("uid")
            return owner if isinstance(owner, str) else None
        return None


def key_file_problem(path: Path) -> str | None:
    """What is wrong with the file that ``encryption.keySecretRef`` names, in words."""
    try:
        _read(path)
    except EdgeError as error:
        return str(error)
    return None


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EdgeError(
            f"encryption.keySecretRef: {path} can't be read ({error.strerror}); put 32 bytes there"
        ) from error
    if len(data) != STORAGE_KEY_BYTES:
        raise EdgeError(f"encryption.keySecretRef: {path} must hold 32 bytes, not {len(data)}")
    return data


def _read_text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise EdgeError(f"{path} can't be read: {error.strerror}") from error
