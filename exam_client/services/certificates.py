"""The certificates that both ports show: TLS_DIR's, and PUBLIC_TLS_DIR's to participants.

They are looked at again while the process runs. A new pair goes into the contexts that are in use,
so that connections go on; a broken pair is told once, and the one before stays in force.
"""

import asyncio
import hashlib
import os
import ssl
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from exam_client.errors import CertificateBroken
from exam_client.settings import Settings, SettingsWrong

log = structlog.get_logger("exam_client.certificates")


class Certificates:
    """``control`` and ``public``: the contexts of the two ports."""

    def __init__(self, folder: Path, public_folder: Path | None = None) -> None:
        """Raises CertificateBroken for the first folder; a broken public pair is only told."""
        self._internal = Certificate(folder)
        self._public = self._internal if public_folder is None else Certificate(public_folder)
        self._told: dict[Path, str] = {}
        self._internal.refresh()
        self.refresh()
        self.control = self._internal.context
        self.public = self._public.context
        if self._public is not self._internal:
            self.public.sni_callback = self._choose

    @property
    def expires_at(self) -> datetime:
        """When the first of them ends."""
        ends = [held.expires_at for held in (self._internal, self._public) if held.expires_at]
        return min(ends)

    @property
    def trouble(self) -> str | None:
        """Why what the folders hold is not what is shown; None when it is."""
        return "; ".join(self._told.values()) or None

    def refresh(self) -> None:
        """Take over what the folders hold now."""
        for held in {self._internal, self._public}:
            try:
                if held.refresh():
                    log.info("certificate_shown", folder=str(held.folder), until=held.expires_at)
                self._told.pop(held.folder, None)
            except CertificateBroken as broken:
                if self._told.get(held.folder) != str(broken):
                    log.error("certificate_broken", reason=str(broken))
                self._told[held.folder] = str(broken)

    async def follow_for_ever(self, seconds: float) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                self.refresh()
            except Exception:
                # No certificate is worth the exam.
                log.exception("certificates_unread")

    def _choose(
        self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext
    ) -> None:
        """Before a handshake on the public port: internal names see the internal certificate, and
        so does everybody while there is no other."""
        asked_inside = name is not None and self._internal.covers(name)
        public = self._public
        if public.expires_at is None or (asked_inside and not public.covers(name or "")):
            connection.context = self._internal.context


class Certificate:
    """One folder with ``tls.crt`` and ``tls.key``, and the context that shows what it holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = _server_context()
        self.expires_at: datetime | None = None
        self._names: frozenset[str] = frozenset()
        self._digest = b""

    def refresh(self) -> bool:
        """Show the folder's pair; True when it is another one. Raises CertificateBroken."""
        pair = _read(self.folder)
        if pair.digest == self._digest:
            return False
        leaf = self._parsed(pair)
        # On a context of its own first: a pair that fails would take the one in force with it.
        self._load(_server_context(), pair)
        self._load(self.context, pair)
        self.expires_at, self._names = leaf.not_valid_after_utc, _names(leaf)
        self._digest = pair.digest
        return True

    def covers(self, name: str) -> bool:
        """Whether the certificate is for this host."""
        name = name.lower().rstrip(".")
        return name in self._names or f"*.{name.partition('.')[2]}" in self._names

    def _parsed(self, pair: "_Pair") -> x509.Certificate:
        try:
            leaf = x509.load_pem_x509_certificate(pair.certificate)
            _names(leaf)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise CertificateBroken(
                f"{self.folder / 'tls.crt'} is no certificate in PEM ({error})"
            ) from None
        return leaf

    def _load(self, context: ssl.SSLContext, pair: "_Pair") -> None:
        """From memory: ssl reads files only, and on disk the two may change between them."""
        with os.fdopen(os.memfd_create("tls"), "wb") as file:
            file.write(pair.key + b"\n" + pair.certificate)
            file.flush()
            try:
                # A key with a passphrase would otherwise ask the terminal for it.
                context.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password="")
            except (ssl.SSLError, ValueError) as error:
                reason = getattr(error, "reason", None) or error
                raise CertificateBroken(
                    f"tls.crt and tls.key in {self.folder} are no pair that can be used ({reason})"
                ) from None


class _Pair(NamedTuple):
    certificate: bytes
    key: bytes

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.certificate + b"\0" + self.key).digest()


def load(settings: Settings) -> Certificates | None:
    """What the settings ask for; None for plain http. Raises SettingsWrong."""
    if settings.tls_dir is None:
        return None
    try:
        return Certificates(settings.tls_dir, settings.public_tls_dir)
    except CertificateBroken as broken:
        raise SettingsWrong(f"{broken}; mend it, or unset MEDXAMION_CLIENT_TLS_DIR") from None


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _read(folder: Path) -> _Pair:
    try:
        # Kubernetes swaps a link to replace both: follow it once, not once for each.
        real = (folder / "tls.crt").resolve(strict=True).parent
        return _Pair((real / "tls.crt").read_bytes(), (real / "tls.key").read_bytes())
    except OSError as error:
        raise CertificateBroken(f"{folder} must hold tls.crt and tls.key: {error}") from None


def _names(leaf: x509.Certificate) -> frozenset[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in found.value.get_values_for_type(x509.DNSName))
