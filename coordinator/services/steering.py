"""What people do to deliveries: create and delete them, edit their object, act on participants.

The audit entry is committed before the outside world is touched: nothing is done without a trace,
and an entry whose effect failed names an action id that the exam-client's own trail does not hold.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from coordinator.adapters.exam_clients import ExamClients, Target
from coordinator.core import deliveries as building
from coordinator.core.codes import RANDOM_BYTES, code
from coordinator.core.deliveries import Edit, Wanted
from coordinator.core.vault import Vault
from coordinator.errors import ClientUnreachable, InvalidField, NotFound
from coordinator.services import registration
from coordinator.services.hashing import Hashing
from coordinator.services.keyring import Keyring
from coordinator.services.objects import DeliveryObjects, edit
from coordinator.services.registration import Registered
from coordinator.services.work import Work, working
from coordinator.store import deliveries, exams, rosters
from coordinator.store.database import Database
from coordinator.store.deliveries import Delivery
from exam_contract.actions import Action, ActionOutcome
from exam_contract.base import rfc3339
from exam_contract.delivery import ExamDelivery

_ACTION: TypeAdapter[Action] = TypeAdapter(Action)
_CODE_MINUTES = 15


@dataclass(frozen=True, slots=True)
class Request:
    """A new delivery as an admin asks for it."""

    name: str
    namespace: str
    exam_id: str
    exam_version: str
    roster_id: str
    opens_at: datetime
    closes_at: datetime
    grace_seconds: int
    time_limit_seconds: int
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Acted:
    """``code``: the takeover code, shown this once."""

    outcome: ActionOutcome
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Steering:
    """The use cases with everything they touch."""

    database: Database
    keyring: Keyring
    vault: Vault
    hashing: Hashing
    objects: DeliveryObjects
    clients: ExamClients

    async def create(self, actor: str, wanted: Request) -> tuple[ExamDelivery, Registered]:
        """Make the object and register it, so that it has its id at once."""
        planned = await self._planned(wanted)
        await self._announce(actor, "delivery_requested", f"exam:{wanted.exam_id}", wanted)
        made = await self.objects.create(planned)
        if made.metadata.uid is None:
            raise InvalidField("the object API gave the delivery no uid")
        sent = building.first_registration(made)
        async with working(self.database, "system") as work:
            registered = await registration.register(
                work, self.keyring, self.vault, made.metadata.uid, sent, told=True
            )
        return made, registered

    async def delete(self, actor: str, delivery: Delivery) -> None:
        """Delete the object; its own rules protect untransferred data."""
        async with working(self.database, actor) as work:
            work.record("delivery_delete_requested", f"delivery:{delivery.id}")
        await self.objects.delete(delivery.namespace, delivery.name, delivery.uid)

    async def extend(
        self, actor: str, delivery: Delivery, closes_at: datetime, reason: str
    ) -> ExamDelivery:
        """A later close for everybody."""
        async with working(self.database, actor) as work:
            work.record(
                "delivery_extended",
                f"delivery:{delivery.id}",
                closes_at=rfc3339(closes_at),
                reason=reason,
            )
        return await edit(
            self.objects, delivery, lambda stored: building.extended(stored, closes_at)
        )

    async def change(
        self, actor: str, delivery: Delivery, kind: Edit, reason: str, now: datetime
    ) -> ExamDelivery:
        """Finalise, roll back, abort or restart."""
        async with working(self.database, actor) as work:
            work.record(f"delivery_{kind}_requested", f"delivery:{delivery.id}", reason=reason)
        return await edit(self.objects, delivery, lambda stored: building.edited(stored, kind, now))

    async def act(
        self, actor: str, delivery: Delivery, body: dict[str, Any], now: datetime
    ) -> Acted:
        """Carry an exam action to the exam-client. Raises ClientUnreachable."""
        action, shown = await self._action(actor, body, now)
        if delivery.endpoint_internal is None:
            raise ClientUnreachable("the delivery has no exam-client right now; try again")
        async with working(self.database, actor) as work:
            _record(work, delivery, action)
        target = Target(delivery.endpoint_internal, self.keyring.service_token(delivery, actor))
        outcome = await self.clients.act(target, action.model_dump(mode="json"))
        return Acted(outcome, shown)

    async def _action(
        self, actor: str, body: dict[str, Any], now: datetime
    ) -> tuple[Action, str | None]:
        filled = {**body, "actor": actor}
        shown = None
        if body.get("kind") == "takeover_code":
            shown = code(secrets.token_bytes(RANDOM_BYTES))
            [[verifier]] = await self.hashing.hash_codes([[shown]])
            until = now + timedelta(minutes=_CODE_MINUTES)
            filled = {**filled, "code_verifier": verifier, "expires_at": until}
        try:
            return _ACTION.validate_python(filled), shown
        except ValidationError as error:
            raise InvalidField("the action is not complete", errors=_errors(error)) from error

    async def _planned(self, wanted: Request) -> ExamDelivery:
        async with self.database.read() as db:
            version = await exams.get(db, wanted.exam_id, wanted.exam_version)
            listed = await rosters.size(db, wanted.roster_id)
        if version is None:
            raise NotFound(f"exam {wanted.exam_id} has no version {wanted.exam_version} here")
        if listed is None:
            raise NotFound(f"there is no roster {wanted.roster_id}")
        try:
            return building.build_object(
                Wanted(
                    name=building.object_name(wanted.name),
                    namespace=wanted.namespace,
                    exam_id=wanted.exam_id,
                    exam_version=wanted.exam_version,
                    content_digest=version.content_digest,
                    roster_id=wanted.roster_id,
                    participants=max(listed, 1),
                    opens_at=wanted.opens_at,
                    closes_at=wanted.closes_at,
                    grace_seconds=wanted.grace_seconds,
                    time_limit_seconds=wanted.time_limit_seconds,
                    spec=wanted.spec,
                )
            )
        except ValidationError as error:
            raise InvalidField("the delivery can't be made", errors=_errors(error)) from error

    async def _announce(self, actor: str, action: str, target: str, wanted: Request) -> None:
        async with working(self.database, actor) as work:
            work.record(
                action,
                target,
                name=wanted.name,
                version=wanted.exam_version,
                roster=wanted.roster_id,
            )


async def existing(database: Database, delivery_id: int) -> Delivery:
    """Raises NotFound."""
    async with database.read() as db:
        delivery = await deliveries.get(db, delivery_id)
    if delivery is None:
        raise NotFound("there is no such delivery")
    return delivery


def _record(work: Work, delivery: Delivery, action: Action) -> None:
    concerned = action.participant_ids
    work.record(
        f"action_{action.kind}",
        f"delivery:{delivery.id}",
        action_id=action.action_id,
        reason=action.reason,
        participants="all" if concerned is None else list(concerned),
        **({"seconds": action.seconds} if action.kind in ("grant_time", "reopen") else {}),
    )


def _errors(error: ValidationError) -> list[dict[str, str]]:
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [
        {"field": ".".join(map(str, problem["loc"])), "message": problem["msg"]}
        for problem in found
    ]
