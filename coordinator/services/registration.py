"""What the operator and exam-clients register: deliveries, bundles, incarnations."""

import secrets
from dataclasses import dataclass

from coordinator.core.ingest import Fence
from coordinator.core.signing import to_base64url
from coordinator.core.vault import NONCE_BYTES, Vault
from coordinator.errors import Fenced, NotFound, RuleViolated
from coordinator.services import exams as exam_service
from coordinator.services.keyring import Keyring
from coordinator.services.work import Work
from coordinator.store import deliveries, events, exams, rosters
from coordinator.store.deliveries import Delivery
from coordinator.store.events import Sender
from exam_contract.bundle import Bundle
from exam_contract.registration import DeliveryRegistration, RegistrationReply
from exam_contract.results import IncarnationRegistration, IncarnationReply
from exam_contract.trust import BUNDLE_CONTEXT, Signed

_TOLD = ("phase", "resume_phase", "epoch", "pod_uid", "endpoint_internal", "endpoint_public")


@dataclass(frozen=True, slots=True)
class Registered:
    """``changed``: something that pages or probes care about is different now."""

    reply: RegistrationReply
    delivery: Delivery
    changed: bool


async def register(
    work: Work,
    keyring: Keyring,
    vault: Vault,
    uid: str,
    sent: DeliveryRegistration,
    told: bool = False,
) -> Registered:
    """Idempotent: the first call makes it, later ones say how it is. Raises RuleViolated.

    ``told``: the request that led to it has left the audit entry already, and the operator, who
    knows more, may have been quicker.
    """
    await deliveries.lock_uid(work.db, uid)
    before = await deliveries.by_uid(work.db, uid)
    if before is None:
        delivery_id = await _create(work, keyring, vault, uid, sent)
    else:
        delivery_id = before.id
        _same_delivery(before, sent)
    if before is None or not told:
        await deliveries.update(work.db, delivery_id, sent)
    after = await deliveries.get(work.db, delivery_id)
    if after is None:
        raise NotFound("the delivery is gone")
    changed = before is None or _differs(before, after)
    if before is not None and await _newly_discarded(work, after, sent):
        changed = True
    elif changed and not told:
        action = "delivery_registered" if before is None else "delivery_reported"
        work.record(action, f"delivery:{delivery_id}", phase=after.phase, epoch=after.epoch)
    else:
        work.unchanged()
    return Registered(
        RegistrationReply(
            delivery_id=delivery_id,
            epoch=after.epoch,
            trust=keyring.trust(after.signing_kid),
            confirmed_erased=after.confirmed_erased,
        ),
        after,
        changed,
    )


async def bundle(
    work: Work, keyring: Keyring, vault: Vault, delivery: Delivery, public_url: str
) -> Signed:
    """The delivery's signed bundle: built at the first call and the same ever after."""
    sealed = await deliveries.sealed_bundle(work.db, delivery.id)
    if sealed is not None:
        work.unchanged()
        return Signed.model_validate_json(vault.open("bundle", delivery.uid, sealed))
    opened = await exam_service.open_version(
        work.db, vault, delivery.exam_id, delivery.exam_version
    )
    secret = vault.open("delivery-secret", delivery.uid, delivery.secret_ciphertext)
    made = Bundle(
        delivery_id=delivery.id,
        delivery_uid=delivery.uid,
        exam=opened.exam,
        content_digest=opened.content_digest,
        key=opened.key,
        participants=await deliveries.enrolled(work.db, delivery.id),
        window=delivery.window,
        time_limit_seconds=delivery.time_limit_seconds,
        delivery_secret=to_base64url(secret),
        sign_in_url=f"{public_url.rstrip('/')}/sit/{delivery.id}",
        issued_at=work.now,
    )
    signed = keyring.sign(delivery.signing_kid, BUNDLE_CONTEXT, made.model_dump(mode="json"))
    nonce = secrets.token_bytes(NONCE_BYTES)
    plain = signed.model_dump_json().encode()
    await deliveries.keep_bundle(
        work.db, delivery.id, vault.seal("bundle", delivery.uid, plain, nonce)
    )
    work.record("bundle_issued", f"delivery:{delivery.id}", participants=len(made.participants))
    return signed


