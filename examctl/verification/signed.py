"""The signed manifest and receipt: recomputed from the rows, and whose signatures they carry."""

import json
from collections import Counter
from typing import Any

from examctl.verification.database import Stored
from examctl.verification.hashing import is_canonical, merkle_root, sha256, signature_holds

MANIFEST_CONTEXT = "medxamion-manifest-v1"
RECEIPT_CONTEXT = "medxamion-receipt-v1"
_NO_TRANSFER = "nothing was transferred"
_NO_RECEIPT = "there is no receipt"


def manifest_of(stored: Stored) -> dict[str, Any] | None:
    """The manifest's payload, where one is stored and readable."""
    return _object(stored.transfer.manifest_payload) if stored.transfer else None


def manifest_flaws(stored: Stored) -> list[str]:
    """Counts, roots, per-participant counts and identity against the rows."""
    manifest = manifest_of(stored)
    if stored.transfer is None:
        return [_NO_TRANSFER]
    if manifest is None:
        return ["the manifest is not readable"]
    flaws = _table_flaws(stored, manifest.get("tables"), "manifest")
    flaws += _identity_flaws(stored, manifest, "manifest")
    if manifest.get("participants") != _participant_counts(stored):
        flaws.append("the manifest counts other answers, revisions or scores per participant")
    if not is_canonical(stored.transfer.manifest_payload):
        flaws.append("the manifest is not canonical JSON")
    if sha256(stored.transfer.manifest_payload.encode()) != stored.transfer.manifest_digest:
        flaws.append("the stored manifest_digest is not the manifest's")
    return flaws


def manifest_signature_flaws(stored: Stored) -> list[str]:
    """Signed by the key that this very incarnation registered."""
    manifest, transfer = manifest_of(stored), stored.transfer
    if transfer is None:
        return [_NO_TRANSFER]
    if manifest is None:
        return ["the manifest is not readable"]
    registered = stored.client_keys.get((manifest.get("epoch", 0), manifest.get("incarnation", 0)))
    if registered is None:
        return ["the exam-client that signed the manifest never registered a key"]
    kid, public_key = registered
    holds = transfer.manifest_kid == kid and signature_holds(
        MANIFEST_CONTEXT, transfer.manifest_payload, transfer.manifest_signature, public_key
    )
    return [] if holds else ["the signature does not fit the manifest and its registered key"]


def receipt_flaws(stored: Stored) -> list[str]:
    """The receipt names this manifest and the rows that are there now."""
    transfer = stored.transfer
    if transfer is None or transfer.receipt_payload is None:
        return [_NO_RECEIPT]
    receipt = _object(transfer.receipt_payload)
    if receipt is None:
        return ["the receipt is not readable"]
    flaws = _table_flaws(stored, receipt.get("tables"), "receipt")
    flaws += _identity_flaws(stored, receipt, "receipt")
    if receipt.get("manifest_digest") != sha256(transfer.manifest_payload.encode()):
        flaws.append("the receipt names another manifest")
    manifest = manifest_of(stored) or {}
    if receipt.get("last_seq") != manifest.get("last_seq"):
        flaws.append("the receipt's last_seq is not the manifest's")
    if not is_canonical(transfer.receipt_payload):
        flaws.append("the receipt is not canonical JSON")
    return flaws


def receipt_signature_flaws(stored: Stored) -> list[str]:
    """Signed by a key of the coordinator."""
    transfer = stored.transfer
    if transfer is None or transfer.receipt_payload is None:
        return [_NO_RECEIPT]
    public_key = stored.signing_keys.get(transfer.receipt_kid or "")
    if public_key is None:
        return ["the receipt's key is not one of the coordinator's"]
    holds = signature_holds(
        RECEIPT_CONTEXT, transfer.receipt_payload, transfer.receipt_signature or "", public_key
    )
    return [] if holds else ["the signature does not fit the receipt"]


def _table_flaws(stored: Stored, claimed: Any, what: str) -> list[str]:
    if not isinstance(claimed, dict) or set(claimed) != set(stored.tables):
        return [f"the {what} names other tables"]
    flaws = []
    for table, rows in stored.tables.items():
        if claimed[table].get("count") != len(rows):
            told = f"the {what} says {claimed[table].get('count')}"
            flaws.append(f"{table}: {told} and {len(rows)} rows are stored")
        elif claimed[table].get("merkle_root") != merkle_root(rows):
            flaws.append(f"{table}: the rows are not those the {what} was made of")
    return flaws


def _identity_flaws(stored: Stored, document: dict[str, Any], what: str) -> list[str]:
    claimed = (document.get("delivery_id"), document.get("delivery_uid"))
    if claimed == (stored.delivery_id, stored.delivery_uid):
        return []
    return [f"the {what} is of another delivery"]


def _participant_counts(stored: Stored) -> dict[str, dict[str, Any]]:
    owner = {row["id"]: row["participant_id"] for row in stored.tables["attempts"]}
    score = {row["participant_id"]: row["final_score"] for row in stored.tables["attempts"]}
    answers = Counter(owner.get(row["attempt_id"]) for row in stored.tables["answers"])
    revisions = Counter(owner.get(row["attempt_id"]) for row in stored.tables["answer_revisions"])
    return {
        str(row["id"]): {
            "answers": answers[row["id"]],
            "revisions": revisions[row["id"]],
            "final_score": score.get(row["id"]),
        }
        for row in stored.tables["participants"]
    }


def _object(payload: str) -> dict[str, Any] | None:
    try:
        document = json.loads(payload)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
