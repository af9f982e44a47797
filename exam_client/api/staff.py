"""What the coordinator may ask with a service token: live progress, statistics, actions."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends

from exam_client.api import headers
from exam_client.api.participants import TheDelivery, TheHeaders
from exam_client.core import commands, views
from exam_client.errors import Refusal
from exam_contract.actions import Action, ActionOutcome
from exam_contract.base import Contract
from exam_contract.problems import ProblemCode
from exam_contract.progress import ClientView, DeliveryStats, ParticipantProgress


class Participants(Contract):
    participants: list[ParticipantProgress]


def authorised(found: TheHeaders, delivery: TheDelivery) -> None:
    """Only a service token of this delivery's coordinator gets further."""
    token = headers.bearer(found)
    if token is None:
        raise Refusal(ProblemCode.UNAUTHENTICATED, "send a service token as bearer")
    delivery.tokens.service(token, delivery.clock())


router = APIRouter(prefix="/api", dependencies=[Depends(authorised)])


@router.get("/progress")
async def progress(delivery: TheDelivery) -> ClientView:
    """Statistics and every participant."""
    return views.client_view(
        delivery.state, delivery.last_seen, delivery.clock(), delivery.delivered_seq
    )


@router.get("/participants")
async def participants(delivery: TheDelivery) -> Participants:
    """Every participant's progress."""
    rows = views.participants(delivery.state, delivery.last_seen, delivery.clock())
    return Participants(participants=rows)


@router.get("/delivery-stats")
async def delivery_stats(delivery: TheDelivery) -> DeliveryStats:
    """Aggregates."""
    return views.stats(delivery.state, delivery.last_seen, delivery.clock(), delivery.delivered_seq)


@router.post("/actions")
async def act(delivery: TheDelivery, action: Annotated[Action, Body()]) -> ActionOutcome:
    """Apply an action of staff; the same action_id again returns the first outcome."""
    delivery.refuse_unless_writable()
    outcome: ActionOutcome = await delivery.submit(commands.Act(action))
    return outcome
