"""What an exam-client is told from outside, frozen: environment variables and key files.

Secrets are read from files into ``SecretStr`` and ``SecretBytes``, so that no repr, log line or
traceback shows them.
"""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretBytes,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from exam_contract.base import Contract
from exam_contract.trust import TrustRoot

PREFIX = "MEDXAMION_CLIENT_"
STORAGE_KEY_BYTES = 32
_DEFAULT_PORTS = {"http": 80, "https": 443}


class SettingsWrong(Exception):
    """A setting or a key file is missing or malformed; the message says which and what to do."""

    exit_code = 2


class Settings(BaseSettings):
    """Environment variables with the prefix ``MEDXAMION_CLIENT_``; docs/protocol.md section 8."""

    # A variable that a manifest leaves empty is one that is not set.
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True
    )

    delivery_id: int = Field(ge=1)
    delivery_uid: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$")
    pod_uid: str = Field(min_length=1, max_length=128)
    epoch: int = Field(ge=1)
    expects_data: bool = False
    """Answers may lie on the volume: an empty one is refused, never begun anew."""
    volume_dir: Path
    secret_dir: Path
    coordinator_url: str = Field(pattern=r"^https?://")
    coordinator_ca_file: Path | None = None
    """The certificates that the coordinator's is verified with; read again when it changes."""
    service_token_file: Path | None = None
    """The bearer for the coordinator, read anew for each request; else ``service.key``."""
    tls_dir: Path | None = None
    """``tls.crt`` and ``tls.key`` of both ports; without it they speak plain http."""
    public_tls_dir: Path | None = None
    """The pair that participants see; internal names still get ``tls_dir``'s."""
    tls_poll_seconds: float = Field(default=10.0, gt=0, le=300)
    """How often the certificates are looked at for new ones."""
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

    @field_validator("advertised_origin")
    @classmethod
    def _as_browsers_write_it(cls, value: str | None) -> str | None:
        return None if value is None else origin_of(value)

    @model_validator(mode="after")
    def _public_beside_internal(self) -> Self:
        if self.public_tls_dir is not None and self.tls_dir is None:
            raise ValueError("PUBLIC_TLS_DIR is for use beside TLS_DIR; set both or neither")
        return self

    @property
    def bearer_file(self) -> Path:
        """Where the bearer for the coordinator is."""
        return self.service_token_file or self.secret_dir / "service.key"


class Secrets(Contract):
    """What the Secret folder holds, but for ``service.key``: ``read_bearer`` reads that anew."""

    storage_half: SecretBytes
    control_key: SecretStr
    trust: TrustRoot


def load_settings() -> Settings:
    """Read the environment. Raises SettingsWrong with every variable that is missing or wrong."""
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(
            ": ".join(
                (*(f"{PREFIX}{str(name).upper()}" for name in fault["loc"][:1]), fault["msg"])
            )
            for fault in error.errors()
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


def read_bearer(settings: Settings) -> str:
    """What the coordinator knows this exam-client by. Raises SettingsWrong when it is missing."""
    path = settings.bearer_file
    bearer = _read(path, "; or name another file in MEDXAMION_CLIENT_SERVICE_TOKEN_FILE")
    text = bearer.decode("utf-8", "replace").strip()
    if not text or not text.isascii() or not text.isprintable():
        raise SettingsWrong(f"{path} must hold a bearer token of printable ASCII, and nothing else")
    return text


def origin_of(url: str) -> str:
    """Scheme, host and port as browsers write them in ``Origin``. Raises ValueError."""
    parts = urlsplit(url.lower())
    port = parts.port  # raises ValueError when it is no port
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("it must be an origin such as https://exam.example.org:8235")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    tail = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{tail}"


def _read(path: Path, otherwise: str = "") -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsWrong(
            f"{path} cannot be read ({error.strerror}); put it there{otherwise}"
        ) from None
