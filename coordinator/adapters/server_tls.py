"""The servers' TLS from a folder with ``tls.crt`` and ``tls.key``, renewed without a restart.

A renewed pair is loaded into the same context: new connections get it, those that run go on. One
that does not fit together (a writer is between its two files) leaves the old one for a while more.
"""

import asyncio
import hashlib
import ssl
from pathlib import Path

import structlog
from cryptography import x509

from coordinator.errors import StartFailed

_log = structlog.get_logger(__name__)


class ServerTls:
    """Raises StartFailed when the folder holds no usable pair."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.context = _context()
        self.ends_at = 0.0
        """When the certificate in force ends, in Unix time."""
        try:
            self._loaded = self._load()
        except (OSError, ssl.SSLError) as error:
            raise StartFailed(
                f"{folder} holds no certificate that can be used: {_why(error)}; it must hold"
                " tls.crt and tls.key that fit together (MEDXAMION_COORDINATOR_TLS_DIR)",
                exit_code=7,
            ) from error

    async def watch(self, poll_seconds: float) -> None:
        """Looks for a renewed pair, for the life of the process."""
        while True:
            await asyncio.sleep(poll_seconds)
            self.renew()

    def renew(self) -> None:
        """Loads the pair if it is another one by now."""
        try:
            if self._digest() == self._loaded:
                return
            self._loaded = self._load()
        except (OSError, ssl.SSLError) as error:
            _log.warning("certificate_not_renewed", folder=str(self._folder), reason=_why(error))
            return
        _log.info("certificate_renewed", folder=str(self._folder))

    def _load(self) -> bytes:
        # Kubernetes swaps all files at once by this link; read through it, they are of one age.
        swapped = self._folder / "..data"
        folder = swapped.resolve() if swapped.exists() else self._folder
        crt, key = folder / "tls.crt", folder / "tls.key"
        digest = _digest(crt, key)
        # Tried elsewhere first: a half-loaded pair would leave the servers without a certificate.
        _context().load_cert_chain(crt, key)
        self.context.load_cert_chain(crt, key)
        certificate = x509.load_pem_x509_certificate(crt.read_bytes())
        self.ends_at = certificate.not_valid_after_utc.timestamp()
        return digest

    def _digest(self) -> bytes:
        return _digest(self._folder / "tls.crt", self._folder / "tls.key")


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _digest(*files: Path) -> bytes:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).digest()


def _why(error: OSError | ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "the files can't be read as a certificate and its key"
    return f"{error.filename}: {error.strerror}"
