"""What the process edge is told: one folder, one coordinator, one range of ports."""

import sys
from dataclasses import dataclass, field
from pathlib import Path


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