async def incarnate(work: Work, sender: Sender, sent: IncarnationRegistration) -> IncarnationReply:
    """Raise the fence to this opening of the file. Raises Fenced for an older one."""
    fence = Fence(sent.epoch, sent.incarnation)
    if fence < sender.cursor.fence:
        raise Fenced(f"epoch {sender.cursor.fence.epoch} has taken over; this one must stop")
    taken = await events.raise_fence(
        work.db, sender.delivery_id, fence, sent.public_key, sent.last_seq
    )
    if not taken:
        raise Fenced("this incarnation is registered with another key: two files exist")
    if fence == sender.cursor.fence:
        work.unchanged()
    else:
        work.record(
            "incarnation_registered",
            f"delivery:{sender.delivery_id}",
            epoch=sent.epoch,
            incarnation=sent.incarnation,
            kid=sent.public_key.kid,
        )
    return IncarnationReply(accepted_through=sender.cursor.accepted_through)


async def _create(
    work: Work, keyring: Keyring, vault: Vault, uid: str, sent: DeliveryRegistration
) -> int:
    await _check_references(work, sent)
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = vault.seal("delivery-secret", uid, secrets.token_bytes(32), nonce)
    delivery_id = await deliveries.add(work.db, uid, sent, keyring.newest, sealed)
    await deliveries.enrol(work.db, delivery_id, sent.roster_ref)
    return delivery_id


async def _check_references(work: Work, sent: DeliveryRegistration) -> None:
    version = await exams.get(work.db, sent.exam_id, sent.exam_version)
    if version is None:
        raise RuleViolated(
            f"exam {sent.exam_id} has no version {sent.exam_version} here; import it first"
        )
    if version.content_digest != sent.content_digest:
        raise RuleViolated(
            f"spec.exam.contentDigest is not that of {sent.exam_id} {sent.exam_version};"
            f" write {version.content_digest}"
        )
    listed = await rosters.size(work.db, sent.roster_ref)
    if listed is None:
        raise RuleViolated(f"there is no roster {sent.roster_ref}; import it first")
    if listed == 0:
        raise RuleViolated(f"roster {sent.roster_ref} lists nobody")
    if listed > sent.max_participants:
        raise RuleViolated(
            f"roster {sent.roster_ref} lists {listed} participants,"
            f" spec.participants.maxCount is {sent.max_participants}; raise it"
        )


async def _newly_discarded(work: Work, after: Delivery, sent: DeliveryRegistration) -> bool:
    """Audit once what was given up: the operator's last counts, and what came here before."""
    if sent.discarded is None or not await deliveries.mark_discarded(work.db, after.id):
        return False
    held = (await deliveries.counts(work.db, [after.id])).get(after.id, deliveries.Counts())
    work.record(
        "delivery_discarded",
        f"delivery:{after.id}",
        phase=after.phase,
        epoch=after.epoch,
        started=max(sent.discarded.started, held.started),
        closed=max(sent.discarded.closed, held.closed),
        acked=sent.discarded.acked,
    )
    return True


def _same_delivery(before: Delivery, sent: DeliveryRegistration) -> None:
    stored = (before.exam_id, before.exam_version, before.content_digest, before.roster_id)
    said = (sent.exam_id, sent.exam_version, sent.content_digest, sent.roster_ref)
    if stored != said:
        raise RuleViolated("exam and roster of a registered delivery can't change")


def _differs(before: Delivery, after: Delivery) -> bool:
    health = (before.health and before.health.healthy) != (after.health and after.health.healthy)
    moved = before.window != after.window
    return health or moved or any(getattr(before, n) != getattr(after, n) for n in _TOLD)
