"""The coordinator's settings, read once from MEDXAMION_COORDINATOR_*; secrets come from 0600 files.

Built in the composition root and passed down; nothing else reads the environment.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """Port 0 asks the system for a free one (tests)."""

    model_config = SettingsConfigDict(
        env_prefix="MEDXAMION_COORDINATOR_", frozen=True, extra="ignore"
    )

    database_url: SecretStr
    host: str = "127.0.0.1"
    port: Port = 8080
    internal_host: str = "127.0.0.1"
    internal_port: Port = 8081
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 9090
    public_url: str = "http://127.0.0.1:8080"
    issuer: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "medxamion"
    secret_file: Path
    operator_key_file: Path | None = None
    local_api_url: str | None = None
    local_api_token_file: Path | None = None
    kubernetes: bool = False
    kubernetes_api_url: str = "https://kubernetes.default.svc"
    kubernetes_token_file: Path = _ACCOUNT / "token"
    kubernetes_ca_file: Path | None = _ACCOUNT / "ca.crt"
    operator_service_account: Annotated[str, StringConstraints(pattern=r"^[^:]+:[^:]+$")] = (
        "medxamion-operator:medxamion-operator"
    )
    client_service_account_name: str = "exam-client"
    token_audience: str = "coordinator"
    default_namespace: str = "default"
    tls_dir: Path | None = None
    tls_poll_seconds: float = Field(default=10.0, gt=0, le=300)
    """How often its pair is looked at for a renewed one."""
    client_ca_file: Path | None = None
    trusted_proxies: str = "127.0.0.1"
    instance: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = "main"
    first_admin_token_file: Path | None = None
    cli_token_file: Path | None = None
    log_level: str = "INFO"
    migrate: bool = False

    pool_size: int = Field(default=10, ge=2)
    pool_overflow: int = Field(default=10, ge=0)
    pool_timeout_seconds: float = 5.0
    statement_timeout_seconds: float = 10.0
    transfer_timeout_seconds: float = 120.0
    connect_timeout_seconds: int = 3

    session_hours: float = 12.0
    live_cache_seconds: float = 0.5
    live_timeout_seconds: float = 2.0
    probe_seconds: float = 5.0
    restart_after_seconds: float = Field(default=20.0, ge=0)
    restart_cooldown_seconds: float = Field(default=300.0, ge=0)
    notify_interval_seconds: float = 0.02
    sweep_seconds: float = 30.0
    ping_seconds: float = 15.0
    shutdown_seconds: int = 10

    @property
    def encrypted(self) -> bool:
        """Whether people come by https: cookies are Secure then, and browsers are told to stay."""
        return self.public_url.startswith("https://")
