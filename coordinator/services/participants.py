"""Participants sign in at the coordinator and leave with a short-lived token for one delivery."""

from dataclasses import dataclass, field

from coordinator.core.codes import normal_code
from coordinator.errors import NotReady
from coordinator.services.hashing import Hashing
from coordinator.services.keyring import Keyring
from coordinator.store import deliveries
from coordinator.store.database import Database
from coordinator.store.deliveries import Delivery
from exam_contract.trust import TOKEN_SECONDS


@dataclass(frozen=True, slots=True)
class SignedIn:
    participant_id: int
    exam_url: str
    expires_in: int
    token: str = field(repr=False)


async def find(
    database: Database, hashing: Hashing, delivery_id: int, identifier: str, access_code: str
) -> tuple[Delivery, int] | None:
    """Whom the code belongs to; the same work for unknown identifiers and deliveries."""
    async with database.read() as db:
        delivery = await deliveries.get(db, delivery_id)
        known = await deliveries.verifier_of(db, delivery_id, identifier.strip())
    verifier = None if known is None else known[1]
    fits = await hashing.code_fits(verifier, normal_code(access_code))
    return (delivery, known[0]) if fits and delivery is not None and known is not None else None


def admit(keyring: Keyring, delivery: Delivery, participant_id: int) -> SignedIn:
    """A token and where to take it. Raises NotReady while the delivery has no address."""
    if delivery.endpoint_public is None:
        raise NotReady(
            "this exam has no exam room yet: it is being prepared or is over;"
            " try again in a moment or ask an invigilator"
        )
    return SignedIn(
        participant_id=participant_id,
        exam_url=delivery.endpoint_public.rstrip("/"),
        expires_in=TOKEN_SECONDS,
        token=keyring.participant_token(delivery, participant_id),
    )
