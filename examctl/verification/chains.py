"""Both audit chains, recomputed link by link; the first broken link is named."""

from examctl.verification.database import Row, Stored
from examctl.verification.hashing import canonical, sha256
from examctl.verification.signed import manifest_of

_CLIENT = ("prev", "at", "actor", "action", "detail")
_COORDINATOR = ("prev", "at", "actor", "action", "target", "detail")


def client_chain_flaws(stored: Stored) -> list[str]:
    """The exam-client's chain, and that the manifest's head is its last hash."""
    rows = stored.tables["client_audit"]
    flaws = _chain_flaws(rows, _CLIENT)
    manifest = manifest_of(stored)
    if manifest is not None and not flaws:
        head = rows[-1]["hash"] if rows else ""
        if manifest.get("audit_head") != head:
            flaws.append("the chain ends elsewhere than the manifest says: entries are missing")
    return flaws


def audit_chain_flaws(rows: list[Row]) -> list[str]:
    """The coordinator's chain. A gap in the ids is a missing entry."""
    return _chain_flaws(rows, _COORDINATOR)


def _chain_flaws(rows: list[Row], hashed: tuple[str, ...]) -> list[str]:
    prev = ""
    for expected, row in enumerate(rows, start=1):
        if row["id"] != expected:
            return [f"entry {expected} is missing"]
        if row["prev"] != prev:
            return [f"entry {expected} does not follow the one before it"]
        if row["hash"] != sha256(canonical({name: row[name] for name in hashed})):
            return [f"entry {expected} was altered"]
        prev = row["hash"]
    return []
