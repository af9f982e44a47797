"""Names for ids that cross borders, so that a type checker tells them apart."""

from typing import NewType

DeliveryId = NewType("DeliveryId", int)
"""The coordinator's integer: the ``{id}`` of every path."""
DeliveryUid = NewType("DeliveryUid", str)
"""The ExamDelivery object's uid (a UUID): names children, is a token's audience."""
ParticipantId = NewType("ParticipantId", int)
AttemptId = NewType("AttemptId", int)
ItemId = NewType("ItemId", int)
Sequence = NewType("Sequence", int)
"""Position of an event in its delivery's outbox: starts at 1, gap-free."""
