"""What an exam-client is told from outside, frozen: environment variables and 0600 key files.

Secrets are read from files into ``SecretStr`` and ``SecretBytes``, so that no repr, log line or
traceback shows them.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretBytes, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from exam_contract.base import Contract
from exam_contract.trust import TrustRoot

PREFIX = "MEDXAMION_CLIENT_"
STORAGE_KEY_BYTES = 32


class SettingsWrong(Exception):
    """A setting or a key file is missing or malformed; the message says which and what to do."""

    exit_code = 2


class Settings(BaseSettings):
    """Environment variables with the prefix ``MEDXAMION_CLIENT_``; docs/protocol.md section 8."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    delivery_id: int = Field(ge=1)
    delivery_uid: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$")
    pod_uid: str = Field(min_length=1, max_length=128)
    epoch: int = Field(ge=1)
    expects_data: bool = False
    """Answers may lie on the volume: an empty one is refused, never begun anew."""
    volume_dir: Path
    secret_dir: Path
    coordinator_url: str = Field(pattern=r"^https?://")
    host: str = "127.0.0.1"
    port: int = Field(default=8235, ge=0, le=65_535)
    control_host: str = "127.0.0.1"
    control_port: int = Field(default=9235, ge=0, le=65_535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    advertised_origin: str | None = None
    receipt_seconds: float = Field(default=15.0, gt=0, le=300)
    """How long a request may take to arrive in full."""
    ballast_bytes: int = Field(default=4 * 2**20, ge=0, le=2**30)
    """Space held back for closing and transferring when the volume runs full."""


class Secrets(Contract):
    """What the Secret folder holds. ``service.key`` is read anew when used: it may rotate."""

    storage_half: SecretBytes
    control_key: SecretStr
    trust: TrustRoot


def load_settings() -> Settings:
    """Read the environment. Raises SettingsWrong with every variable that is missing or wrong."""
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"{PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()
        )
        raise SettingsWrong(f"set the environment right: {faults}") from None


def load_secrets(folder: Path) -> Secrets:
    """Read ``storage.key``, ``control.key`` and ``trust.json``. Raises SettingsWrong."""
    storage = _read(folder / "storage.key")
    if len(storage) != STORAGE_KEY_BYTES:
        raise SettingsWrong(
            f"{folder / 'storage.key'} must hold exactly {STORAGE_KEY_BYTES} raw bytes;"
            f" it holds {len(storage)}"
        )
    control = _read(folder / "control.key").decode("utf-8", "replace").strip()
    if not control:
        raise SettingsWrong(f"{folder / 'control.key'} is empty; it must hold the control key")
    try:
        trust = TrustRoot.model_validate_json(_read(folder / "trust.json"))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"]) or "the document"
        raise SettingsWrong(f"{folder / 'trust.json'}: {place}: {fault['msg']}") from None
    return Secrets(storage_half=SecretBytes(storage), control_key=SecretStr(control), trust=trust)


def read_service_key(folder: Path) -> str:
    """The bearer for the coordinator. Raises SettingsWrong when the file is gone."""
    return _read(folder / "service.key").decode("utf-8", "replace").strip()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsWrong(f"{path} cannot be read ({error.strerror}); put it there") from None
