"""The coordinator's signing keys in memory, and everything that is signed with them."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from coordinator.core import signing
from coordinator.core.signing import SigningKey
from coordinator.core.vault import NONCE_BYTES, SecretMismatch, Vault
from coordinator.errors import NotReady, StartFailed
from coordinator.store import keys
from coordinator.store.database import Database
from coordinator.store.deliveries import Delivery
from exam_contract.trust import Signed, TrustRoot


@dataclass(frozen=True, slots=True)
class Keyring:
    """``newest`` signs for new deliveries; a delivery keeps the key it began with."""

    issuer: str
    newest: str
    by_kid: Mapping[str, SigningKey]

    def trust(self, kid: str) -> TrustRoot:
        """What a delivery of that key believes."""
        return TrustRoot(issuer=self.issuer, keys=[self._key(kid).public])

    def participant_token(self, delivery: Delivery, participant_id: int) -> str:
        return signing.participant_token(
            self._key(delivery.signing_kid),
            self.issuer,
            delivery.uid,
            participant_id,
            datetime.now(UTC),
            secrets.token_hex(16),
        )

    def service_token(self, delivery: Delivery, subject: str) -> str:
        return signing.service_token(
            self._key(delivery.signing_kid),
            self.issuer,
            delivery.uid,
            subject,
            datetime.now(UTC),
            secrets.token_hex(16),
        )

    def sign(self, kid: str, context: str, document: dict[str, Any]) -> Signed:
        return signing.sign(self._key(kid), context, document)

    def _key(self, kid: str) -> SigningKey:
        if kid not in self.by_kid:
            raise NotReady("this replica does not hold that signing key yet; start it again")
        return self.by_kid[kid]


async def open_keyring(database: Database, vault: Vault, issuer: str) -> Keyring:
    """Load every key, making the first one. Raises StartFailed when the secret file is another."""
    async with database.begin() as db:
        await keys.lock(db)
        stored = await keys.all_keys(db)
        if not stored:
            stored = [_new_key(vault)]
            await keys.add(db, stored[0])
    try:
        opened = [
            signing.signing_key(vault.open("signing-key", key.kid, key.sealed)) for key in stored
        ]
    except SecretMismatch as error:
        raise StartFailed(
            "the secret file does not fit this database: put back the file that was used before"
            " (MEDXAMION_COORDINATOR_SECRET_FILE)",
            exit_code=5,
        ) from error
    return Keyring(issuer, opened[0].kid, {key.kid: key for key in opened})


def _new_key(vault: Vault) -> keys.StoredKey:
    made = signing.signing_key(secrets.token_bytes(32))
    sealed = vault.seal("signing-key", made.kid, made.seed, secrets.token_bytes(NONCE_BYTES))
    return keys.StoredKey(made.kid, made.x, sealed)
