"""What each edge is told: a folder and ports on one machine, namespaces in a cluster."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Built by the composition root (``examctl up``, or a test) and passed down.

    ``client_command`` is what an exam-client is started with, ``spare_command`` what waits to
    become one (None for no spare); ``public_host`` stands in the URL that participants use.
    """

    home: Path
    coordinator_url: str
    operator_key_file: Path
    token_file: Path
    api_host: str = "127.0.0.1"
    api_port: int = 8234
    client_host: str = "127.0.0.1"
    public_host: str = "127.0.0.1"
    first_client_port: int = 8235
    last_client_port: int = 8999
    client_command: tuple[str, ...] = field(default=(sys.executable, "-P", "-m", "exam_client"))
    spare_command: tuple[str, ...] | None = field(
        default=(sys.executable, "-P", "-m", "exam_operator.local.spare", "exam_client.__main__")
    )
    client_log_level: str = "info"

    @property
    def objects(self) -> Path:
        """ExamDelivery objects: one YAML file each."""
        return self.home / "objects"

    @property
    def deliveries(self) -> Path:
        """What belongs to each delivery, by uid: volume, secret, log, process record."""
        return self.home / "deliveries"

    @property
    def key_secrets(self) -> Path:
        """Where ``encryption.keySecretRef`` is looked up: ``<name>/storage.key``."""
        return self.home / "key-secrets"


class ClusterSettings(BaseSettings):
    """What the cluster edge is told: ``MEDXAMION_OPERATOR_*``; docs/protocol.md section 8."""

    model_config = SettingsConfigDict(env_prefix="MEDXAMION_OPERATOR_", frozen=True, extra="ignore")

    namespaces: Annotated[tuple[str, ...], NoDecode]
    coordinator_url: str = Field(pattern=r"^https?://")
    coordinator_ca_file: Path | None = None
    token_file: Path = Path("/var/run/secrets/medxamion/token")
    client_image: str = Field(min_length=1)
    client_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    client_service_account: str = "exam-client"
    client_log_level: str = "info"
    client_priority_class: str | None = None
    image_pull_secrets: Annotated[tuple[str, ...], NoDecode] = ()
    tls_issuer: Literal["ca", "cert-manager"] = "ca"
    ca_dir: Path = Path("/etc/medxamion/ca")
    cert_manager_issuer: str | None = None
    public_host: str | None = None
    ingress_class: str | None = None
    ingress_annotations: dict[str, str] = Field(default_factory=dict)
    service_annotations: dict[str, str] = Field(default_factory=dict)
    gateway: str | None = None
    own_namespace: str = "medxamion-operator"
    host: str = "0.0.0.0"  # noqa: S104  probes and Prometheus come from outside the pod
    port: int = Field(default=9090, ge=0, le=65_535)
    workers: int = Field(default=16, ge=1, le=256)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    kubeconfig: str | None = None
    """Outside a pod; the standard KUBECONFIG counts too."""

    @field_validator("namespaces", "image_pull_secrets", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        if isinstance(given, str):
            return tuple(part.strip() for part in given.split(",") if part.strip())
        return given
